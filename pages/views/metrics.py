"""Figures for Prometheus, read from the database when asked for."""

import ipaddress
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import Count
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
from pages.live.hub import open_streams
from rentals.models import BackgroundJob, Callback, Heartbeat, JobRun, Rental, Status, Token

# A proxy on this machine passes strangers on from a loopback address, and says so in one of these.
_PROXIED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


class _Desk(Collector):
    """The desk's figures. Eight queries, none of which reads the whole history."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = timezone.now()
        rentals = GaugeMetricFamily("desk_open_rentals", "Rentals that are not at their end.", labels=["status"])
        counted = Rental.objects.filter(status__in=Status.open()).order_by().values_list("status").annotate(Count("pk"))
        found = dict(counted)
        for status in Status.open():
            rentals.add_metric([status.value], found.get(status.value, 0))
        yield rentals
        recent = GaugeMetricFamily(
            "desk_ordered_last_hour", "What became of the orders of the last hour.", labels=["status"]
        )
        # Team by team: so the index of each team's history serves.
        ordered = Rental.objects.filter(team__in=Team.objects.all(), queued_at__gt=now - timedelta(hours=1)).order_by()
        became = dict(ordered.values_list("status").annotate(Count("pk")))
        for name in Status.values:
            recent.add_metric([name], became.get(name, 0))
        yield recent
        yield GaugeMetricFamily("desk_queue_length", "Orders in the queue.", found.get(Status.QUEUED, 0))
        late = Rental.objects.filter(status__in=Status.open(), due_at__lt=now)
        oldest = late.order_by("due_at").values_list("due_at", flat=True).first()
        yield GaugeMetricFamily(
            "desk_oldest_due_seconds",
            "For how long the oldest open rental has been due.",
            (now - oldest).total_seconds() if oldest else 0,
        )
        yield from _tokens()
        ages = GaugeMetricFamily(
            "desk_job_age_seconds", "Seconds since a recurring job last succeeded.", labels=["job", "token"]
        )
        for name, token, at in JobRun.objects.values_list("name", "token__name", "ok_at"):
            if at is not None:
                ages.add_metric([name, token or ""], (now - at).total_seconds())
        yield ages
        beats = GaugeMetricFamily(
            "desk_heartbeat_age_seconds", "Seconds since a process's last sign of life.", labels=["kind", "name"]
        )
        for kind, name, at in Heartbeat.objects.values_list("kind", "name", "at"):
            beats.add_metric([kind, name], (now - at).total_seconds())
        yield beats
        pending = Callback.objects.filter(state=Callback.State.PENDING).count()
        yield GaugeMetricFamily("desk_callbacks_pending", "Callbacks that are not applied yet.", pending)
        waiting = BackgroundJob.objects.filter(state__in=["waiting", "running"]).count()
        yield GaugeMetricFamily("desk_background_jobs", "Exports and imports that are not finished.", waiting)
        yield GaugeMetricFamily("desk_open_streams", "Live streams that this web process holds open.", open_streams())


def _tokens() -> Iterator[GaugeMetricFamily]:
    faults = GaugeMetricFamily("desk_token_faults", "Faults of the upstream in a row.", labels=["token"])
    balances = GaugeMetricFamily("desk_token_balance_dong", "The balance that was read last.", labels=["token"])
    for name, in_a_row, balance in Token.objects.values_list("name", "faults", "balance"):
        faults.add_metric([name], in_a_row)
        if balance is not None:
            balances.add_metric([name], balance)
    yield faults
    yield balances


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer programs on this machine, and who brings the token of `DESK_METRICS_TOKEN`. 503 without a database."""
    if not (_has_token(request) or _is_local(request)):
        raise PermissionDenied
    registry = CollectorRegistry(auto_describe=False)
    try:
        registry.register(_Desk())
        body = generate_latest(registry)
    except DatabaseError:
        return HttpResponse("the database is down\n", status=503, content_type="text/plain")
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    wanted = settings.METRICS_TOKEN
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(wanted) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), wanted)


def _is_local(request: HttpRequest) -> bool:
    if any(name in request.headers for name in _PROXIED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
