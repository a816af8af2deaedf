"""The marks that recurring jobs leave: when each last ran, when it last succeeded, and what went wrong since."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

import thuesim
from rentals.models import JobName, JobRun, Token

RETRY_SECONDS = 15


def ran(name: JobName, token_id: int | None = None, *, fault: str = "") -> None:
    """Note that a job ran; without a `fault` it succeeded."""
    now = timezone.now()
    fields: dict[str, object] = {"at": now, "fault": fault[:200]}
    if not fault:
        fields["ok_at"] = now
    lookup: dict[str, object] = {"token__isnull": True} if token_id is None else {"token_id": token_id}
    if not JobRun.objects.filter(name=name, **lookup).update(**fields):
        JobRun.objects.update_or_create(
            name=name, **lookup, defaults=fields, create_defaults={"name": name, "token_id": token_id, **fields}
        )


@contextmanager
def run(name: JobName, token_id: int) -> Iterator[None]:
    """Note how a job ends that asks the upstream. A fault of the upstream ends here: it stands in the note."""
    try:
        yield
    except thuesim.ThueSimError as fault:
        ran(name, token_id, fault=f"{type(fault).__name__}: {fault.message}")
    else:
        ran(name, token_id)


def due(name: JobName, *, seconds: float) -> list[int]:
    """The tokens for which a job has not succeeded for so long; after a fault it is due again in a quarter minute.
    A token that an admin paused is read all the same: its numbers still wait."""
    now = timezone.now()
    runs = JobRun.objects.filter(name=name, token=OuterRef("pk"))
    fresh = runs.filter(
        Q(fault="", at__gt=now - timedelta(seconds=seconds)) | Q(at__gt=now - timedelta(seconds=RETRY_SECONDS))
    )
    return list(Token.objects.filter(~Exists(fresh)).values_list("pk", flat=True))
