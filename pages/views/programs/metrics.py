"""Metrics for Prometheus, read from the database at each request."""

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from urllib.parse import urljoin

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import Count, Max, Sum
from django.db.models.functions import Abs
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from accounts.models import Team
from accounts.sign_in import throttle
from lib.redis_access.redis_state import Store
from pages.live.hub import open_streams
from pages.presenters.readiness import readiness_at, with_all
from rentals.models import (
    BackgroundJob,
    BalanceQuestion,
    Callback,
    Delivery,
    Heartbeat,
    JobName,
    JobRun,
    Rental,
    Status,
    Token,
    UpstreamMinute,
)
from rentals.upstream import pacing

ORDERS = ("rent", "rent_again")  # the endpoints that take a token's turn
# A proxy on this machine forwards strangers from a loopback address, and sets one of these headers.
_PROXY_HEADERS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via")


class DeskCollector(Collector):
    """The desk's figures. Seventeen queries, none of which reads the whole history."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = timezone.now()
        yield from _rentals(now)
        yield from _tokens()
        runs = list(JobRun.objects.values_list("name", "token__name", "ok_at", "at"))
        yield from _processes(now, runs)
        yield from _upstream(now)
        yield from _backlog()
        yield from _deliveries(now)
        yield from _money()
        yield from _stores(next((at for name, _token, _ok, at in runs if name == JobName.TICK), None))
        yield GaugeMetricFamily("desk_open_streams", "Live streams that this web process holds open.", open_streams())


def _rentals(now: datetime) -> Iterator[GaugeMetricFamily]:
    open_rentals = Rental.objects.filter(status__in=Status.open()).order_by()
    by_status = dict(open_rentals.values_list("status").annotate(Count("pk")))
    yield _by_status("desk_open_rentals", "Rentals that are not at their end.", by_status, Status.open())
    # Team by team: so the index of each team's history serves.
    ordered = Rental.objects.filter(team__in=Team.objects.all(), queued_at__gt=now - timedelta(hours=1)).order_by()
    outcomes = dict(ordered.values_list("status").annotate(Count("pk")))
    yield _by_status("desk_ordered_last_hour", "What became of the orders of the last hour.", outcomes, Status)
    yield GaugeMetricFamily("desk_queue_length", "Orders in the queue.", by_status.get(Status.QUEUED, 0))
    due = open_rentals.filter(due_at__lt=now).order_by("due_at")
    oldest = due.values_list("due_at", flat=True).first()
    seconds = (now - oldest).total_seconds() if oldest else 0
    yield GaugeMetricFamily("desk_oldest_due_seconds", "For how long the oldest open rental has been due.", seconds)


def _by_status(name: str, help_text: str, counts: dict[str, int], statuses: Iterable[Status]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=["status"])
    for status in statuses:
        family.add_metric([status.value], counts.get(status.value, 0))
    return family


def _tokens() -> Iterator[GaugeMetricFamily]:
    # The name is a contract with the monitoring that reads it.
    errors = GaugeMetricFamily("desk_token_faults", "Errors of the upstream in a row.", labels=["token"])
    balances = GaugeMetricFamily("desk_token_balance_dong", "The balance that was read last.", labels=["token"])
    for name, in_a_row, balance in Token.objects.values_list("name", "faults", "balance"):
        errors.add_metric([name], in_a_row)
        if balance is not None:
            balances.add_metric([name], balance)
    yield errors
    yield balances


def _upstream(now: datetime) -> Iterator[GaugeMetricFamily]:
    """The last hour, by the minutes that each worker writes with its heartbeat: up to ten seconds late."""
    hour = UpstreamMinute.objects.filter(minute__gt=now - timedelta(hours=1)).order_by()
    sums = hour.values_list("endpoint").annotate(Sum("calls"), Sum("faults"), Sum("milliseconds"), Max("slowest"))
    calls = _by("endpoint", "desk_upstream_calls_last_hour", "Calls of ThueSim's API in the last hour.")
    errors = _by("endpoint", "desk_upstream_errors_last_hour", "Those of them that ThueSim failed.")
    seconds = _by("endpoint", "desk_upstream_seconds_last_hour", "How long they took together.")
    slowest = _by("endpoint", "desk_upstream_slowest_seconds_last_hour", "How long the slowest of them took.")
    for endpoint, count, failed, milliseconds, longest in sums:
        calls.add_metric([endpoint], count)
        errors.add_metric([endpoint], failed)
        seconds.add_metric([endpoint], milliseconds / 1000)
        slowest.add_metric([endpoint], longest / 1000)
    used = _by("token", "desk_token_gap_used_ratio", "The share of the last hour's turns to order that was used.")
    orders = hour.filter(endpoint__in=ORDERS).values_list("token__name").annotate(Sum("calls"))
    for token, count in orders:
        used.add_metric([token], count * pacing.gap_seconds() / 3600)
    yield from (calls, errors, seconds, slowest, used)


def _deliveries(now: datetime) -> Iterator[GaugeMetricFamily]:
    states = Delivery.State
    due = Delivery.objects.filter(state=states.PENDING).order_by("next_try")
    oldest = due.values_list("at", flat=True).first()
    seconds = (now - oldest).total_seconds() if oldest else 0
    yield GaugeMetricFamily("desk_deliveries_pending", "Outgoing events that are to be sent.", due.count())
    yield GaugeMetricFamily("desk_delivery_age_seconds", "How old the next outgoing event to be sent is.", seconds)
    failed = Delivery.objects.filter(state=states.FAILED, at__gt=now - timedelta(hours=1)).count()
    yield GaugeMetricFamily("desk_deliveries_failed_last_hour", "Events of the last hour that were given up.", failed)


def _money() -> Iterator[GaugeMetricFamily]:
    unanswered = BalanceQuestion.objects.filter(answer="")
    found = unanswered.aggregate(count=Count("pk"), dong=Sum(Abs("amount")))
    yield GaugeMetricFamily("desk_money_questions", "Movements of balances that nobody has explained.", found["count"])
    yield GaugeMetricFamily("desk_money_unexplained_dong", "How much money these are, in đồng.", found["dong"] or 0)


def _by(label: str, name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, labels=[label])


Run = tuple[str, str | None, datetime | None, datetime | None]


def _processes(now: datetime, runs: Iterable[Run]) -> Iterator[GaugeMetricFamily]:
    ages = GaugeMetricFamily(
        "desk_job_age_seconds", "Seconds since a recurring job last succeeded.", labels=["job", "token"]
    )
    for name, token, ok_at, _at in runs:
        if ok_at is not None:
            ages.add_metric([name, token or ""], (now - ok_at).total_seconds())
    yield ages
    heartbeats = GaugeMetricFamily(
        "desk_heartbeat_age_seconds", "Seconds since a process's last heartbeat.", labels=["kind", "name"]
    )
    for kind, name, at in Heartbeat.objects.values_list("kind", "name", "at"):
        heartbeats.add_metric([kind, name], (now - at).total_seconds())
    yield heartbeats


def _stores(ticked: datetime | None) -> Iterator[GaugeMetricFamily]:
    now = with_all(readiness_at(ticked))
    ready = "1 if /readyz answers 200."
    writable = "1 if the database takes writes; 0 if its disk is full."
    takes = "1 if Redis takes messages; 0 if it is full (maxmemory) or down."
    yield GaugeMetricFamily("desk_ready", ready, int(now.is_ready))
    yield GaugeMetricFamily("desk_database_writable", writable, int(now.database == Store.UP))
    yield GaugeMetricFamily("desk_redis_takes_messages", takes, int(now.redis == Store.UP))
    differs = "1 for each setting in which a machine is not like the others."
    unlike = GaugeMetricFamily("desk_machine_differs", differs, labels=["machine", "setting"])
    for difference in now.differences:
        for machine in difference.machines:
            unlike.add_metric([machine, difference.setting], 1)
    yield unlike
    yield GaugeMetricFamily("desk_disk_free_bytes", "What is free on the data directory's disk.", now.disk_free_bytes)


def _backlog() -> Iterator[GaugeMetricFamily]:
    pending = Callback.objects.filter(state=Callback.State.PENDING).count()
    yield GaugeMetricFamily("desk_callbacks_pending", "Callbacks that are not applied yet.", pending)
    states = BackgroundJob.State
    unfinished = BackgroundJob.objects.filter(state__in=[states.WAITING, states.RUNNING]).count()
    yield GaugeMetricFamily("desk_background_jobs", "Exports and imports that are not finished.", unfinished)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer programs on this machine, and any that sends the token of `DESK_METRICS_TOKEN`. 503 without a database."""
    if not (_has_token(request) or _is_local(request)):
        if "Authorization" in request.headers and throttle.too_many_wrong_secrets(request):
            return throttle.too_many(request)
        raise PermissionDenied
    registry = CollectorRegistry(auto_describe=False)
    try:
        registry.register(DeskCollector())
        body = generate_latest(registry)
    except DatabaseError:
        headers = {"Retry-After": "5"}
        return HttpResponse("the database is down\n", status=503, content_type="text/plain", headers=headers)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(credentials.strip(), token)


def _is_local(request: HttpRequest) -> bool:
    """Whether a program on this machine asks, and not by way of a proxy, which may set no header but the public host."""
    public = urljoin(settings.PUBLIC_URL.lower(), "/").removesuffix("/")
    is_public = f"https://{request.get_host().lower()}/".startswith((f"{public}/", f"{public}:"))
    if is_public or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
