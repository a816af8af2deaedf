"""How the desk and the upstream are doing, as the system page shows it: what runs, how old each reading is, what waits.

A person sees their team's tokens and orders; an admin sees all of them, and alone how many calls and messages there are
where several teams cause them. Every age comes with the number of seconds after
which it is stale, since an age alone says nothing to a reader who does not know the schedule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.conf import settings
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Team
from accounts.policy import Access
from lib.network.public_url import Finding
from lib.redis_access import redis_state
from lib.redis_access.redis_state import Store
from pages.presenters.readiness import Readiness, readiness_at
from rentals.jobs.upkeep import heartbeats, machines
from rentals.jobs.upkeep.machines import Difference
from rentals.models import (
    BackgroundJob,
    Callback,
    Heartbeat,
    Hold,
    JobName,
    JobRun,
    PublicUrlCheck,
    Rental,
    Status,
    Token,
    labels,
)
from rentals.queries.call_statistics import EndpointCalls, calls_by_endpoint
from rentals.task_names import TaskQueue
from rentals.upstream import breaker

# The recurring jobs, with the seconds after which one that has not succeeded is late.
JOBS: Mapping[str, int] = {
    JobName.TICK: 10,
    JobName.STATISTICS: 600,
    JobName.BALANCE: 120,
    JobName.CATALOG: 240,
    JobName.RECONCILE: 240,
    JobName.STORAGE: 150,
}
CALLS_WITHIN = timedelta(hours=1)
CHECK_WITHIN = timedelta(seconds=90)  # a check of the public address that takes longer was lost
_NO_ANSWER = (Hold.NONE, Hold.DOWN)
_AFTER_FAILURES = (Hold.DOWN, Hold.INVALID)


@dataclass(frozen=True, slots=True)
class Age:
    """When something last succeeded, and after how many seconds that is too long ago."""

    at: datetime | None
    stale_after: int

    @property
    def is_stale(self) -> bool:
        return self.at is None or timezone.now() - self.at > timedelta(seconds=self.stale_after)


@dataclass(frozen=True, slots=True)
class Job:
    """A recurring job: `age` since it last succeeded, and its error since then."""

    label: Promise | str
    age: Age
    error: str


# What waits in each of the broker's queues, as it is said on the screen.
_QUEUES: Mapping[str, Promise] = {
    TaskQueue.TICKS: _("clock"),
    TaskQueue.RENTING: _("orders"),
    TaskQueue.POLLING: _("code checks"),
    TaskQueue.SLOW: _("slow work"),
    TaskQueue.OUTGOING: _("outgoing events"),
}


def queue_label(name: str) -> str:
    """Return what a queue is called on the screen. That of another version is called as it is."""
    return str(_QUEUES.get(name, name))


@dataclass(frozen=True, slots=True)
class Process:
    """A worker or the scheduler."""

    kind: str
    name: str
    queues: str
    age: Age

    @property
    def label(self) -> str:
        """What it is called on the screen, with the number of `worker-2`."""
        kind = str(labels.PROCESSES.get(self.kind, self.kind))
        _, _, number = self.name.partition("@")[0].rpartition("-")
        return f"{kind[:1].upper()}{kind[1:]} {number if number.isdecimal() else ''}".strip()

    @property
    def queue_names(self) -> list[str]:
        return self.queues.split(", ") if self.queues else []

    @property
    def queue_labels(self) -> str:
        return ", ".join(queue_label(name) for name in self.queue_names)


@dataclass(frozen=True, slots=True)
class TokenHealth:
    """A token as the upstream treats it. `counts_calls` is false where the calls are other teams' as well."""

    token: Token
    hold: Hold
    answered: Age
    jobs: list[Job]
    endpoints: list[EndpointCalls]
    counts_calls: bool

    @property
    def is_unanswered(self) -> bool:
        """Whether the last call failed."""
        return self.token.faults > 0

    @property
    def is_well(self) -> bool:
        late = any(job.age.is_stale for job in self.jobs)
        return self.hold == Hold.NONE and not self.is_unanswered and not late


@dataclass(frozen=True, slots=True)
class Queue:
    """Open rentals: how many in each status, and since when the oldest order has been due."""

    queued: int
    placing: int
    waiting: int
    unconfirmed: int
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What ThueSim sent in the last day."""

    last_at: datetime | None
    today: int
    pending: int
    unknown: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The public address, and what the last check of it found: `sentences` is None where there was none of this address."""

    url: str
    is_asked: bool
    checked_at: datetime | None
    sentences: list[str] | None


@dataclass(frozen=True, slots=True)
class SystemState:
    """All that the system page shows. `messages` are the lengths of the broker's queues, None where Redis is silent."""

    at: datetime
    jobs: list[Job]
    processes: list[Process]
    tokens: list[TokenHealth]
    queue: Queue
    callbacks: Callbacks
    messages: dict[str, int] | None
    background: int
    readiness: Readiness
    # Of an admin:
    public_url: PublicUrl | None
    machines: list[tuple[str, str]]  # the name, with its roles, and the version of each
    differences: list[Difference]

    @property
    def message_counts(self) -> list[tuple[str, int]]:
        """How many messages wait in each queue, by its label."""
        return [(queue_label(name), count) for name, count in (self.messages or {}).items()]

    @property
    def missing(self) -> list[str]:
        """The kinds of process of which none is alive, and the queues whose workers have all stopped responding."""
        alive = [process for process in self.processes if not process.age.is_stale]
        kinds = {process.kind for process in alive}
        served = {queue for process in alive for queue in process.queue_names}
        all_queues = {queue for process in self.processes for queue in process.queue_names}
        silent = sorted(all_queues - served) if Heartbeat.Kind.WORKER in kinds else []
        return [str(labels.PROCESSES[kind]) for kind in Heartbeat.Kind if kind.value not in kinds] + [
            f"{labels.PROCESSES[Heartbeat.Kind.WORKER]} ({queue_label(queue)})" for queue in silent
        ]

    @property
    def unanswered(self) -> list[str]:
        """The names of the tokens whose last call had no answer of use; one that is refused has its own words below."""
        return [health.token.name for health in self.tokens if health.is_unanswered and health.hold in _NO_ANSWER]

    @property
    def is_well(self) -> bool:
        late = any(job.age.is_stale for job in self.jobs)
        roomy = not self.readiness.disk_is_low and {self.readiness.database, self.readiness.redis} == {Store.UP}
        alike = not self.differences
        return not self.missing and not late and all(token.is_well for token in self.tokens) and roomy and alike


def system_state(access: Access) -> SystemState:
    """Return the state of everything. Eight queries (an admin's: ten), however many tokens there are, and two requests to
    Redis."""
    tokens = list(_tokens(access))
    running = machines.running() if access.is_admin else []
    named = machines.names(running)
    runs = list(JobRun.objects.filter(Q(token=None) | Q(token__in=tokens)).order_by("name"))
    return SystemState(
        at=timezone.now(),
        jobs=_jobs(run for run in runs if run.token_id is None),
        processes=_processes(access),
        tokens=_token_healths(access, tokens, runs),
        queue=_queue(access),
        callbacks=_callbacks(access, tokens),
        messages=_messages(),
        background=_background(access),
        readiness=readiness_at(next((run.at for run in runs if run.name == JobName.TICK), None)),
        public_url=_public_url() if access.is_admin else None,
        machines=[(named[machine.key], machine.version) for machine in running],
        differences=machines.settled_differences(running),
    )


def _public_url() -> PublicUrl:
    url, check = settings.PUBLIC_URL, PublicUrlCheck.objects.first()
    if check is None or not url:
        return PublicUrl(url, is_asked=False, checked_at=None, sentences=None)
    is_asked = check.asked_at > max(check.done_at or check.asked_at - CHECK_WITHIN, timezone.now() - CHECK_WITHIN)
    if check.done_at is None or check.url != url:
        return PublicUrl(url, is_asked, checked_at=None, sentences=None)
    findings = map(Finding.from_json, check.findings)
    return PublicUrl(url, is_asked, check.done_at, [finding.sentence for finding in findings if finding])


def _background(access: Access) -> int:
    """Count the background jobs that are not finished: an admin's count has all teams', another person's their team's."""
    jobs = BackgroundJob.objects.filter(state__in=["waiting", "running"])
    return (jobs if access.is_admin else jobs.filter(team=access.team_id)).count()


def _tokens(access: Access) -> QuerySet[Token]:
    tokens = Token.objects.all() if access.is_admin else Token.objects.filter(teams=access.team_id)
    others = Team.objects.filter(tokens=OuterRef("pk")).exclude(pk=access.team_id or 0)
    return tokens.annotate(shared=Exists(others))


def _jobs(runs: Iterable[JobRun]) -> list[Job]:
    by_name = {run.name: run for run in runs if run.name in JOBS}
    return [_job(by_name[name]) for name in JOBS if name in by_name]


def _job(run: JobRun) -> Job:
    return Job(labels.JOBS[run.name], Age(run.ok_at, JOBS[run.name]), run.fault)


def _processes(access: Access) -> list[Process]:
    """Return the processes; only admins see the host's name and the process number."""
    return [
        Process(
            kind=beat.kind,
            name=beat.name if access.is_admin else beat.name.partition("@")[0],
            queues=beat.queues,
            age=Age(beat.at, heartbeats.STALE_SECONDS),
        )
        for beat in Heartbeat.objects.order_by("kind", "name")
    ]


def _token_healths(access: Access, tokens: Iterable[Token], runs: Iterable[JobRun]) -> list[TokenHealth]:
    jobs: dict[int, list[Job]] = {}
    for run in runs:
        if run.token_id is not None and run.name in JOBS:
            jobs.setdefault(run.token_id, []).append(_job(run))
    counted = {token.pk for token in tokens if access.is_admin or not token.shared}  # type: ignore[attr-defined]
    calls = calls_by_endpoint([token for token in tokens if token.pk in counted], within=CALLS_WITHIN)
    return [
        TokenHealth(
            token=token,
            hold=_hold(token),
            answered=Age(token.answered_at, 120),
            jobs=jobs.get(token.pk, []),
            endpoints=calls.get(token.pk, []),
            counts_calls=token.pk in counted,
        )
        for token in tokens
    ]


def _hold(token: Token) -> Hold:
    """Return the token's hold. One after a failed call ends by the clock, before the next call is made: until that is
    answered it is shown."""
    hold = breaker.hold_of(token)
    return Hold(token.hold) if hold == Hold.NONE and token.faults and token.hold in _AFTER_FAILURES else hold


def _queue(access: Access) -> Queue:
    rentals = Rental.objects.all() if access.is_admin else Rental.objects.visible_to(access)
    now = timezone.now()
    rows = dict(rentals.filter(status__in=Status.open()).order_by().values_list("status").annotate(Count("pk")))
    # Numbers are polled by token, not by the row's due time: only an order's due time shows that no worker came.
    late = rentals.filter(status__in=[Status.QUEUED, Status.PLACING, Status.UNCONFIRMED], due_at__lt=now)
    oldest = late.order_by().aggregate(at=Min("due_at"))["at"]
    return Queue(
        queued=rows.get(Status.QUEUED, 0),
        placing=rows.get(Status.PLACING, 0),
        waiting=rows.get(Status.WAITING, 0),
        unconfirmed=rows.get(Status.UNCONFIRMED, 0),
        oldest_due=oldest,
    )


def _callbacks(access: Access, tokens: Iterable[Token]) -> Callbacks:
    callbacks = Callback.objects.all()
    if not access.is_admin:
        callbacks = callbacks.filter(Q(rental=None) | Q(rental__team=access.team_id), token__in=tokens)
    state = Callback.State
    counts = callbacks.filter(at__gt=timezone.now() - timedelta(days=1)).aggregate(
        last=Max("at"),
        today=Count("pk"),
        pending=Count("pk", filter=Q(state=state.PENDING)),
        unknown=Count("pk", filter=Q(state=state.UNKNOWN)),
        unreadable=Count("pk", filter=Q(state=state.UNREADABLE)),
    )
    return Callbacks(counts["last"], counts["today"], counts["pending"], counts["unknown"], counts["unreadable"])


def _messages() -> dict[str, int] | None:
    """Return how many messages are in each of Celery's queues; None where Redis does not answer."""
    try:
        pipe = redis_state.client().pipeline(transaction=False)
        for name in TaskQueue:
            pipe.llen(name)
        return dict(zip(TaskQueue, pipe.execute(), strict=True))
    except (redis.RedisError, OSError):
        return None
