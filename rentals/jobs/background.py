"""Long work that a person starts, leaves and finds again: exports of many rows, imports of a token's history.

The row is the truth: a worker claims it by a conditional update and writes every two seconds how far it is. A worker that
writes nothing for `LOST_SECONDS` is dead, and another begins anew: so the work may be done twice, and its last step counts
only for the run that still holds the job.
"""

import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import IO, Any, Self, TypeVar

from django.conf import settings
from django.core.files.base import File
from django.db import DatabaseError, connection
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import thuesim
from accounts.models import AuditRecord, Team, User
from accounts.policy import Access, access_for
from lib.files import shared_files
from lib.time_zones import reading_in
from rentals import enqueue
from rentals.jobs import exports, reconciling
from rentals.models import BackgroundJob, Rental, Token
from rentals.queries.filters import HistoryFilter

RETENTION = timedelta(days=1)
LOST_SECONDS = 60
PROGRESS_SECONDS = 2.0
# How long a finished export waits for a storage that does not answer.
MAX_STORAGE_SECONDS, STORAGE_RETRY_SECONDS = 120.0, 5.0
# With more rows than this, an export is made in the background: they take a page thread half a second as CSV, 0.8 as Excel.
MAX_AT_ONCE = 15_000
MAX_IN_EXCEL = 1_048_575  # beside the headings

T = TypeVar("T")
# Why a job failed, and what to do.
SENTENCES: Mapping[str, Promise] = {
    "no_right": _("You may not do this in this team any more. Ask a manager of the team."),
    "upstream": _("ThueSim did not answer with its history. Look at the system page, and try again."),
    "too_many": _("Excel takes 1.048.576 rows at most. Narrow the filter, or export CSV."),
    "disk": _("The file could not be written: the disk may be full. Tell an admin."),
    "storage": _("The storage of shared files does not answer, so the export was not kept. Try again later."),
}
State = BackgroundJob.State
logger = logging.getLogger(__name__)


class LostToAnother(Exception):
    """Another worker took the job over, or its person was deleted."""


def begin(
    kind: BackgroundJob.Kind,
    *,
    person: User,
    team: Team,
    wanted: str = "",
    token: Token | None = None,
    record: AuditRecord | None = None,
) -> BackgroundJob:
    """Take work in. The same work that this person is waiting for already is not begun twice. `record` is the audit record
    of an export.

    May be called in a transaction: the worker is woken on commit.
    """
    same = BackgroundJob.objects.filter(
        kind=kind, person=person, team=team, wanted=wanted, token=token, state__in=[State.WAITING, State.RUNNING]
    ).first()
    if same is not None:
        return same
    language = translation.get_language() or settings.LANGUAGE_CODE
    job = BackgroundJob.objects.create(
        kind=kind, person=person, team=team, wanted=wanted, token=token, language=language, record=record
    )
    enqueue.background(job.pk)
    return job


def jobs_of(access: Access) -> list[BackgroundJob]:
    """Return the person's jobs in the team they work in, the newest 50 first."""
    jobs = BackgroundJob.objects.filter(person=access.person_id, team=access.team_id).select_related("token")
    return list(jobs.order_by("-created_at", "-pk")[:50])


def file_of(access: Access, pk: int) -> tuple[BackgroundJob, File[Any]] | None:
    """Return an export and its open file to the person who asked for it, as long as they may export; else None.

    Raises `shared_files.Unreachable`.
    """
    if not access.may_export:
        return None
    job = BackgroundJob.objects.filter(pk=pk, person=access.person_id, team=access.team_id, state=State.DONE).first()
    if job is None or not job.file:
        return None
    try:
        return job, shared_files.exports().open(job.file)
    except FileNotFoundError:
        return None


def open_jobs() -> list[int]:
    """Return the keys of the jobs that no worker is doing, the oldest first."""
    return list(BackgroundJob.objects.filter(_free()).order_by("created_at").values_list("pk", flat=True))


def _free() -> Q:
    lost = timezone.now() - timedelta(seconds=LOST_SECONDS)
    return Q(state=State.WAITING) | Q(state=State.RUNNING, alive_at__lt=lost)


def work(pk: int) -> None:
    """Do one job, if no other worker does. May run twice.

    One export at a time, and one import: the same few threads read balances, the catalogue and ThueSim's history, and
    these shall not wait for an export.
    """
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
    job = BackgroundJob.objects.select_related("person", "team", "token", "record").get(pk=pk)
    try:
        if job.kind == BackgroundJob.Kind.IMPORT:
            _import(job)
        else:
            with translation.override(job.language or settings.LANGUAGE_CODE), reading_in(job.person.time_zone):
                _export(job)
    except LostToAnother:
        logger.info("background job %s was lost to another worker", pk)
    except thuesim.ThueSimError:
        _end(job, State.FAILED, reason="upstream")
    except shared_files.Unreachable as error:
        logger.warning("background job %s cannot keep its file: %s", pk, error)
        _end(job, State.FAILED, reason="storage")
    except OSError:
        logger.exception("background job %s cannot write its file", pk)
        _end(job, State.FAILED, reason="disk")


def _update(job: BackgroundJob, **fields: object) -> None:
    """Write `fields`, and that the worker is alive. Raises `LostToAnother` if the job is not this run's any more."""
    fields["alive_at"] = timezone.now()
    if not BackgroundJob.objects.filter(pk=job.pk, run=job.run, state=State.RUNNING).update(**fields):
        raise LostToAnother


def _end(job: BackgroundJob, state: BackgroundJob.State, **fields: object) -> None:
    with suppress(LostToAnother):
        _update(job, state=state, ended_at=timezone.now(), **fields)


def access_in(person: User, team: Team) -> Access:
    """Return what a person may do in a team, whichever team they work in now. Its `team` is None if they may nothing."""
    person.team = team  # never saved
    access = access_for(person)
    return access if access.team_id == team.pk else Access(person.pk, person.is_staff, None, None)


def _export(job: BackgroundJob) -> None:
    access = access_in(job.person, job.team)
    if not access.may_export:
        _end(job, State.FAILED, reason="no_right")
        return
    rentals = exports.filtered_rentals(access, HistoryFilter.from_query(QueryDict(job.wanted)))
    total = rentals.order_by().count()
    is_csv = job.kind == BackgroundJob.Kind.EXPORT_CSV
    if not is_csv and total > MAX_IN_EXCEL:
        _end(job, State.FAILED, reason="too_many")
        return
    _update(job, total=total)
    name = f"{job.pk}-{secrets.token_hex(8)}.{'csv' if is_csv else 'xlsx'}"
    try:
        # Without a name, so that it is gone with this process, whatever ends that.
        with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file, _Progress(job) as progress:
            table = progress.counting(exports.rows(rentals, access, job.record))
            if is_csv:
                exports.write_csv(table, file)
            else:
                exports.write_xlsx(table, file, count=total)
            _keep(name, file, progress)
        # Offered from here on: the file is whole.
        _update(job, state=State.DONE, ended_at=timezone.now(), done=total, file=name)
    except BaseException:
        with suppress(OSError):  # then `forget_old` deletes it
            shared_files.exports().delete(name)
        raise


def _keep(name: str, file: IO[bytes], progress: "_Progress") -> None:
    """Save a finished export under `name`. Where the storage does not answer, it is tried for `MAX_STORAGE_SECONDS`; then
    this raises `shared_files.Unreachable`."""
    end = time.monotonic() + MAX_STORAGE_SECONDS
    while True:
        try:
            shared_files.exports().save(name, File(file))
            return
        except shared_files.Unreachable:
            if time.monotonic() > end:
                raise
        progress.wait(STORAGE_RETRY_SECONDS)


class _Progress:
    """Writes down every `PROGRESS_SECONDS` how many rows are done and that the worker is alive.

    By a thread, since an Excel file is put together after its last row, for a minute if it is big.
    """

    def __init__(self, job: BackgroundJob) -> None:
        self._job, self._done, self._lost = job, 0, False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, name="export progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def counting(self, rows: Iterable[T]) -> Iterator[T]:
        """Hand `rows` on, and count them. Raises `LostToAnother`."""
        for row in rows:
            if self._lost:
                raise LostToAnother
            self._done += 1
            yield row

    def wait(self, seconds: float) -> None:
        """Wait. Raises `LostToAnother`."""
        time.sleep(seconds)
        if self._lost:
            raise LostToAnother

    def _write(self) -> None:
        while not self._lost and not self._end.wait(PROGRESS_SECONDS):
            try:
                _update(self._job, done=self._done)
            except LostToAnother:
                self._lost = True
            except DatabaseError as error:
                logger.warning("no progress of background job %s: %s", self._job.pk, type(error).__name__)
            finally:
                connection.close()


def _import(job: BackgroundJob) -> None:
    if job.token is None or not access_in(job.person, job.team).manages:
        _end(job, State.FAILED, reason="no_right")
        return
    imported = Rental.objects.filter(token=job.token, team=job.team, imported=True)
    before = imported.count()
    reconciling.settle(job.token.pk, deep=True, progress=lambda done, total: _update(job, done=done, total=total))
    _update(job, state=State.DONE, ended_at=timezone.now(), done=max(0, imported.count() - before))


def forget_old() -> None:
    """Delete jobs a day old, with their files, and files without a job. Raises `OSError` where the files do not answer;
    the next run goes on."""
    BackgroundJob.objects.filter(created_at__lt=timezone.now() - RETENTION).delete()
    file_names = set(BackgroundJob.objects.exclude(file="").values_list("file", flat=True))
    hour_ago = timezone.now() - timedelta(hours=1)
    for name, modified in shared_files.exports().modified("").items():
        # A young file without a job is being written.
        if name not in file_names and modified < hour_ago:
            shared_files.exports().delete(name)
