"""Long work that a person starts, leaves and finds again: exports of many rows, imports of a token's history.

The row is the truth: a worker claims it by a conditional update and writes every two seconds how far it is. A worker that
writes nothing for `LOST_SECONDS` is dead, and another one begins the work anew, for nothing resumes in the middle. So it may
be done twice, and its last step counts only for the run that still holds the job.
"""

import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
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
from lib.files import growing_files, shared_files
from lib.files.growing_files import GrowingFile
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
# With more rows than this, an export is made in the background: before their first byte goes out, they take a page thread
# 0.4 s as CSV and 0.7 s as Excel.
MAX_AT_ONCE = 7_000
# Exports under way at a time, of all people and of one.
MAX_EXPORTS, MAX_EXPORTS_OF_ONE = 3, 2
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


class Limit(StrEnum):
    """Which number of jobs that go on at a time keeps another one waiting."""

    OF_ONE = "exports of one person"
    OF_ALL = "exports of all"
    IMPORTS = "imports"


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


def export_of(access: Access, pk: int) -> BackgroundJob | None:
    """Return an export to the person who asked for it, as long as they may export; else None."""
    if not access.may_export:
        return None
    exported = BackgroundJob.objects.exclude(kind=BackgroundJob.Kind.IMPORT)
    return exported.filter(pk=pk, person=access.person_id, team=access.team_id).first()


def file_of(job: BackgroundJob) -> File[Any] | None:
    """Return the open file of an export that is done; None where it was deleted. Raises `shared_files.Unreachable`."""
    try:
        return shared_files.exports().open(job.file) if job.file else None
    except FileNotFoundError:
        return None


def part_of(job: BackgroundJob) -> Path | None:
    """Return where the last run of an export writes its file, which is there until it is whole; None before the first run,
    and with a bucket, which has no file before it is whole."""
    files = shared_files.exports()
    if not files.files_grow or job.kind == BackgroundJob.Kind.IMPORT or not job.run:
        return None
    return growing_files.part_of(Path(files.path(_file_name(job))))


def silent_seconds(job: BackgroundJob) -> int:
    """Return for how long the worker of a running job has shown no sign of life."""
    return int((timezone.now() - job.alive_at).total_seconds()) if job.alive_at else 0


def is_lost(job: BackgroundJob) -> bool:
    """Whether the worker of a running job shows no sign of life."""
    return job.state == State.RUNNING and (job.alive_at is None or job.alive_at < _lost_before())


def _file_name(job: BackgroundJob) -> str:
    """Return the name of the file that this run of an export writes."""
    return f"{job.pk}-{job.run}.{'csv' if job.kind == BackgroundJob.Kind.EXPORT_CSV else 'xlsx'}"


def due_jobs() -> list[int]:
    """Return the keys of the jobs that no worker is doing, the oldest first."""
    return list(BackgroundJob.objects.filter(_free()).order_by("created_at").values_list("pk", flat=True))


def _free() -> Q:
    return Q(state=State.WAITING) | Q(state=State.RUNNING, alive_at__lt=_lost_before())


def _lost_before() -> datetime:
    return timezone.now() - timedelta(seconds=LOST_SECONDS)


def work(pk: int) -> None:
    """Do one job, if no other worker does and it is its turn. May run twice."""
    job = BackgroundJob.objects.filter(pk=pk).first()
    if job is None or limit_met(job, under_way()):
        return
    _work(pk, former=job)
    for waiting in due_jobs():
        enqueue.background(waiting)


def under_way() -> list[tuple[str, int]]:
    """Return the kind and the person's id of each job that a worker is doing: a few."""
    running = BackgroundJob.objects.filter(state=State.RUNNING).exclude(_free()).order_by()
    return list(running.values_list("kind", "person"))


def limit_met(job: BackgroundJob, jobs_under_way: list[tuple[str, int]]) -> Limit | None:
    """Return which limit a waiting job waits for, if any. The same few threads (`SLOW_THREADS`) read balances, the
    catalog and ThueSim's history, and these shall not wait for exports."""
    is_import = job.kind == BackgroundJob.Kind.IMPORT
    people = [person for kind, person in jobs_under_way if (kind == BackgroundJob.Kind.IMPORT) == is_import]
    if is_import:
        return Limit.IMPORTS if people else None
    if people.count(job.person_id) >= MAX_EXPORTS_OF_ONE:
        return Limit.OF_ONE
    return Limit.OF_ALL if len(people) >= MAX_EXPORTS else None


def _work(pk: int, former: BackgroundJob) -> None:
    run = secrets.token_hex(8)
    claimed = BackgroundJob.objects.filter(_free(), pk=pk).update(
        state=State.RUNNING, run=run, alive_at=timezone.now(), done=0, total=None
    )
    if not claimed:
        return
    job = BackgroundJob.objects.select_related("person", "team", "token", "record").get(pk=pk)
    if (part := part_of(former)) is not None:
        part.unlink(missing_ok=True)  # of a run that is dead: its reader notices
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
    is_csv = job.kind == BackgroundJob.Kind.EXPORT_CSV
    count = 0 if is_csv else rentals.order_by()[: MAX_IN_EXCEL + 1].count()
    if count > MAX_IN_EXCEL:
        _end(job, State.FAILED, reason="too_many")
        return
    name = _file_name(job)
    try:
        with _begun(name) as file, _Progress(job, rentals.order_by().count) as progress:
            table = progress.counting(exports.rows(rentals, access, job.record))
            if is_csv:
                exports.write_csv(table, file)
            else:
                exports.write_xlsx(table, file, count=count)
            _keep(name, file, progress)
        # Offered as a whole from here on.
        done = progress.done
        _update(job, state=State.DONE, ended_at=timezone.now(), done=done, total=done, file=name)
    except BaseException:
        with suppress(OSError):  # then `delete_old` deletes it
            shared_files.exports().delete(name)
            if (part := part_of(job)) is not None:
                part.unlink(missing_ok=True)
        raise


def _begun(name: str) -> GrowingFile | IO[bytes]:
    """Return the file that an export is written to: in the folder of exports, where its reader follows it; with a bucket,
    one without a name, so that it is gone with this process, whatever ends that."""
    files = shared_files.exports()
    return GrowingFile(Path(files.path(name))) if files.files_grow else tempfile.TemporaryFile(dir=settings.DATA_DIR)


def _keep(name: str, file: GrowingFile | IO[bytes], progress: "_Progress") -> None:
    """Keep a finished export under `name`. Where the bucket does not answer, it is tried for `MAX_STORAGE_SECONDS`; then
    this raises `shared_files.Unreachable`."""
    if isinstance(file, GrowingFile):
        file.complete()
        return
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
    """Writes down every `PROGRESS_SECONDS` how many rows are done and that the worker is alive; the first
    time it counts them, too.

    By a thread: to count ten million rows takes seconds, in which the first of them are on their way, and to put a large
    file into a bucket takes a minute.
    """

    def __init__(self, job: BackgroundJob, count: Callable[[], int]) -> None:
        self.done = 0
        self._job, self._count, self._lost = job, count, False
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
            self.done += 1
            yield row

    def wait(self, seconds: float) -> None:
        """Wait. Raises `LostToAnother`."""
        time.sleep(seconds)
        if self._lost:
            raise LostToAnother

    def _write(self) -> None:
        total: dict[str, int] = {}
        while not self._lost and not self._end.wait(PROGRESS_SECONDS):
            try:
                total = total or {"total": self._count()}
                _update(self._job, done=self.done, **total)
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
    reconciling.reconcile(job.token.pk, deep=True, progress=lambda done, total: _update(job, done=done, total=total))
    _update(job, state=State.DONE, ended_at=timezone.now(), done=max(0, imported.count() - before))


def delete_old() -> None:
    """Delete jobs a day old, with their files, and files without a job. Raises `OSError` where the files do not answer;
    the next run goes on."""
    BackgroundJob.objects.filter(created_at__lt=timezone.now() - RETENTION).delete()
    file_names = set(BackgroundJob.objects.exclude(file="").values_list("file", flat=True))
    hour_ago = timezone.now() - timedelta(hours=1)
    for name, modified in shared_files.exports().modified("").items():
        # A young file without a job is being written.
        if name not in file_names and modified < hour_ago:
            shared_files.exports().delete(name)
