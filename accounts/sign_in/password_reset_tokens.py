"""Links that set a new password."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator

from accounts.models import User


class ResetLinks(PasswordResetTokenGenerator):
    """A link is valid once, for `PASSWORD_RESET_TIMEOUT` seconds, and never for a deactivated account."""

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.is_active}"

    def check_token(self, user: User | None, token: str | None) -> bool:
        return user is not None and user.is_active and super().check_token(user, token)
