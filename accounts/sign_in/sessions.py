"""Delete expired sessions: Django keeps their rows, and allauth their addresses and browsers, until this runs."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.utils import timezone

BATCH = 1000


def delete_expired(*, batch: int = BATCH) -> int:
    """Delete the expired sessions and their lines in the list of signed-in browsers. Returns how many sessions.

    May run at any time, twice and at once.
    """
    deleted, now = 0, timezone.now()
    while keys := list(Session.objects.filter(expire_date__lt=now).values_list("pk", flat=True)[:batch]):
        deleted += Session.objects.filter(pk__in=keys, expire_date__lt=now).delete()[0]
    # Younger ones may be about to get their session.
    old = UserSession.objects.filter(last_seen_at__lt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE))
    gone = old.filter(~Exists(Session.objects.filter(pk=OuterRef("session_key"))))
    while keys := list(gone.values_list("pk", flat=True)[:batch]):
        UserSession.objects.filter(pk__in=keys).delete()
    return deleted
