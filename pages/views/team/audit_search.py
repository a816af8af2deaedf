"""The audit log's search box: a target, an action's label, a person's name, a network address, a number in any form."""

import contextlib
import ipaddress
import re
from collections.abc import Iterator

from django.db import connection
from django.db.models import BigIntegerField, Case, Exists, OuterRef, Q, QuerySet, When
from django.db.models.functions import Cast, Substr
from django.db.models.lookups import Regex

from accounts.audit import ALL_RENTALS, Action, Numbered
from accounts.models import ACTIONS_ON_RENTALS, NOT_ON_RENTALS, AuditRecord, User
from accounts.policy import Access
from pages.presenters.audit import history, numbered
from pages.presenters.options import person_named
from rentals import exported_codes
from rentals.models import Message, Rental
from rentals.models.plain_text import pattern
from rentals.queries import search
from thuesim.folding import fold

# More people than this have so many records that the newest ones are found soon.
_MAX_PEOPLE = 10
# What a number in a target has at most.
_MAX_DIGITS = 18


def parts(text: str, records: QuerySet[AuditRecord], access: Access) -> list[QuerySet[AuditRecord]]:
    """Return those of `records`, which are newest first, that match `text`: the union of these querysets.

    Each is served by an index of its own, and an OR of them by none: the whole log would be read. Two may have a record in
    common.
    """
    kinds, labelled = _kinds(text), _labelled(text)
    others = Q() if _is_part_of_a_kind(text) or Numbered.RENTAL in kinds else NOT_ON_RENTALS
    wanted = Q(target__iregex=pattern(text)) | Q(action__in=labelled)
    for kind in kinds:
        wanted |= Q(target__regex=f"^{kind} [0-9]+$")
    if _begins_a_word(text, history()):
        wanted |= Q(target=ALL_RENTALS)
    # One team, or none, in each: it is named since PostgreSQL orders by the index of both only so.
    by_team = [records.filter(readable, others, wanted).order_by("team_id", "-pk") for readable in access.audited()]
    on_rentals = [Q(action=action) for action in labelled if action in ACTIONS_ON_RENTALS]
    conditions = [*_by_number(text), *_by_person(text), *on_rentals]
    address = _from_address(text)
    if address:
        conditions.append(address)
    # `96.85` begins an address, and is a part of a number.
    team = Rental.objects.visible_to(access).order_by()
    if not (address and ":" in text) and (rentals := search.with_number(team, text)) is not None:
        conditions += _about_phone(rentals)
    return by_team + [records.filter(access.any_audited(), condition) for condition in conditions]


def _is_part_of_a_kind(text: str) -> bool:
    """Whether the targets of nearly all records contain the text, such as `rental`. The newest of these are found soon."""
    return any(text.lower() in kind for kind in (Numbered.RENTAL, Numbered.MESSAGE))


def _labelled(text: str) -> list[Action]:
    """Return the actions whose label, as the page has it, contains the text."""
    return [action for action in Action if _begins_a_word(text, str(action.label))]


def _kinds(text: str) -> list[Numbered]:
    """Return the kinds of targets whose name, as the page has it, contains the text, such as `lượt thuê`."""
    has_number = re.search("[0-9]", text)
    return [] if has_number else [kind for kind in Numbered if _begins_a_word(text, numbered(kind, 0))]


def _begins_a_word(text: str, shown: str) -> bool:
    """Whether what the page shows contains the text from the beginning of a word on."""
    return f" {fold(text)}" in f" {fold(shown)}"


def _by_number(text: str) -> Iterator[Q]:
    """Yield the condition that the target is the one with this number: `7`, `rental 7`, or as the page has it."""
    number = re.search(f"[0-9]{{1,{_MAX_DIGITS}}}$", text)
    if number is None:
        return
    n = int(number[0])
    kinds = [kind for kind in Numbered if fold(text) in {str(n), f"{kind} {n}", fold(numbered(kind, n))}]
    if kinds:
        yield Q(target__in=[f"{kind} {n}" for kind in kinds])


def _by_person(text: str) -> Iterator[Q]:
    """Yield conditions that the person's name contains the text. One each: the ids of a person are in order."""
    people = [*User.objects.filter(person_named(text)).order_by().values_list("pk", flat=True)]
    if len(people) > _MAX_PEOPLE:
        # Their ids rather than a join: the database knows how many records these people have.
        yield Q(person__in=people)
    else:
        yield from (Q(person=person) for person in people)


def _from_address(text: str) -> Q | None:
    """Return the condition that the address is this one, or begins with these parts: `10.0` is what begins with `10.0.`, and
    `2001:db8::` what begins with `2001:db8:`."""
    text = text.lower()
    if not re.fullmatch("[0-9a-f.:]*[.:][0-9a-f.:]*", text):
        return None
    if not text.endswith("::"):
        with contextlib.suppress(ValueError):
            return Q(address=str(ipaddress.ip_address(text)))
    separator, size, bits = (":", 8, 16) if ":" in text else (".", 4, 8)
    known = text.rstrip(separator).split(separator)
    try:
        first = separator.join([*known, *["0"] * (size - len(known))])
        network = ipaddress.ip_network(f"{first}/{bits * len(known)}")
    except ValueError:
        return None
    if connection.vendor == "postgresql":
        return Q(address__range=(str(network[0]), str(network[-1])))
    # SQLite compares texts, in which groups of zeros may be left out.
    begin = str(network[0]).partition(separator)[0] + separator
    near = AuditRecord.objects.filter(address__gte=begin, address__lt=begin[:-1] + chr(ord(separator) + 1)).order_by()
    addresses = near.values_list("address", flat=True).distinct()
    return Q(address__in=[address for address in addresses if address and ipaddress.ip_address(address) in network])


def _about_phone(rentals: QuerySet[Rental]) -> Iterator[Q]:
    """Yield the conditions that a record is about one of these rentals, one of their messages, or an export of its code.
    Three queries."""
    few = [*rentals.values_list("pk", flat=True)[: search.MAX_LOOKED_UP + 1]]
    are_few = len(few) <= search.MAX_LOOKED_UP
    some = Rental.objects.filter(pk__in=few) if are_few else exported_codes.near_exported(rentals)
    yield Q(pk__in=exported_codes.records_with(some))
    if are_few:
        messages = Message.objects.filter(rental__in=few).order_by()
        targets = [f"{Numbered.RENTAL} {pk}" for pk in few]
        yield Q(target__in=targets + [f"{Numbered.MESSAGE} {pk}" for pk in messages.values_list("pk", flat=True)])
    else:
        # One of the newest records soon is about one of them.
        yield Q(Exists(rentals.filter(pk=_number_of(Numbered.RENTAL))))
        # Few records are about a message, or none: they are read by the index of targets, each with its message.
        about_message = Q(target__range=(f"{Numbered.MESSAGE} 0", f"{Numbered.MESSAGE} {10**_MAX_DIGITS - 1}"))
        messages = Message.objects.filter(pk=_number_of(Numbered.MESSAGE), rental__in=rentals)
        yield about_message & Q(Exists(messages))


def _number_of(kind: Numbered) -> Case:
    """Return the number in the target of the outer query's audit record where it is of this kind, else NULL."""
    number = Cast(Substr(OuterRef("target"), len(kind) + 2), BigIntegerField())
    return Case(When(Regex(OuterRef("target"), f"^{kind} [0-9]{{1,{_MAX_DIGITS}}}$"), then=number))
