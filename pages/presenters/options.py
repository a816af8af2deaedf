"""What the lists of filters offer: the first rows by name, how many more there are, and what a text finds of them.

A list of thousands takes longer than the page around it, and nobody reads it. Where a filter has more rows than
`MAX_OPTIONS`, a field above it takes a part of a name, and the list has what that finds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.db.models.lookups import Contains

from accounts.models import Membership, User
from accounts.policy import Access
from lib.web.query_params import text
from rentals.models import Network, Rental, Service, Token
from rentals.models.catalog import in_order, searchable, with_key
from rentals.models.plain_text import Plain
from thuesim.folding import without_accents

# That a list has, beside the one that is chosen.
MAX_OPTIONS = 100


class Kind(StrEnum):
    """What a filter lists: its name in the address of the page."""

    SERVICE = "service"
    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - no password
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Options:
    """The values and texts of a list, by name; how many `more` there are, and the text that was looked for."""

    pairs: list[tuple[str, str]]
    more: int = 0
    find: str = ""

    @property
    def with_keys(self) -> "Options":
        """The same with the value behind each text, by which services of one name are told apart."""
        return replace(self, pairs=[(value, f"{text} ({value})") for value, text in self.pairs])

    @property
    def is_long(self) -> bool:
        """Whether it needs a field that finds the others."""
        return bool(self.more or self.find)


def find_parameter(kind: Kind) -> str:
    """Return the parameter in the address that has a part of a name of this kind."""
    return f"find_{kind}"


def options(access: Access, query: Mapping[str, str], kinds: tuple[Kind, ...] = tuple(Kind)) -> dict[Kind, Options]:
    """Return what the filters of these kinds offer for the address `query`, with what is chosen in it.

    One query, and another for each list that is cut.
    """
    finds = {kind: text(query, find_parameter(kind)) for kind in kinds}
    rows = {kind: _ROWS[kind](access) for kind in kinds}
    found = {kind: rows[kind].filter(_MATCHING[kind](find)) if (find := finds[kind]) else rows[kind] for kind in kinds}
    parts = []
    for kind in kinds:
        # By their keys: SQLite takes no LIMIT within a union.
        shown = Q(pk__in=found[kind].values("pk")[: MAX_OPTIONS + 1])
        for value in _chosen_values(kind, query):
            shown |= _chosen(kind, value)
        parts.append(_texts(kind, rows[kind].filter(shown)))
    by_kind: dict[Kind, list[tuple[str, str]]] = {kind: [] for kind in kinds}
    for kind, *row in parts[0].union(*parts[1:], all=True):
        by_kind[Kind(kind)].append(_OPTION[Kind(kind)](*row))
    return {kind: _cut(pairs, found[kind], finds[kind], _chosen_values(kind, query)) for kind, pairs in by_kind.items()}


def _chosen_values(kind: Kind, query: Mapping[str, str]) -> set[str]:
    names = ("person", "payer") if kind == Kind.PERSON else (kind,)
    return {value for name in names if (value := text(query, name))}


def _cut(pairs: list[tuple[str, str]], found: QuerySet[Any], find: str, chosen: set[str]) -> Options:
    by_name = sorted(pairs, key=lambda pair: in_order(searchable(pair[1])))
    others = [value for value, _text in by_name if value not in chosen]
    if len(others) <= MAX_OPTIONS:
        return Options(by_name, 0, find)
    kept = {*others[:MAX_OPTIONS]} | chosen
    shown = [pair for pair in by_name if pair[0] in kept]
    return Options(shown, found.count() - MAX_OPTIONS, find)


def _people(access: Access) -> QuerySet[User]:
    # An admin is offered where they have ordered for the team: who else is one is not shown here.
    ordered = Exists(Rental.objects.filter(team=access.team_id, person=OuterRef("pk")))
    members = Membership.objects.filter(team=access.team_id).values("user")
    people = User.objects.filter(Q(pk__in=members) | (Q(is_staff=True) & ordered))
    return people.order_by("first_name", "last_name", "username")


_ROWS: dict[Kind, Callable[[Access], QuerySet[Any]]] = {
    Kind.SERVICE: lambda access: Service.objects.order_by("sort_name", "sv"),
    Kind.PERSON: _people,
    Kind.TOKEN: lambda access: Token.objects.filter(teams=access.team_id).order_by("name"),
    Kind.NETWORK: lambda access: Network.objects.order_by("name"),
}


def person_named(part: str) -> Q:
    """Return the condition that a person's name contains the text, with accents or without: see `User.named`."""
    full_name = Concat("first_name", Value(" "), "last_name", output_field=CharField())
    shown = Concat(full_name, Value(" ("), "username", Value(")"), output_field=CharField())
    return Q(Contains(Plain(shown), without_accents(part)))


def _service_named(part: str) -> Q:
    return Q(*(Q(search_name__contains=word) for word in searchable(part).split())) | with_key(part)


def _named(part: str) -> Q:
    return Q(name__icontains=part)


_MATCHING = {
    Kind.SERVICE: _service_named,
    Kind.PERSON: person_named,
    Kind.TOKEN: _named,
    Kind.NETWORK: _named,
}
_COLUMNS = {
    Kind.SERVICE: ("sv", "upstream_id", "name"),
    Kind.PERSON: ("first_name", "last_name", "username"),
    Kind.TOKEN: ("name",),
    Kind.NETWORK: ("name",),
}
_OPTION: dict[Kind, Callable[..., tuple[str, str]]] = {
    Kind.SERVICE: lambda pk, sv, upstream_id, name: (f"{sv}.{upstream_id}" if sv else upstream_id, name),
    Kind.PERSON: lambda pk, first, last, username: (str(pk), User.named(f"{first} {last}".strip(), username)),
    Kind.TOKEN: lambda pk, name, *_padding: (str(pk), name),
    Kind.NETWORK: lambda pk, name, *_padding: (name, name),
}


def _chosen(kind: Kind, value: str) -> Q:
    """Return the condition of the row with this value; of none where the value is no key."""
    if kind == Kind.SERVICE:
        return with_key(value)
    if kind == Kind.NETWORK:
        return Q(name=value)
    return Q(pk=int(value)) if value.isascii() and value.isdecimal() and len(value) <= 18 else Q(pk__in=())


def _texts(kind: Kind, rows: QuerySet[Any]) -> Any:
    # Every part of a union has as many columns as the others.
    columns = _COLUMNS[kind]
    padding = {f"padding_{n}": Value("") for n in range(3 - len(columns))}
    return rows.order_by().annotate(kind=Value(str(kind)), **padding).values_list("kind", "pk", *columns, *padding)
