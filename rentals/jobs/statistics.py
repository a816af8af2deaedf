"""Success rate and median time to code of services, networks and prefixes, from a team's own history.

A page cannot count a million rentals, so a job counts them for every team every two minutes and keeps the sums. A rental
that was imported counts for the success rate, but not for the median: its message was found later than it came.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Value, Window
from django.db.models.functions import RowNumber, Substr
from django.utils import timezone

from accounts.models import Team
from accounts.policy import Access
from rentals import budgets
from rentals.jobs import runs
from rentals.models import JobName, JobRun, Rental, Service, ServiceFigure, StarredService, Status

DAYS = 30
REFRESH_SECONDS = 120
# With fewer rentals than this there is no success rate.
MIN_ENDED = 5

ENDED = (Status.RECEIVED, Status.EXPIRED)
RENTED = (Status.WAITING, *ENDED)
# The parts of a service's history: all of it, by network, by the two digits after +84.
_SCOPES = {"": Value(""), "network": F("network"), "prefix": Substr("phone", 4, 2)}


@dataclass(frozen=True, slots=True)
class Figure:
    """The statistics of a service, a network or a prefix: `success` is the rate in per cent, `median_seconds` the time to
    the code; each is None after too few rentals."""

    name: str
    rented: int
    ended: int
    received: int
    median_seconds: float | None

    @property
    def success(self) -> int | None:
        return round(100 * self.received / self.ended) if self.ended >= MIN_ENDED else None


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A service as one person sees it: whether they starred it, whether their team may order it, its statistics."""

    service: Service
    starred: bool
    allowed: bool
    figure: Figure

    @property
    def used(self) -> int:
        """How often the team rented it in the last `DAYS` days."""
        return self.figure.rented


def refresh_if_due() -> bool:
    """Count again if the last count is older than `REFRESH_SECONDS`. Returns whether it did. May run twice."""
    fresh = timezone.now() - timedelta(seconds=REFRESH_SECONDS)
    if JobRun.objects.filter(name=JobName.STATISTICS, token=None, at__gt=fresh).exists():
        return False
    runs.ran(JobName.STATISTICS)
    for team_id in Team.objects.values_list("pk", flat=True):
        refresh(team_id)
    return True


def refresh(team_id: int) -> None:
    """Count a team's rentals of the last `DAYS` days anew. Two queries per scope, one write, and no lock is held."""
    at = timezone.now()
    rented = Rental.objects.filter(team=team_id, status__in=RENTED, placed_at__gt=at - timedelta(days=DAYS)).order_by()
    figures: list[ServiceFigure] = []
    for scope, part in _SCOPES.items():
        counted = rented.annotate(part=part).values_list("service", "part")
        medians = _medians(rented.annotate(part=part))
        for service_id, name, all_, ended, received in counted.annotate(
            all=Count("pk"),
            ended=Count("pk", filter=Q(status__in=ENDED)),
            received=Count("pk", filter=Q(status=Status.RECEIVED)),
        ):
            if scope and not name:
                continue  # the network of a few numbers is not known
            figure = ServiceFigure(
                team_id=team_id,
                service_id=service_id,
                rented=all_,
                ended=ended,
                received=received,
                median_seconds=medians.get((service_id, name)),
                at=at,
            )
            if scope:
                setattr(figure, scope, name)
            figures.append(figure)
    ServiceFigure.objects.bulk_create(
        figures,
        update_conflicts=True,
        unique_fields=["team", "service", "network", "prefix"],
        update_fields=["rented", "ended", "received", "median_seconds", "at"],
        batch_size=500,
    )
    ServiceFigure.objects.filter(team=team_id).exclude(at=at).delete()


def _medians(rentals: "QuerySet[Rental]") -> dict[tuple[int, str], float]:
    """Return the median seconds to a code for each service and part: the middle row or the two middle rows of each."""
    came = rentals.filter(status=Status.RECEIVED, imported=False, received_at__gte=F("placed_at"))
    groups = [F("service"), F("part")]
    took = ExpressionWrapper(F("received_at") - F("placed_at"), output_field=DurationField())
    middle = (
        came.annotate(took=took)
        .annotate(
            row=Window(RowNumber(), partition_by=groups, order_by=[F("took"), F("pk")]),
            rows=Window(Count("pk"), partition_by=groups),
        )
        .filter(row__gte=(F("rows") + 1) / 2, row__lte=(F("rows") + 2) / 2)
    )
    seconds: dict[tuple[int, str], list[float]] = {}
    for service_id, name, duration in middle.values_list("service", "part", "took"):
        seconds.setdefault((service_id, name), []).append(duration.total_seconds())
    return {key: sum(values) / len(values) for key, values in seconds.items()}


def service_lines(access: Access, *, all_services: bool = False) -> list[ServiceLine]:
    """Return the services on offer, starred ones first, then the team's most used ones, then by name. Three queries.

    Only those that the team may order, unless `all_services`.
    """
    starred = StarredService.objects.filter(person=access.person_id, service=OuterRef("pk"))
    services = Service.objects.filter(active=True).annotate(
        allowed=Exists(budgets.services_of(access.team).filter(pk=OuterRef("pk"))), starred=Exists(starred)
    )
    if not all_services:
        services = services.filter(allowed=True)
    figures = {
        row.service_id: _figure(row) for row in ServiceFigure.objects.filter(team=access.team_id, network="", prefix="")
    }
    nothing = Figure("", 0, 0, 0, None)
    lines = [
        ServiceLine(service, service.starred, service.allowed, figures.get(service.pk, nothing)) for service in services
    ]
    return sorted(
        lines, key=lambda line: (not line.starred, -line.used, _natural(line.service.search_name), line.service.sv)
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Return the key by which names are sorted as people count: 1, 2, 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name) if part]


def figure_of(access: Access, service: Service) -> Figure:
    """Return the team's statistics of a service. One query."""
    row = ServiceFigure.objects.filter(team=access.team_id, service=service, network="", prefix="").first()
    return _figure(row) if row else Figure("", 0, 0, 0, None)


def by_network_and_prefix(access: Access, service: Service) -> tuple[list[Figure], list[Figure]]:
    """Return the statistics of a service by network and by prefix, the most rented first. One query."""
    rows = ServiceFigure.objects.filter(team=access.team_id, service=service).exclude(network="", prefix="")
    figures = sorted(rows, key=lambda row: (-row.rented, row.network, row.prefix))
    return [_figure(row) for row in figures if row.network], [_figure(row) for row in figures if row.prefix]


def counted_at() -> datetime | None:
    """Return when rentals were last counted."""
    return JobRun.objects.filter(name=JobName.STATISTICS, token=None).values_list("at", flat=True).first()


def _figure(row: ServiceFigure) -> Figure:
    name = row.network or (f"0{row.prefix}" if row.prefix else "")
    return Figure(name, row.rented, row.ended, row.received, row.median_seconds)


def overall(lines: Sequence[ServiceLine]) -> Figure:
    """Return the statistics of all services together, without a median: medians do not add up."""
    figures = [line.figure for line in lines]
    return Figure(
        "", sum(f.rented for f in figures), sum(f.ended for f in figures), sum(f.received for f in figures), None
    )
