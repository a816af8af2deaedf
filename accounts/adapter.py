"""How allauth behaves here: nobody signs up by themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]
    """People are added by a manager or an admin."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
