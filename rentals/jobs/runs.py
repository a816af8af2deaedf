"""The last runs of the recurring jobs: when each last ran, when it last succeeded, and its error since."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

import thuesim
from lib import log_lines
from rentals.models import JobName, JobRun

RETRY_SECONDS = 10  # less than the 15 s from one question to the next, so that after an error each of them reads again


def note_run(name: JobName, token_id: int | None = None, *, error: str = "") -> datetime:
    """Note that a job ran; without an `error` it succeeded. Returns the time that is noted."""
    now = timezone.now()
    fields: dict[str, object] = {"at": now, "fault": error[:200]}
    if not error:
        fields["ok_at"] = now
    lookup: dict[str, object] = {"token__isnull": True} if token_id is None else {"token_id": token_id}
    if not JobRun.objects.filter(name=name, **lookup).update(**fields):
        JobRun.objects.update_or_create(
            name=name, **lookup, defaults=fields, create_defaults={"name": name, "token_id": token_id, **fields}
        )
    return now


def last_run(name: JobName) -> datetime | None:
    """Return when a job that is of no token ran last. In SQL, since each worker asks every few seconds who ticks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT at FROM rentals_jobrun WHERE name = %s AND token_id IS NULL", [name])
        row = cursor.fetchone()
    at: datetime | None = row and row[0]
    return at and at.replace(tzinfo=at.tzinfo or UTC)  # SQLite has it in UTC without saying so


def note_run_after(name: JobName, before: datetime) -> datetime | None:
    """Note that a job which was noted at `before` succeeded again; return the time that is noted. None where somebody else
    has noted it since. In SQL, since a tick does this each second."""
    now = timezone.now()
    to_column = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rentals_jobrun SET at = %s, ok_at = %s, fault = '' WHERE name = %s AND token_id IS NULL AND at = %s",
            [to_column(now), to_column(now), name, to_column(before)],
        )
        return now if cursor.rowcount else None


@contextmanager
def noted_at_end(name: JobName, token_id: int) -> Iterator[None]:
    """Note how a job on a token ends. A `ThueSimError` of the block is noted, and does not pass on."""
    try:
        with log_lines.about(token=token_id):
            yield
    except thuesim.ThueSimError as error:
        note_run(name, token_id, error=f"{type(error).__name__}: {error.message}")
    else:
        note_run(name, token_id)


def due(name: JobName, *, seconds: float) -> list[int]:
    """Return the tokens, by name, for which a job has not succeeded for so long. After an error it is due again in 10 s.

    A paused token is among them: its numbers still wait. In SQL, since three jobs ask every 15 seconds.
    """
    now = timezone.now()
    ages = (now - timedelta(seconds=seconds), now - timedelta(seconds=RETRY_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM rentals_token AS token WHERE NOT EXISTS (SELECT 1 FROM rentals_jobrun WHERE name = %s"
            " AND token_id = token.id AND (fault = '' AND at > %s OR at > %s)) ORDER BY token.name",
            [name, *map(connection.ops.adapt_datetimefield_value, ages)],
        )
        return [pk for (pk,) in cursor.fetchall()]
