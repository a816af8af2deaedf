"""The filters in the address: those of the desk, which its live stream applies too, and those of the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.http import QueryDict
from django.utils import timezone

from accounts.models import Membership
from accounts.policy import Access
from lib.web import query_params
from lib.web.query_params import desk_midnight, midnight, text
from rentals.models import LedgerEntry, Network, Rental, Service, Status, Token
from rentals.queries import search
from thuesim import phones

if TYPE_CHECKING:
    from rentals.models.rentals import RentalQuerySet

# How long a rental that has ended stays on the desk; after that it is in the history alone.
ON_THE_BOARD = timedelta(minutes=30)

# The values of `?refund=`: what was refunded, and what expired and was not.
REFUND_CHOICES = frozenset({"yes", "missing"})
# The value of `?days=`: `since` and `until` are days of Vietnam, wherever the reader is.
DESK_DAYS = "vn"

Query = Mapping[str, str] | QueryDict


def left_the_board_at(rental: Rental) -> datetime | None:
    """Return when an ended rental leaves the desk; None as long as something may still happen to it."""
    if rental.status in Status.open():
        return None
    return (rental.ended_at or rental.queued_at) + ON_THE_BOARD


def _values(query: Query, name: str, allowed: frozenset[str] | None = None) -> tuple[str, ...]:
    """Return the values of a repeated parameter, once each and sorted, so that equal filters are equal."""
    values = query.getlist(name) if isinstance(query, QueryDict) else [query[name]] if query.get(name) else []
    stripped = {value.strip()[:40] for value in values}
    return tuple(sorted(value for value in stripped if value and (allowed is None or value in allowed)))


def _row(query: Query, name: str) -> str:
    """Return a row's number; `""` where it is none, or larger than a database's."""
    value = text(query, name)
    return "" if query_params.whole_number(value) is None else value


def _prefix(text: str) -> str:
    """Return a prefix without its leading 0; `""` where it is none."""
    try:
        return phones.prefix(text) if text else ""
    except ValueError:
        return ""


def _service(key: str) -> Q:
    """Match a service by its key, `SV.ID` or `ID`. By a value of its own, not by a join: so an index keeps the order.

    An `ID` means the service that is offered, on whichever server, before the one without a server that is not.
    """
    return Q(service=Subquery(_services(key).order_by("-active", "sv").values("pk")[:1]))


def _services(key: str) -> QuerySet[Service]:
    sv, _, upstream_id = key.rpartition(".")
    return Service.objects.filter(upstream_id=upstream_id, **({"sv": sv} if sv else {}))


def _is_service(service: Service, key: str) -> bool:
    """Whether `_service` means this one, as far as the service itself tells."""
    return service.key == key or (service.active and service.upstream_id == key)


_STATUSES = frozenset(Status.values)
# The filters of the history that not every text is a value of, beside the status.
_READ = ("person", "payer", "prefix", "token", "refund", "since", "until")


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """The desk's filter: `?mine=1&status=waiting&service=02.97&network=VIETTEL&prefix=96`. Unknown values are ignored."""

    mine: bool = False
    statuses: tuple[str, ...] = ()
    service: str = ""
    network: str = ""
    prefix: str = ""

    @classmethod
    def from_query(cls, query: Query) -> "BoardFilter":
        return cls(
            mine=text(query, "mine") == "1",
            statuses=_values(query, "status", _STATUSES),
            service=text(query, "service"),
            network=text(query, "network"),
            prefix=_prefix(text(query, "prefix")),
        )

    @property
    def active(self) -> int:
        """How many filters are set, beside mine or team."""
        return len(self.statuses) + sum(bool(value) for value in (self.service, self.network, self.prefix))

    def apply(self, queryset: "RentalQuerySet", access: Access) -> "RentalQuerySet":
        """Narrow `queryset` to what the person may see, the filter keeps, and is open or ended a short while ago."""
        # Two conditions, each with an index. What has ended has a time for it.
        recent = Q(status__in=Status.open()) | Q(ended_at__gt=timezone.now() - ON_THE_BOARD)
        return self.apply_to_all(queryset, access).filter(recent)

    def apply_to_all(self, queryset: "RentalQuerySet", access: Access) -> "RentalQuerySet":
        """Do what `apply` does, with the rentals that left the board long ago too."""
        rentals = queryset.visible_to(access)
        if self.mine:
            rentals = rentals.filter(person=access.person_id)
        if self.statuses:
            rentals = rentals.filter(status__in=self.statuses)
        if self.service:
            rentals = rentals.filter(_service(self.service))
        # An order that has no number yet may still get one that fits.
        if self.network:
            rentals = rentals.filter(Q(network=self.network) | Q(phone="", status__in=Status.open()))
        if self.prefix:
            rentals = rentals.filter(Q(phone__startswith=f"+84{self.prefix}") | Q(phone="", status__in=Status.open()))
        return rentals

    def matches(self, rental: Rental, access: Access) -> bool:
        """Whether `apply` would keep this rental. No query where its service was fetched with it."""
        leaves = left_the_board_at(rental)
        open_ended = not rental.phone and rental.status in Status.open()
        return (
            access.may_see(rental)
            and (leaves is None or leaves > timezone.now())
            and (not self.mine or rental.person_id == access.person_id)
            and (not self.statuses or rental.status in self.statuses)
            and (not self.service or _is_service(rental.service, self.service))
            and (not self.network or open_ended or rental.network == self.network)
            and (not self.prefix or open_ended or rental.phone.startswith(f"+84{self.prefix}"))
        )


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """The history's filter. `since` and `until` are days, both included, of the reader's zone; of the desk's with
    `of_desk_days`, as the sums of money are. `payer` is who ordered, also what they handed over since."""

    q: str = ""
    person: str = ""
    payer: str = ""
    statuses: tuple[str, ...] = ()
    service: str = ""
    network: str = ""
    prefix: str = ""
    token: str = ""
    refund: str = ""
    since: date | None = None
    until: date | None = None
    of_desk_days: bool = False

    @classmethod
    def from_query(cls, query: Query) -> "HistoryFilter":
        return cls(
            q=text(query, "q"),
            person=_row(query, "person"),
            payer=_row(query, "payer"),
            statuses=_values(query, "status", _STATUSES),
            service=text(query, "service"),
            network=text(query, "network"),
            prefix=_prefix(text(query, "prefix")),
            token=_row(query, "token"),
            refund=text(query, "refund") if text(query, "refund") in REFUND_CHOICES else "",
            since=query_params.day(text(query, "since")),
            until=query_params.day(text(query, "until")),
            of_desk_days=text(query, "days") == DESK_DAYS,
        )

    @staticmethod
    def ignored(query: Query) -> list[tuple[str, str]]:
        """Return the names and values of the query that are not understood, and so narrow nothing."""
        understood = HistoryFilter.from_query(query)
        unread = [(name, value) for name in _READ if (value := text(query, name)) and not getattr(understood, name)]
        return [("status", value) for value in _values(query, "status") if value not in _STATUSES] + unread

    def unknown(self, access: Access) -> list[str]:
        """Return the names of the filters whose value is nothing of the team's, and stands in no rental that the person may
        see. Two queries at most for each filter that is set."""
        rentals = Rental.objects.visible_to(access).order_by()
        members = Membership.objects.filter(team=access.team_id)
        places: dict[str, tuple[QuerySet[Any], ...]] = {}
        if self.service:
            places["service"] = (_services(self.service),)
        if self.person:
            places["person"] = (members.filter(user=int(self.person)), rentals.filter(person=int(self.person)))
        if self.payer:
            places["payer"] = (members.filter(user=int(self.payer)), rentals.paid_by(int(self.payer)))
        if self.network:
            places["network"] = (Network.objects.filter(name=self.network), rentals.filter(network=self.network))
        if self.token:
            tokens = Token.objects.filter(teams=access.team_id, pk=int(self.token))
            places["token"] = (tokens, rentals.filter(token=int(self.token)))
        return [name for name, rows in places.items() if not any(each.exists() for each in rows)]

    @property
    def is_backwards(self) -> bool:
        """Whether no day is asked for, since the first one is after the last."""
        return self.since is not None and self.until is not None and self.since > self.until

    @property
    def active(self) -> int:
        """How many filters are set."""
        values = (
            self.q,
            self.person,
            self.payer,
            self.service,
            self.network,
            self.prefix,
            self.refund,
            self.token,
            self.since,
            self.until,
        )
        return len(self.statuses) + sum(bool(value) for value in values)

    def apply(self, queryset: "RentalQuerySet", access: Access) -> "RentalQuerySet":
        """Narrow `queryset` to what the person may see and the filter keeps. A search may cost a query of its own."""
        rentals = queryset.visible_to(access)
        if self.person:
            rentals = rentals.filter(person=int(self.person))
        if self.payer:
            rentals = rentals.paid_by(int(self.payer))
        if self.statuses:
            rentals = rentals.filter(status__in=self.statuses)
        if self.service:
            rentals = rentals.filter(_service(self.service))
        if self.network:
            rentals = rentals.filter(network=self.network)
        if self.prefix:
            rentals = rentals.filter(phone__startswith=f"+84{self.prefix}")
        if self.token:
            rentals = rentals.filter(token=int(self.token))
        if self.refund:
            refunds = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, taken_back=False, rental=OuterRef("pk"))
            rentals = rentals.filter(Exists(refunds) if self.refund == "yes" else Q(refund_missing=True))
        begin = desk_midnight if self.of_desk_days else midnight
        if self.since:
            rentals = rentals.filter(queued_at__gte=begin(self.since))
        if self.until:
            rentals = rentals.filter(queued_at__lt=begin(self.until + timedelta(days=1)))
        return rentals.filter(search.matching(self.q, access)) if self.q else rentals
