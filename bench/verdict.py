"""What the desk says beside what the sandbox's books say, and whether every promise was kept. Needs Django set up."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import parse_qs

from django.db.models import Sum

from rentals.models import EventKind, LedgerEntry, Message, Rental, RentalEvent, Status, Token
from thuesim import rental_key

LONGEST_STANDSTILL_SECONDS = 15.0
WHOLE_SECONDS = 2.5
Books = Mapping[str, Any]


class Strike(Protocol):
    """A fault of the machinery, see `bench.chaos`."""

    what: str
    stood: float
    start: float
    tokens: str


def token_of(books: Books) -> Token:
    """Our row of the token that the books are about."""
    return next(token for token in Token.objects.all() if token.value.reveal() == books["token"])


def at_rest(all_books: Iterable[Books], *, brief: bool = False) -> bool:
    """Whether nothing is under way any more, on either side, and the money agrees. When `brief`, orders for which no
    number was taken need not have been given up yet."""
    under_way = set(Status.open()) - ({Status.UNCONFIRMED} if brief else set())
    if Rental.objects.filter(status__in=under_way).exists():
        return False
    return not any(
        books["waiting"] or money_missing(books) or unknown_numbers(books) or codes_not_shown(books)
        for books in all_books
    )


def unknown_numbers(books: Books) -> list[int]:
    """Numbers that were charged and that no rental of ours has."""
    ours = set(Rental.objects.filter(token=token_of(books)).values_list("upstream_key", flat=True))
    return [row["number"] for row in books["rentals"] if str(row["number"]) not in ours]


def _mark(attempt: Mapping[str, Any]) -> str:
    """What tells the order that an attempt was for: a number asked for again, or the mark in the filter."""
    asked = attempt["asked"]
    return f"again {asked['thuesim1']}" if "thuesim1" in asked else f"mark {asked.get('nPrefix')}"


def _our_mark(rental: Rental) -> str:
    if rental.again_of is not None:
        return f"again {rental.again_of.upstream_key}.{rental.service.sv}".rstrip(".")
    return f"mark {next(iter(rental.exclude_prefixes), None)}"


def sent_twice(books: Books) -> list[str]:
    """Orders for which two numbers were charged, and numbers that two orders have."""
    charged = Counter(_mark(attempt) for attempt in books["attempts"] if attempt["outcome"] == "charged")
    keys = Counter(Rental.objects.filter(token=token_of(books)).exclude(upstream_key="").values_list("upstream_key"))
    return [mark for mark, count in charged.items() if count > 1] + [
        str(key) for key, count in keys.items() if count > 1
    ]


def mixed_up(books: Books) -> list[str]:
    """Orders of ours that show a number which the sandbox gave to another one, although the two asked so far apart that
    the upstream's whole seconds tell which is which."""
    given = {str(a["rental"]): a for a in books["attempts"] if a["outcome"] == "charged"}
    asked = {_mark(attempt): attempt["monotonic"] for attempt in books["attempts"]}
    rentals = (
        Rental.objects.filter(token=token_of(books)).exclude(upstream_key="").select_related("again_of", "service")
    )
    found = []
    for rental in rentals:
        attempt, mark = given.get(rental.upstream_key), _our_mark(rental)
        if attempt is None or _mark(attempt) == mark:
            continue
        apart = abs(attempt["monotonic"] - asked[mark]) if mark in asked else None
        if apart is None or apart > WHOLE_SECONDS:
            seconds = "never reached the upstream" if apart is None else f"asked {apart:.1f} s apart"
            found.append(f"rental {rental.pk} ({mark}) has {rental.upstream_key} of {_mark(attempt)}; {seconds}")
    return found


def codes_not_shown(books: Books) -> list[str]:
    """Messages that could be known and that we do not show: each rental's newest, and all that a callback brought."""
    shown: dict[str, set[str]] = {}
    for key, code, text in Message.objects.filter(rental__token=token_of(books)).values_list(
        "rental__upstream_key", "code", "text"
    ):
        shown.setdefault(key, set()).update({code, text})
    missing = []
    for row in books["rentals"]:
        for message in row["messages"][-1:]:
            wanted = {message["code"], message["text"]} - {None, ""}
            if not wanted & shown.get(str(row["number"]), set()):
                missing.append(f"{row['id']} ({row['status']}): {message['code']}")
    missing += [
        f"{number} by callback: {code}" for number, code in _called_back(books) if code not in shown.get(number, ())
    ]
    return missing


def _called_back(books: Books) -> list[tuple[str, str]]:
    """(rental, code) of each callback with a code that we answered with 200."""
    ours = {str(row["number"]) for row in books["rentals"]}
    found = []
    for callback in books["callbacks"]:
        if callback["http"] != 200:
            continue
        told = _fields(callback["body"])
        number, code = rental_key(str(told.get("requestId", ""))), told.get("code")
        if code and number in ours:
            found.append((number, str(code)))
    return found


def _fields(body: str) -> dict[str, Any]:
    if not body.startswith("{"):
        return {name.removeprefix("data[").rstrip("]"): value[0] for name, value in parse_qs(body).items()}
    told = json.loads(body)
    return told if "requestId" in told else next(iter(told.values()))


def money_missing(books: Books) -> int:
    """Đồng by which the ledger and the sandbox's balance differ."""
    entries = LedgerEntry.objects.filter(token=token_of(books))
    return int((entries.aggregate(sum=Sum("amount"))["sum"] or 0) - books["balance"])


def broken_timelines() -> list[int]:
    """Rentals whose timeline does not lead, step by step, to where they stand."""
    steps: dict[int, list[tuple[str, str]]] = {}
    for pk, before, after in RentalEvent.objects.order_by("pk").values_list("rental", "before", "after"):
        steps.setdefault(pk, []).append((before, after))
    broken = []
    for pk, status in Rental.objects.values_list("pk", "status"):
        at = ""
        for before, after in steps.get(pk, []):
            if before not in {"", at}:
                broken.append(pk)
            at = after
        if at != status:
            broken.append(pk)
    return broken


def close_calls(all_books: Iterable[Books], gap: float) -> list[str]:
    """The calls that came too close to the one before, and where the time went."""
    asked = {
        _our_mark(event.rental): event.detail.get("clock", 0.0)
        for event in RentalEvent.objects.filter(kind=EventKind.ASKED).select_related(
            "rental__again_of", "rental__service"
        )
    }
    found = []
    for books in all_books:
        attempts = sorted(books["attempts"], key=lambda attempt: attempt["monotonic"])
        for one, two in pairwise(attempts):
            apart = two["monotonic"] - one["monotonic"]
            if apart < gap:
                ways = [f"{a['monotonic'] - asked.get(_mark(a), 0.0):.3f} s" for a in (one, two)]
                found.append(f"{apart:.3f} s apart; from our claim to its arrival the two took {' and '.join(ways)}")
    return found


def speak(
    all_books: Sequence[Books], *, gap: float, ordered: int, strikes: Sequence[Strike] = (), brief: bool = False
) -> int:
    """Print the comparison; returns 1 where a promise is broken, else 0."""
    broken: list[str] = []

    def line(what: str, value: object, kept: bool, details: Iterable[object] = ()) -> None:
        print(f"  {'ok    ' if kept else 'BROKEN'} {what}: {value}")
        for detail in list(details)[:8]:
            print(f"           {detail}")
        if not kept:
            broken.append(what)

    statuses = Counter(Rental.objects.values_list("status", flat=True))
    reasons = Counter(Rental.objects.exclude(reason="").values_list("status", "reason"))
    print(f"{ordered} ordered; {dict(statuses)}")
    print(f"reasons: { {f'{status}/{reason}': count for (status, reason), count in reasons.items()} }")
    attempts = [attempt for books in all_books for attempt in books["attempts"]]
    outcomes = Counter(f"{a['outcome']} {a['delivered'] or ''}".strip() for a in attempts)
    print(f"{len(attempts)} number-taking calls: {dict(outcomes)}")
    for what, look in (
        ("numbers charged but unknown to us", unknown_numbers),
        ("orders sent twice", sent_twice),
        ("codes delivered that we do not show", codes_not_shown),
        ("numbers shown at another order than theirs", mixed_up),
    ):
        found = [item for books in all_books for item in look(books)]
        line(what, len(found), not found, found)
    smallest = min((books["gap"]["min"] for books in all_books if books["gap"]["min"] is not None), default=None)
    shown = "none" if smallest is None else f"{smallest:.3f} s (the sandbox wants {gap:g} s)"
    kept = smallest is None or smallest >= gap
    line(
        "smallest gap between number-taking calls of a token", shown, kept, [] if kept else close_calls(all_books, gap)
    )
    differences = [money_missing(books) for books in all_books]
    line("đồng by which ledger and balance differ, per token", differences, not any(differences))
    unsettled = [Status.PLACING] if brief else [Status.PLACING, Status.UNCONFIRMED]
    left = [f"{status} {statuses[status]}" for status in unsettled if statuses[status]]
    line("rentals left in placing or unconfirmed", ", ".join(left) or 0, not left)
    timelines = broken_timelines()
    line("timelines that do not lead to the status", len(timelines), not timelines, timelines)
    stood = sorted(strikes, key=lambda strike: strike.start - strike.stood)
    worst = ", ".join(f"{s.stood:.1f} s ({s.what}; a bare start took {s.start:.1f} s)" for s in stood[:3])
    in_time = all(s.stood - s.start <= LONGEST_STANDSTILL_SECONDS for s in stood)
    told = [f"{s.what}: {s.tokens}" for s in stood[:3] if s.tokens]
    line("longest until work went on after a fault's end", worst or "no strike left work to do", brief or in_time, told)
    print("BROKEN: " + "; ".join(broken) if broken else "every promise kept")
    return 1 if broken else 0
