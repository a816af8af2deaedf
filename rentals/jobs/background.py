"""Long work that a person starts, leaves and finds again: exports of many rows, imports of a token's history.

The row is the truth: a worker claims it by a conditional update and says now and then how far it is. One that says
nothing for `LOST_SECONDS` is dead, and another worker begins anew: so the work may be done twice, and its last step
counts only for the run that still holds the job.
"""

import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import thuesim
from accounts.models import Team, User
from accounts.policy import Access, access_for
from rentals import enqueue
from rentals.jobs import exports, reconciling
from rentals.models import BackgroundJob, Rental, Token
from rentals.queries.filters import HistoryFilter

KEPT = timedelta(days=1)
LOST_SECONDS = 60
TELL_SECONDS = 2
# With more rows than this, an export is made in the background.
MOST_AT_ONCE = 5000
MOST_IN_EXCEL = 1_048_575  # beside the headings

T = TypeVar("T")
# Why a job failed, and what to do.
SENTENCES: Mapping[str, Promise] = {
    "no_right": _("You may not do this in this team any more. Ask a manager of the team."),
    "upstream": _("ThueSim did not give its history. Look at the system page, and try again."),
    "too_many": _("Excel takes 1,048,576 rows at most. Narrow the filter, or export CSV."),
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
    language = translation.get_language() or settings.LANGUAGE_CODE
    job = BackgroundJob.objects.create(
        kind=kind, person=person, team=team, wanted=wanted, token=token, language=language
    )
    enqueue.background(job.pk)
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
    return Q(state=State.WAITING) | Q(state=State.RUNNING, alive_at__lt=lost)


def work(pk: int) -> None:
    """Do one job, if nobody else does. One export at a time, and one import: balances, the catalogue and ThueSim's history
    are read by the same few threads, and wait for nobody's export. May run twice."""
    imports = Q(kind=BackgroundJob.Kind.IMPORT)
    alike = imports if BackgroundJob.objects.filter(imports, pk=pk).exists() else ~imports
    if BackgroundJob.objects.filter(alike, state=State.RUNNING).exclude(_free()).exists():
        return
    _work(pk)
    for waiting in open_jobs():
        enqueue.background(waiting)


def _work(pk: int) -> None:
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
    except thuesim.ThueSimError:
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
    is_csv = job.kind == BackgroundJob.Kind.EXPORT_CSV
    if not is_csv and total > MOST_IN_EXCEL:
        _end(job, State.FAILED, reason="too_many")
        return
    _told(job, total=total)
    path = folder() / f"{job.pk}-{secrets.token_hex(8)}.{'csv' if is_csv else 'xlsx'}"
    path.touch(mode=0o600)
    try:
        with translation.override(job.language or settings.LANGUAGE_CODE):
            progress = _Progress(job)
            table = progress.counting(exports.rows(found, access))
            if is_csv:
                exports.write_csv(table, path)
            else:
                with _Telling(path.open("wb", buffering=0), progress) as file:
                    exports.write_xlsx(table, file, scratch=folder())
        _told(job, state=State.DONE, ended_at=timezone.now(), done=total, file=path.name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class _Progress:
    """Says now and then how far a job is, and that its worker is alive."""

    def __init__(self, job: BackgroundJob) -> None:
        self._job, self._done, self._told_at = job, 0, time.monotonic()

    def counting(self, things: Iterable[T]) -> Iterator[T]:
        """Hand `things` on, and count them."""
        for thing in things:
            self._done += 1
            self.tell()
            yield thing

    def tell(self) -> None:
        """Say it, if it is time. Raises `LostToAnother`."""
        if time.monotonic() - self._told_at >= TELL_SECONDS:
            _told(self._job, done=self._done)
            self._told_at = time.monotonic()


class _Telling(BufferedWriter):
    """A file that tells of each write: an Excel file is put together after its last row, for a minute where it is big."""

    def __init__(self, raw: RawIOBase, progress: _Progress) -> None:
        super().__init__(raw)
        self._progress = progress

    def write(self, data: Any, /) -> int:
        self._progress.tell()
        return super().write(data)


def _import(job: BackgroundJob) -> None:
    if job.token is None or not access_in(job.person, job.team).manages:
        _end(job, State.FAILED, reason="no_right")
        return
    known = Rental.objects.filter(token=job.token, imported=True)
    before = known.count()
    # How many there are is known once ThueSim has answered.
    reconciling.settle(job.token.pk, deep=True, told=lambda done, total: _told(job, done=done, total=total))
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
