"""Who somebody is, by a name or an e-mail and a password."""

from allauth.account.auth_backends import AuthenticationBackend

from accounts.models import User


class OneCheck(AuthenticationBackend):  # type: ignore[misc]
    """One password is reckoned for each try, whether there is such an account or not.

    allauth looks an e-mail up twice, as a name too: two for an address that is known, one for others, which is how long
    the answer takes. Django makes a backend for each try.
    """

    def __init__(self) -> None:
        self._checked: set[int] = set()

    def _check_password(self, user: User | None, password: str) -> User | None:
        if user is None or user.pk in self._checked:
            return None
        self._checked.add(user.pk)
        found: User | None = super()._check_password(user, password)
        return found
