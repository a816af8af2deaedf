"""The request as our views see it: signed in, with a team."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from accounts.policy import Access


class DeskRequest(HttpRequest):
    """A signed-in person's request. `access` says what they may do, and for which team the page speaks."""

    user: User
    htmx: HtmxDetails
    access: Access
