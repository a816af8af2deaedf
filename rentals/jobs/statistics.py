"""Success rate and median time to code of services, networks and prefixes, from a team's own history.

A page cannot count a million rentals, so a job does for every team every two minutes. It counts by day, and counts a day
again where its rentals changed (`CountedDay`): its work grows with what is going on, not with 30 days. Medians come from
the seconds to each code, rounded. A rental that was imported counts for the success rate, but not for the median: its
message was found later than it came.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeAlias, TypedDict

from django.db.models import (
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce, Substr
from django.utils import timezone
from django_stubs_ext import WithAnnotations

from accounts.models import Team
from accounts.policy import Access
from lib.time_zones import desk_day
from lib.web.query_params import desk_midnight
from rentals import sums
from rentals.jobs import runs
from rentals.models import (
    CountedDay,
    JobName,
    JobRun,
    LedgerEntry,
    Rental,
    Service,
    ServiceFigure,
    StarredService,
    Status,
)

DAYS = 30
REFRESH_SECONDS = 120
# With fewer rentals than this there is no success rate.
MIN_ENDED = 5

ENDED = (Status.RECEIVED, Status.EXPIRED)
RENTED = (Status.WAITING, *ENDED)
# The fewest ended rentals of a network or prefix that make it a choice to name.
MIN_SAMPLES = 10
# So many services are named to the database, by their keys.
MAX_NAMED = 500
_PREFIX = Substr("phone", 4, 2)  # the two digits after +84
# A day is counted again after so long, whatever became of it.
RECOUNT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figure:
    """The statistics of a service, a network or a prefix: `success` is the rate in per cent, `median_seconds` the time to
    the code, `spent` what its ended rentals cost and was not refunded, in đồng; each is None after too few rentals."""

    name: str
    rented: int
    ended: int
    received: int
    median_seconds: float | None
    spent: int | None = None

    @property
    def success(self) -> int | None:
        return round(100 * self.received / self.ended) if self.ended >= MIN_ENDED else None

    @property
    def cost_per_code(self) -> int | None:
        """What one code cost in the end, in đồng: also the rentals without one count, less what was refunded."""
        known = self.spent is not None and self.received and self.ended >= MIN_ENDED
        return round((self.spent or 0) / self.received) if known else None


@dataclass(frozen=True, slots=True)
class BestChoice:
    """The network, or the network and prefix, on which a service's codes cost the team least lately. `prefix` is `""` or its
    digits without the 0; `figure` is the basis of the claim, and `overall` that of the whole service."""

    network: str
    prefix: str
    figure: Figure
    overall: Figure


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A service as one person sees it: whether they starred it, whether their team may order it, its statistics."""

    service: Service
    starred: bool
    allowed: bool
    figure: Figure
    best: BestChoice | None = None

    @property
    def used(self) -> int:
        """How often the team rented it in the last `DAYS` days."""
        return self.figure.rented


def refresh_if_due() -> bool:
    """Count again if the last count is older than `REFRESH_SECONDS`. Returns whether it did. May run twice."""
    fresh = timezone.now() - timedelta(seconds=REFRESH_SECONDS)
    if JobRun.objects.filter(name=JobName.STATISTICS, token=None, at__gt=fresh).exists():
        return False
    runs.note_run(JobName.STATISTICS)
    for team_id in Team.objects.values_list("pk", flat=True):
        refresh(team_id)
    return True


def refresh(team_id: int) -> None:
    """Count the days of a team whose rentals changed since their last count, and write what the last `DAYS` days come to.

    One query beside the folding where nothing changed; else three and a write for each such day. May run twice.
    """
    sums.fold()
    today, at = desk_day(), timezone.now()
    days = [today - timedelta(days=n) for n in range(DAYS)]
    counts = CountedDay.objects.filter(team=team_id)
    changed = ~Q(counted=F("changes")) | Q(waiting__gt=0) | Q(at=None) | Q(at__lt=at - RECOUNT)
    due = set(days) - set(counts.filter(day__in=days).exclude(changed).values_list("day", flat=True))
    if not due:
        return
    CountedDay.objects.bulk_create([CountedDay(team_id=team_id, day=day) for day in due], ignore_conflicts=True)
    for day in counts.filter(day__in=due):
        _count_day(day)
    counts.exclude(day__in=days).delete()
    _write_figures(team_id, [figures for line in counts.values_list("figures", flat=True) for figures in line])


def _count_day(day: CountedDay) -> None:
    """Count the rentals of a day. A count that saw more changes than this one stays."""
    at, placed = (
        timezone.now(),
        {"placed_at__gte": desk_midnight(day.day), "placed_at__lt": desk_midnight(day.day + timedelta(1))},
    )
    rented = Rental.objects.filter(team=day.team_id, status__in=RENTED, **placed).order_by()
    parts: dict[_Scope, _Counts] = defaultdict(_Counts)
    for scope, *counted in _counted(rented):
        parts[scope].add(*counted)
    for scope, amount in _refunded(rented):
        parts[scope].spent -= amount
    for scope, seconds, codes in _seconds(rented):
        parts[scope].seconds[str(seconds)] += codes
    CountedDay.objects.filter(pk=day.pk, counted__lte=day.changes).update(
        counted=day.changes,
        waiting=sum(part.rented - part.ended for part in parts.values()),
        at=at,
        figures=[[*scope, *part] for scope, part in parts.items()],
    )


def _write_figures(team_id: int, lines: Iterable[Sequence[Any]]) -> None:
    """Write the figures of all scopes from those of each day, service, network and prefix."""
    at = timezone.now()
    totals: dict[_Scope, _Counts] = defaultdict(_Counts)
    for service_id, network, prefix, rented, ended, received, spent, seconds in lines:
        for scope in _scopes(service_id, network, prefix):
            totals[scope].add(rented, ended, received, spent, seconds)
    figures = [
        ServiceFigure(
            team_id=team_id,
            service_id=scope[0],
            network=scope[1],
            prefix=scope[2],
            rented=total.rented,
            ended=total.ended,
            received=total.received,
            spent=total.spent,
            median_seconds=_median(total.seconds),
            at=at,
        )
        for scope, total in totals.items()
    ]
    ServiceFigure.objects.bulk_create(
        figures,
        update_conflicts=True,
        unique_fields=["team", "service", "network", "prefix"],
        update_fields=["rented", "ended", "received", "spent", "median_seconds", "at"],
        batch_size=500,
    )
    ServiceFigure.objects.filter(team=team_id).exclude(at=at).delete()


# A service's id, a network and a prefix; `""` where all networks or prefixes are meant.
_Scope = tuple[int, str, str]


@dataclass(slots=True)
class _Counts:
    """What is counted of a scope. `spent` is what its ended rentals cost and was not refunded, in đồng; `seconds` how many
    codes came after so many seconds."""

    rented: int = 0
    ended: int = 0
    received: int = 0
    spent: int = 0
    seconds: Counter[str] = field(default_factory=Counter)

    def add(
        self, rented: int, ended: int, received: int, charged: int, seconds: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.rented += rented
        self.ended += ended
        self.received += received
        self.spent += charged
        for key, codes in seconds.items():
            self.seconds[key] += codes

    def __iter__(self) -> Iterator[Any]:
        return iter((self.rented, self.ended, self.received, self.spent, self.seconds))


def _scopes(service_id: int, network: str, prefix: str) -> set[_Scope]:
    """Return the scopes that a rental counts for. The network of a few numbers is not known."""
    return {(service_id, n, p) for n in {"", network} for p in {"", prefix}}


def _counted(rented: "QuerySet[Rental]") -> Iterator[tuple[Any, ...]]:
    """Yield each service, network and prefix with its counts; the coarser scopes are sums of these. One query."""
    rows = (
        rented.annotate(part=_PREFIX)
        .values_list("service", "network", "part")
        .annotate(
            all=Count("pk"),
            ended=Count("pk", filter=Q(status__in=ENDED)),
            received=Count("pk", filter=Q(status=Status.RECEIVED)),
            charged=Coalesce(Sum("price", filter=Q(status__in=ENDED)), 0),
        )
    )
    return ((tuple(row[:3]), *row[3:]) for row in rows)


def _refunded(rented: "QuerySet[Rental]") -> Iterator[tuple[_Scope, int]]:
    """Yield what was refunded of the ended rentals, by service, network and prefix. One query."""
    is_refund = Q(ledger__kind=LedgerEntry.Kind.REFUND, ledger__taken_back=False)
    rows = (
        rented.filter(is_refund, status__in=ENDED)
        .annotate(part=_PREFIX)
        .values_list("service", "network", "part")
        .annotate(amount=Sum("ledger__amount"))
    )
    return (((service_id, network, prefix), amount) for service_id, network, prefix, amount in rows)


class _WholeSeconds(Func):
    """A duration in seconds, rounded."""

    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        return super().as_sql(
            compiler, connection, template="ROUND(EXTRACT(EPOCH FROM %(expressions)s))::int", **context
        )

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        template = "CAST(ROUND(%(expressions)s / 1000000.0) AS INTEGER)"  # of microseconds
        return super().as_sql(compiler, connection, template=template, **context)


def _seconds(rented: "QuerySet[Rental]") -> Iterator[tuple[_Scope, int, int]]:
    """Yield how many codes came after how many seconds, by service, network and prefix. One query."""
    took = ExpressionWrapper(F("received_at") - F("placed_at"), output_field=DurationField())
    rows = (
        rented.filter(status=Status.RECEIVED, imported=False, received_at__gte=F("placed_at"))
        .annotate(part=_PREFIX, seconds=_WholeSeconds(took))
        .values_list("service", "network", "part", "seconds")
        .annotate(codes=Count("pk"))
    )
    return (((service_id, network, prefix), seconds, codes) for service_id, network, prefix, seconds, codes in rows)


def _median(codes: Mapping[str, int]) -> float | None:
    """Return the median of seconds, from how many codes came after so many: the mean of the two middle ones."""
    total, passed, middle = sum(codes.values()), 0, list[int]()
    for seconds in sorted(codes, key=int):
        passed += codes[seconds]
        while len(middle) < 2 and passed > (total - 1 + len(middle)) // 2:
            middle.append(int(seconds))
    return sum(middle) / 2 if middle else None


class _Seen(TypedDict):
    starred: bool
    allowed: bool
    used: int


SeenService: TypeAlias = "WithAnnotations[Service, _Seen]"
SeenServices: TypeAlias = "QuerySet[SeenService]"


def seen_services(access: Access) -> SeenServices:
    """Return the services on offer for `lines_of`: starred ones first, then the team's most used ones, then by name.

    They have what the person sees of them: `starred`, `used`, and whether the team may order them, `allowed`.
    """
    starred = StarredService.objects.filter(person=access.person_id, service=OuterRef("pk"))
    whole = Q(figures__team=access.team_id, figures__network="", figures__prefix="")
    # Those chosen for the team, or all where none is chosen.
    chosen = Team.services.through.objects.filter(team=access.team_id or 0)
    allowed = Exists(chosen.filter(service=OuterRef("pk"))) | ~Exists(chosen)
    return (
        Service.objects.filter(active=True)
        .annotate(
            figure=FilteredRelation("figures", condition=whole),
            starred=Exists(starred),
            allowed=allowed if access.team else Value(False),
            used=Coalesce("figure__rented", 0),
        )
        .order_by("-starred", "-used", "sort_name", "sv")
    )


def lines_of(access: Access, services: "Iterable[SeenService]") -> list[ServiceLine]:
    """Return some of `seen_services` with their statistics. Two queries."""
    seen = list(services)
    figures, best = _figures_and_best(access, seen)
    nothing = Figure("", 0, 0, 0, None)
    return [
        ServiceLine(service, service.starred, service.allowed, figures.get(service.pk, nothing), best.get(service.pk))
        for service in seen
    ]


def service_lines(access: Access, *, all_services: bool = False) -> list[ServiceLine]:
    """Return all services on offer in the order of `seen_services`. Two queries.

    Only those that the team may order, unless `all_services`.
    """
    services = seen_services(access)
    return lines_of(access, services if all_services else services.filter(allowed=True))


def _figures_and_best(access: Access, services: Sequence[Service]) -> tuple[dict[int, Figure], dict[int, BestChoice]]:
    """Return the figures of whole services, and the best choice of each that has one. One query.

    A choice needs `MIN_SAMPLES` ended rentals, and codes that cost less than those of the service as a whole.
    """
    whole, enough = Q(network="", prefix=""), Q(ended__gte=MIN_SAMPLES, received__gt=0)
    wanted = ServiceFigure.objects.filter(whole | (enough & ~Q(network="")), team=access.team_id)
    # The keys of thousands take longer than the few figures of others.
    few = len(services) <= MAX_NAMED
    rows = list(wanted.filter(service__in=[service.pk for service in services]) if few else wanted)
    figures = {row.service_id: _figure(row) for row in rows if not row.network}
    best: dict[int, BestChoice] = {}
    for row in rows:
        overall, figure = figures.get(row.service_id), _figure(row)
        if not row.network or overall is None or not _is_cheaper(figure, overall):
            continue
        rival = best.get(row.service_id)
        choice = BestChoice(row.network, row.prefix, figure, overall)
        if rival is None or _rank(choice) < _rank(rival):
            best[row.service_id] = choice
    return figures, best


def _is_cheaper(figure: Figure, than: Figure) -> bool:
    cost, other = figure.cost_per_code, than.cost_per_code
    return cost is not None and other is not None and cost < other


def _rank(choice: BestChoice) -> tuple[int, int, int, bool]:
    """Return the key by which the better of two choices comes first: cost, success, how much it rests on, and the wider."""
    figure = choice.figure
    return figure.cost_per_code or 0, -(figure.success or 0), -figure.ended, bool(choice.prefix)


def figure_of(access: Access, service: Service) -> Figure:
    """Return the team's statistics of a service. One query."""
    row = ServiceFigure.objects.filter(team=access.team_id, service=service, network="", prefix="").first()
    return _figure(row) if row else Figure("", 0, 0, 0, None)


def by_network_and_prefix(access: Access, service: Service) -> tuple[list[Figure], list[Figure], list[Figure]]:
    """Return the statistics of a service by network, by prefix, and by both, the most rented first. One query."""
    rows = ServiceFigure.objects.filter(team=access.team_id, service=service).exclude(network="", prefix="")
    figures = sorted(rows, key=lambda row: (-row.rented, row.network, row.prefix))
    networks = [_figure(row) for row in figures if not row.prefix]
    prefixes = [_figure(row) for row in figures if not row.network]
    return networks, prefixes, [_figure(row) for row in figures if row.network and row.prefix]


def counted_at() -> datetime | None:
    """Return when rentals were last counted."""
    return JobRun.objects.filter(name=JobName.STATISTICS, token=None).values_list("at", flat=True).first()


def _figure(row: ServiceFigure) -> Figure:
    name = " ".join(filter(None, [row.network, f"0{row.prefix}" if row.prefix else ""]))
    return Figure(name, row.rented, row.ended, row.received, row.median_seconds, row.spent)


def overall(access: Access) -> Figure:
    """Return the statistics of all services on offer together, without a median: medians do not add up. One query."""
    whole = ServiceFigure.objects.filter(team=access.team_id, network="", prefix="", service__active=True)
    total = whole.aggregate(**{name: Coalesce(Sum(name), 0) for name in ("rented", "ended", "received")})
    return Figure("", total["rented"], total["ended"], total["received"], None)
