"""What people change of their own account on the page of the account: their name, and their sessions."""

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.audit import Action
from accounts.models import User
from lib import announce


@transaction.atomic
def rename(person: User, full_name: str) -> bool:
    """Give a person another name, as colleagues see it. False where it is theirs already."""
    before = User.objects.select_for_update(no_key=True).get(pk=person.pk).get_full_name()
    if before == full_name:
        return False
    # One name in one column: which part of it is the family's is not known.
    User.objects.filter(pk=person.pk).update(first_name=full_name, last_name="")
    audit.record(Action.NAME_CHANGED, person=person, detail={"name": [before, full_name]})
    announce.person(person.pk)
    return True


def sessions(person: User) -> "QuerySet[UserSession]":
    """Return the browsers on which a person is signed in, the last seen first."""
    alive = Session.objects.filter(pk=OuterRef("session_key"), expire_date__gt=timezone.now())
    found: QuerySet[UserSession] = UserSession.objects.filter(Exists(alive), user=person.pk)
    return found.order_by("-last_seen_at", "-pk")


def end_session(session: UserSession) -> None:
    """Sign the owner of a session out of that browser, and record it."""
    get_adapter().end_sessions([session])
