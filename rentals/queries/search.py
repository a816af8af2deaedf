"""The history's search box: a number in any form, a code, words of a message, a purpose, a service's name, with accents
or without, in small letters or capitals.

What a person may not read cannot be found either.
"""

import re
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, IntegerField, Max, Min, OuterRef, Q, QuerySet, Value

from accounts.policy import Access
from rentals import word_index
from rentals.models import Message, Rental, Service, Status
from rentals.models.catalog import searchable
from thuesim import codes, phones
from thuesim.folding import without_accents

# With more hits than this, most rows fit: reading the newest ones finds a page soon.
MAX_LOOKED_UP = 5000
# Unless fewer than `FEW_OF_NEWEST` of the `NEWEST` rentals with a message fit, as where senders word it otherwise by now:
# up to `MAX_OF_OLD` hits are then found sooner by the index of words.
NEWEST, FEW_OF_NEWEST, MAX_OF_OLD = 1000, 100, 40_000
# A shorter text has no trigram, and would find half of everything: it is looked for as a whole word.
MIN_LENGTH = 3


def matching(text: str, access: Access) -> Q:
    """Return the condition for the team's rentals that match `text`.

    Looks up the ids of each kind first, each by its own index of trigrams: one query on PostgreSQL, three on SQLite; none
    for a whole number, nor on SQLite for a text too short for a trigram. In a single condition no index would be used:
    neither database has a plan for an OR over two tables that is sorted by time.
    """
    if number := mobile_number(text):
        return Q(phone=number)
    by_service = Service.objects.filter(search_name__contains=searchable(text)).order_by()
    in_rental, in_message = _in_rental(text), _in_message(text)
    if connection.vendor == "sqlite" and len(text) < MIN_LENGTH:
        return Q(service__in=by_service) | in_rental
    team = Rental.objects.visible_to(access).order_by()
    # From the message to its rental: the other way round, each rental would be searched for its messages.
    messages = Message.objects.filter(in_message, rental__in=team.filter(access.readable())).order_by()
    rentals = team.filter(in_rental)
    if connection.vendor == "sqlite":
        messages = word_index.narrowed(messages, _parts_of_message(text))
        rentals = word_index.narrowed(rentals, _parts_of_rental(text))
    services, by_rental, with_message = _looked_up(
        by_service.annotate(row=F("pk")),
        rentals.annotate(row=F("pk"))[: MAX_LOOKED_UP + 1],
        messages.annotate(row=F("rental"))[: MAX_LOOKED_UP + 1],
    )
    condition = Q(service__in=services)
    condition |= Q(pk__in=by_rental) if len(by_rental) <= MAX_LOOKED_UP else in_rental
    if len(with_message) <= MAX_LOOKED_UP:
        return condition | Q(pk__in=with_message)
    return condition | (_has_message(text, team) & access.readable())


def _has_message(text: str, team: QuerySet[Rental]) -> Q:
    """Return the condition that one of many messages that contain the text is the rental's. Two queries at most.

    Rental by rental, where those of the newest show that a page is found soon; else among the hits, and near them alone.
    """
    in_message = _in_message(text)
    # No rental but these has a message: of the others none is looked for.
    by_rental = Q(Exists(Message.objects.filter(in_message, rental=OuterRef("pk"))), status=Status.RECEIVED)
    newest = team.filter(status=Status.RECEIVED).order_by("-queued_at")[:NEWEST]
    if Rental.objects.filter(by_rental, pk__in=newest).count() >= FEW_OF_NEWEST:
        return by_rental
    messages = Message.objects.filter(in_message).order_by()
    if connection.vendor == "sqlite":
        messages = word_index.narrowed(messages, _parts_of_message(text))
    hits = messages[: MAX_OF_OLD + 1]
    found = hits.aggregate(many=Count("pk"), first=Min("rental"), last=Max("rental"))
    if not 0 < found["many"] <= MAX_OF_OLD:  # 0 where they were deleted meanwhile
        return by_rental
    return Q(pk__in=hits.values("rental"), pk__range=(found["first"], found["last"]))


def _looked_up(*kinds: QuerySet[Any]) -> list[list[int]]:
    """Return the `row` of every result of each queryset; in one query where the database unites what is limited."""
    if not connection.features.supports_slicing_ordering_in_compound:
        return [list(rows.values_list("row", flat=True)) for rows in kinds]
    numbered = [
        rows.annotate(kind=Value(kind, output_field=IntegerField())).values_list("kind", "row")
        for kind, rows in enumerate(kinds)
    ]
    by_kind: list[list[int]] = [[] for _ in kinds]
    for kind, row in numbered[0].union(*numbered[1:], all=True):
        by_kind[kind].append(row)
    return by_kind


def mobile_number(text: str) -> str:
    """Return a whole Vietnamese mobile number typed in any form as E.164, else `""`. The index on the phone finds it."""
    try:
        number = phones.to_e164(text)
    except ValueError:
        return ""
    return number if number.startswith("+84") and len(number) == 12 else ""


def of_number(text: str) -> Q | None:
    """Return the condition that a rental's number is the one typed in any form, or contains it where it is a part, such
    as its end; None for a text that is no number."""
    if number := mobile_number(text):
        return Q(phone=number)
    digits = "".join(c for c in text if c.isdigit())
    if len(digits) < MIN_LENGTH or any(c.isalpha() for c in text):
        return None
    return Q(phone__contains=_part_of_number(text))


def with_number(rentals: QuerySet[Rental], text: str) -> QuerySet[Rental] | None:
    """Return those of `rentals` whose number `of_number` finds by the text; None for a text that is no number."""
    condition = of_number(text)
    if condition is None:
        return None
    found = rentals.filter(condition)
    if connection.vendor == "postgresql" or mobile_number(text):
        return found
    return word_index.narrowed(found, [_part_of_number(text)])  # SQLite compares each number else


def _in_rental(text: str) -> Q:
    """Return the condition that a rental's own fields contain the text."""
    if len(text) < MIN_LENGTH:
        return Q(purpose__iexact=text)
    numbers = of_number(text)
    by_purpose = Q(purpose__plain__contains=without_accents(text))
    return by_purpose if numbers is None else by_purpose | numbers


def _in_message(text: str) -> Q:
    """Return the condition that a message contains the text; below `MIN_LENGTH` letters no message meets it."""
    if len(text) < MIN_LENGTH:
        return Q(pk__in=())
    condition = Q(text__plain__contains=without_accents(text))
    for code in _codes(text):
        condition |= Q(code__iexact=code)
    return condition


def _codes(text: str) -> set[str]:
    """Return the codes that the text may mean."""
    forms = {text, *_code_forms(codes.copied(text))}
    if prefixed := re.fullmatch("([a-z]{1,3}) ?([0-9]{4,8})", text.strip().lower()):  # as FB-31902 is typed in haste
        forms.add("-".join(prefixed.groups()))
    return forms


def _parts_of_message(text: str) -> set[str]:
    """Return what `rentals.word_index` has of a message that meets `_in_message`: one of these parts at least."""
    return {without_accents(part) for part in (text, *_codes(text))}


def _parts_of_rental(text: str) -> set[str]:
    """Return what `rentals.word_index` has of a rental that meets `_in_rental`: one of these parts at least."""
    return {without_accents(text)} | ({_part_of_number(text)} if of_number(text) is not None else set())


def _code_forms(digits: str) -> set[str]:
    """Return the ways in which senders write a code: `072464` is found as `072-464` and `07 24 64`, and these as it."""
    if not re.fullmatch("[0-9]{4,8}", digits):
        return set()
    sizes = {1, 2, 3, len(digits) // 2}
    groups = {tuple(digits[i : i + size] for i in range(0, len(digits), size)) for size in sizes}
    grouped = {separator.join(parts) for parts in groups for separator in ("-", " ")}
    return {digits, f"G-{digits}", f"FB-{digits}", *grouped}


def _part_of_number(text: str) -> str:
    """Return the part of a typed number that is the same in all its forms: `0852…`, `84852…` and `852…` give `852…`."""
    digits = "".join(c for c in text if c.isdigit())
    if len(digits) >= 11 and digits.startswith("84"):
        digits = digits[2:]
    return digits.removeprefix("0")
