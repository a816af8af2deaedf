"""The history's search box: a number in any form, a code, words of a message, a purpose, a service's name.

What a person may not read cannot be found either. On PostgreSQL the words of a million rentals stand in trigram indexes,
but no plan for "this or that or a message that …, newest first" uses them: so what fits is looked up first, each kind by
its own index. Where that is more than `MOST`, most rows fit, and reading the newest ones finds a page soon.
"""

from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value

from accounts.policy import Access
from rentals.models import Message, Rental, Service
from rentals.models.catalog import searchable
from thuesim import phones

MOST = 5000
# Fewer characters than this have no trigram, and would find half of everything: they are looked for as whole words.
SHORTEST = 3


def matching(text: str, access: Access) -> Q:
    """Return what the team's rentals that fit `text` have in common. One query on PostgreSQL, for a text that is not a
    whole number; none elsewhere."""
    if number := whole_number(text):
        return Q(phone=number)
    by_service = Service.objects.filter(search_name__contains=searchable(text)).order_by()
    own, said = _own(text), _said(text)
    readable = access.readable()
    if connection.vendor != "postgresql":
        found = own | Q(service__in=by_service)
        return found | Q(Exists(Message.objects.filter(said, rental=OuterRef("pk")))) & readable if said else found
    team = Rental.objects.visible_to(access).order_by()
    kinds: dict[str, QuerySet[Any]] = {"service": by_service, "own": team.filter(own)[: MOST + 1]}
    if said:
        # From the message to its rental: the other way round, each rental would be asked for its messages.
        messages = Message.objects.filter(said, rental__in=team.filter(readable)).order_by()
        kinds["said"] = messages.annotate(found=F("rental"))[: MOST + 1]
    looked_up = _look_up(kinds)
    found = Q(service__in=looked_up["service"])
    if len(looked_up["own"]) > MOST:
        found |= own
    if said and len(looked_up["said"]) > MOST:
        found |= Q(Exists(Message.objects.filter(said, rental=OuterRef("pk")))) & readable
    few = {pk for kind in ("own", "said") for pk in looked_up.get(kind, []) if len(looked_up[kind]) <= MOST}
    return found | Q(pk__in=few)


def _look_up(kinds: Mapping[str, QuerySet[Any]]) -> dict[str, list[int]]:
    """Return the numbers of the rows of each kind, in one query."""
    marked = [
        rows.annotate(kind=Value(kind, output_field=CharField())).values_list(
            "kind", "found" if "found" in rows.query.annotations else "pk"
        )
        for kind, rows in kinds.items()
    ]
    found: dict[str, list[int]] = {kind: [] for kind in kinds}
    for kind, pk in marked[0].union(*marked[1:], all=True):
        found[kind].append(pk)
    return found


def whole_number(text: str) -> str:
    """Return a whole Vietnamese mobile number typed in any form as E.164, which its index finds; `""` where it is none."""
    try:
        number = phones.to_e164(text)
    except ValueError:
        return ""
    return number if number.startswith("+84") and len(number) == 12 else ""


def _own(text: str) -> Q:
    """What a rental itself has of the text."""
    if len(text) < SHORTEST:
        return Q(purpose__iexact=text)
    digits = "".join(c for c in text if c.isdigit())
    found = Q(purpose__icontains=text)
    if len(digits) >= SHORTEST and not any(c.isalpha() for c in text):
        found |= Q(phone__contains=_subscriber_part(digits))
    return found


def _said(text: str) -> Q | None:
    """What a message has of the text."""
    return Q(code__iexact=text) | Q(text__icontains=text) if len(text) >= SHORTEST else None


def _subscriber_part(digits: str) -> str:
    """Return the part of a typed number that is the same in all its forms: `0852…`, `84852…` and `852…` give `852…`."""
    if len(digits) >= 11 and digits.startswith("84"):
        digits = digits[2:]
    return digits.removeprefix("0")
