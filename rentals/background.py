"""Long work that a person starts, leaves and finds again: exports of many rows, imports of a token's history.

The row is the truth: a worker claims it by a conditional update and says now and then how far it is. One that says
nothing for `LOST_SECONDS` is dead, and another worker begins anew: so the work may be done twice, and its last step
counts only for the run that still holds the job.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Team, User
from accounts.policy import Access, access_for
from rentals import exports, nudge, reconciling, thuesim
from rentals.filters import HistoryFilter
from rentals.models import BackgroundJob, Rental, Token

KEPT = timedelta(days=1)
LOST_SECONDS = 60
TELL_EVERY = 500  # rows
# With more rows than this, an export is made in the background.
MOST_AT_ONCE = 5000

T = TypeVar("T")
# Why a job failed, and what to do.
SENTENCES: Mapping[str, Promise] = {
    "no_right": _("You may not do this in this team any more. Ask a manager of the team."),
    "upstream": _("ThueSim did not give its history. Look at the system page, and try again."),
    "disk": _("The file could not be written: the disk may be full. Tell an admin."),
}
State = BackgroundJob.State
logger = logging.getLogger(__name__)


class LostToAnother(Exception):
    """Another worker took the job up meanwhile, or its person is gone."""


def folder() -> Path:
    """Return where exports are kept; it is made where it is missing, for us alone."""
    path = Path(settings.DATA_DIR) / "exports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def begin(
    kind: BackgroundJob.Kind, *, person: User, team: Team, wanted: str = "", token: Token | None = None
) -> BackgroundJob:
    """Take work in; the same work that this person waits for already is not begun twice. May be called in a
    transaction: the worker is woken on commit."""
    same = BackgroundJob.objects.filter(
        kind=kind, person=person, team=team, wanted=wanted, token=token, state__in=[State.WAITING, State.RUNNING]
    ).first()
    if same is not None:
        return same
    job = BackgroundJob.objects.create(kind=kind, person=person, team=team, wanted=wanted, token=token)
    nudge.background(job.pk)
    return job


def jobs_of(access: Access) -> list[BackgroundJob]:
    """Return what the person had done in the team they work in, newest first."""
    found = BackgroundJob.objects.filter(person=access.person_id, team=access.team_id).select_related("token")
    return list(found.order_by("-created_at", "-pk")[:50])


def file_of(access: Access, pk: int) -> tuple[BackgroundJob, Path] | None:
    """Return an export and its file for the person who asked for it, as long as they may export; else None."""
    if not access.may_export:
        return None
    job = BackgroundJob.objects.filter(pk=pk, person=access.person_id, team=access.team_id, state=State.DONE).first()
    path = folder() / job.file if job and job.file else None
    return (job, path) if job and path and path.is_file() else None


def open_jobs() -> list[int]:
    """Return the jobs that nobody works at."""
    return list(BackgroundJob.objects.filter(_free()).order_by("created_at").values_list("pk", flat=True))


def _free() -> Q:
    lost = timezone.now() - timedelta(seconds=LOST_SECONDS)
    # Alive in the future: written before the clock was set back.
    ahead = timezone.now() + timedelta(seconds=LOST_SECONDS)
    return Q(state=State.WAITING) | Q(state=State.RUNNING) & (Q(alive_at__lt=lost) | Q(alive_at__gt=ahead))


def work(pk: int) -> None:
    """Do one job, if nobody else does. May run twice."""
    run = secrets.token_hex(8)
    claimed = BackgroundJob.objects.filter(_free(), pk=pk).update(
        state=State.RUNNING, run=run, alive_at=timezone.now(), done=0, total=None
    )
    if not claimed:
        return
    job = BackgroundJob.objects.select_related("person", "team", "token").get(pk=pk)
    try:
        if job.kind == BackgroundJob.Kind.IMPORT:
            _import(job)
        else:
            _export(job)
    except LostToAnother:
        logger.info("background job %s was lost to another worker", pk)
    except thuesim.ThueSimFault:
        _end(job, State.FAILED, reason="upstream")
    except OSError:
        logger.exception("background job %s cannot write its file", pk)
        _end(job, State.FAILED, reason="disk")


def _told(job: BackgroundJob, **fields: object) -> None:
    """Say how far the job is. Raises `LostToAnother` where it is not this run's any more."""
    fields["alive_at"] = timezone.now()
    if not BackgroundJob.objects.filter(pk=job.pk, run=job.run, state=State.RUNNING).update(**fields):
        raise LostToAnother


def _end(job: BackgroundJob, state: BackgroundJob.State, **fields: object) -> None:
    with suppress(LostToAnother):
        _told(job, state=state, ended_at=timezone.now(), **fields)


def access_in(person: User, team: Team) -> Access:
    """Return what a person may do in a team, whichever they work in now. `team` is None in it where they may nothing."""
    person.team = team  # never saved
    access = access_for(person)
    return access if access.team_id == team.pk else Access(person.pk, person.is_staff, None, None)


def _export(job: BackgroundJob) -> None:
    access = access_in(job.person, job.team)
    if not access.may_export:
        _end(job, State.FAILED, reason="no_right")
        return
    found = exports.wanted_rentals(access, HistoryFilter.from_query(QueryDict(job.wanted)))
    total = found.order_by().count()
    _told(job, total=total)
    is_csv = job.kind == BackgroundJob.Kind.EXPORT_CSV
    path = folder() / f"{job.pk}-{secrets.token_hex(8)}.{'csv' if is_csv else 'xlsx'}"
    path.touch(mode=0o600)
    try:
        with translation.override(job.person.language or settings.LANGUAGE_CODE):
            table = _counted(job, exports.rows(found, access))
            (exports.write_csv if is_csv else exports.write_xlsx)(table, path)
        _told(job, state=State.DONE, ended_at=timezone.now(), done=total, file=path.name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _counted(job: BackgroundJob, things: Iterable[T]) -> Iterator[T]:
    for n, thing in enumerate(things, start=1):
        if n % TELL_EVERY == 0:
            _told(job, done=n)
        yield thing


def _import(job: BackgroundJob) -> None:
    if job.token is None or not access_in(job.person, job.team).manages:
        _end(job, State.FAILED, reason="no_right")
        return
    known = Rental.objects.filter(token=job.token, imported=True)
    before = known.count()
    reconciling.settle(job.token.pk, deep=True)
    _told(job, state=State.DONE, ended_at=timezone.now(), done=max(0, known.count() - before))


def forget_old() -> None:
    """Delete jobs a day old, with their files, and files that no job knows."""
    BackgroundJob.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    kept = set(BackgroundJob.objects.exclude(file="").values_list("file", flat=True))
    oldest = (timezone.now() - timedelta(hours=1)).timestamp()
    for path in folder().iterdir():
        # A young file without a job is being written.
        if path.name not in kept and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
