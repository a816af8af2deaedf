"""Who saw a rental's code: the records of it are written here, and read for the rental's page.

A code in full on a page is recorded once per person, API key, rental and day; so is copying it, and playing a
recording. A reveal is recorded each time. An export has one record; `exported_codes` notes each code in it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.audit import Action, OncePerDay
from accounts.models import ApiKey, AuditRecord, User
from accounts.policy import Access
from rentals import exported_codes
from rentals.models import Rental

# How long after a recorded reveal its recording plays, and its code may be copied.
REVEAL_LASTS = timedelta(minutes=15)
MAX_SHOWN = 200
SEEN = (Action.READ, Action.REVEAL, Action.COPY, Action.LISTEN)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CodeAccess:
    """One time that a person, or their program with an API key, saw, copied, heard or exported a code."""

    at: datetime
    person: User | None
    key: ApiKey | None
    action: str
    in_admin: bool


def shows(rental: Rental, access: Access) -> bool:
    """Whether a page shows a message of the rental in full. No query where the messages were prefetched."""
    return rental.latest_message is not None and access.sees_code(rental)


def record_reads(access: Access, rentals: Iterable[Rental], *, request: HttpRequest | None = None) -> None:
    """Record that a page shows these rentals to the person: those whose code it shows in full. At most one query, none
    once a day's reads are recorded. A database that takes no writes does not keep the page from being read."""
    record_shown(
        (OncePerDay(Action.READ, access.person_id, rental.team_id, audit.about(rental)) for rental in rentals
         if shows(rental, access)),
        request=request,
    )  # fmt: skip


def record_shown(done: Iterable[OncePerDay], *, request: HttpRequest | None = None) -> None:
    """Record what is on a screen already, or is about to be. A failing database is logged, not raised."""
    try:
        audit.record_once_a_day(done, request=request)
    except DatabaseError as error:
        logger.warning("It was not recorded who read codes: %s", type(error).__name__)


def was_revealed_to(access: Access, rental: Rental) -> bool:
    """Whether the person may reveal codes, and their reveal of this one was recorded in the last minutes. One query."""
    reveals = AuditRecord.objects.filter(
        action=Action.REVEAL,
        person=access.person_id,
        target=audit.about(rental),
        at__gt=timezone.now() - REVEAL_LASTS,
    )
    return access.may_reveal(rental) and reveals.exists()


def accesses_to(rental: Rental) -> list[CodeAccess]:
    """Return who saw the code of a rental, oldest first, at most `MAX_SHOWN` and one. Three queries."""
    targets = [audit.about(rental), *(audit.about(message) for message in rental.messages.all())]
    seen = AuditRecord.objects.filter(target__in=targets, action__in=SEEN)
    exported = AuditRecord.objects.filter(pk__in=exported_codes.records_with(Rental.objects.filter(pk=rental.pk)))
    records = [
        record
        for rows in (seen, exported)
        for record in rows.select_related("person", "key").order_by("pk")[: MAX_SHOWN + 1]
    ]
    records.sort(key=lambda record: (record.at, record.pk))
    return [
        CodeAccess(record.at, record.person, record.key, record.action, in_admin=record.detail.get("in") == "admin")
        for record in records[: MAX_SHOWN + 1]
    ]
