"""What the desk says beside what the sandbox's books say, and whether every promise was kept. Needs Django set up."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import parse_qs

from django.utils import timezone

from rentals.jobs import balances, explaining
from rentals.models import Delivery, EventKind, LedgerEntry, Message, Rental, RentalEvent, Status, Token
from rentals.queries.refunds import may_refund_between, refundable, twin_key
from thuesim import rental_key

MAX_STANDSTILL_SECONDS = 15.0
WHOLE_SECONDS = 2.5  # apart, below which the upstream's whole seconds do not tell two orders apart
Books = Mapping[str, Any]


class Strike(Protocol):
    """A failure of the machinery, see `bench.chaos`."""

    what: str
    stood: float
    start: float
    tokens: str


class Destinations(Protocol):
    """Where outgoing events went, see `bench.receivers`."""

    def findings(self) -> Iterable[tuple[str, list[str]]]: ...

    def summary(self) -> str: ...


def token_of(books: Books) -> Token:
    """Our row of the token that the books are about."""
    return next(token for token in Token.objects.all() if token.value.reveal() == books["token"])


def under_way(all_books: Sequence[Books], *, brief: bool = False) -> list[str]:
    """Return what is still under way, on either side, and what does not agree yet. When `brief`, orders for which no
    number was taken need not have been given up yet."""
    open_statuses = set(Status.open()) - ({Status.UNCONFIRMED} if brief else set())
    counts = {
        "open rentals": Rental.objects.filter(status__in=open_statuses).count(),
        "events to be sent": Delivery.objects.filter(state=Delivery.State.PENDING).count(),
        "numbers that wait": sum(books["waiting"] for books in all_books),
        # None is read at rest while an order is in doubt.
        "balances unseen": 0 if brief else sum(map(balance_unseen, all_books)),
        "unknown numbers": sum(len(unknown_numbers(books)) for books in all_books),
        "codes not shown": sum(len(codes_not_shown(books)) for books in all_books),
    }
    return [f"{what} {count}" for what, count in counts.items() if count]


def unknown_numbers(books: Books) -> list[int]:
    """Numbers that were charged and that no rental of ours has."""
    ours = set(Rental.objects.filter(token=token_of(books)).values_list("upstream_key", flat=True))
    return [row["number"] for row in books["rentals"] if str(row["number"]) not in ours]


def _order_label(attempt: Mapping[str, Any]) -> str:
    """Return which order an attempt was for: by the number asked for again, or by the excluded prefix, which `bench.desk`
    makes another one for each order."""
    asked = attempt["asked"]
    return f"again {asked['thuesim1']}" if "thuesim1" in asked else f"label {asked.get('nPrefix')}"


def _label_of(rental: Rental) -> str:
    if rental.again_of is not None:
        return f"again {rental.again_of.upstream_key}.{rental.service.sv}".rstrip(".")
    return f"label {next(iter(rental.exclude_prefixes), None)}"


def sent_twice(books: Books) -> list[str]:
    """Orders for which two numbers were charged, and numbers that two orders have."""
    charged = Counter(_order_label(attempt) for attempt in books["attempts"] if attempt["outcome"] == "charged")
    keys = Counter(Rental.objects.filter(token=token_of(books)).exclude(upstream_key="").values_list("upstream_key"))
    return [label for label, count in charged.items() if count > 1] + [
        str(key) for key, count in keys.items() if count > 1
    ]


def mixed_up(books: Books) -> list[str]:
    """Orders of ours that show the number of another order, by the sandbox's books.

    Two orders that asked within `WHOLE_SECONDS` of each other are left out: ThueSim's times are whole seconds, so
    nothing tells which of the two a number was for.
    """
    given = {str(a["rental"]): a for a in books["attempts"] if a["outcome"] == "charged"}
    asked = {_order_label(attempt): attempt["monotonic"] for attempt in books["attempts"]}
    rentals = (
        Rental.objects.filter(token=token_of(books)).exclude(upstream_key="").select_related("again_of", "service")
    )
    found = []
    for rental in rentals:
        attempt, label = given.get(rental.upstream_key), _label_of(rental)
        if attempt is None or _order_label(attempt) == label:
            continue
        apart = abs(attempt["monotonic"] - asked[label]) if label in asked else None
        if apart is None or apart > WHOLE_SECONDS:
            seconds = "never reached the upstream" if apart is None else f"asked {apart:.1f} s apart"
            found.append(
                f"rental {rental.pk} ({label}) has {rental.upstream_key} of {_order_label(attempt)}; {seconds}"
            )
    return found


def codes_not_shown(books: Books) -> list[str]:
    """Messages that could be known and that we do not show: each rental's newest, and all that a callback brought."""
    shown: dict[str, set[str]] = {}
    messages = Message.objects.filter(rental__token=token_of(books))
    for key, *texts in messages.values_list("rental__upstream_key", "code", "second_code", "text"):
        shown.setdefault(key, set()).update(texts)
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
        fields = _fields(callback["body"])
        number, code = rental_key(str(fields.get("requestId", ""))), fields.get("code")
        if code and number in ours:
            found.append((number, str(code)))
    return found


def _fields(body: str) -> dict[str, Any]:
    if not body.startswith("{"):
        return {name.removeprefix("data[").rstrip("]"): value[0] for name, value in parse_qs(body).items()}
    document = json.loads(body)
    return document if "requestId" in document else next(iter(document.values()))


def balance_unseen(books: Books) -> bool:
    """Whether we have not read the sandbox's present balance yet, or not at rest."""
    reading = token_of(books).readings.filter(expected__isnull=False, steady=True).first()
    return reading is None or reading.balance != books["balance"]


def ask_at_last(books: Books) -> None:
    """Let the desk decide at once what waits for later evidence, as it would half an hour from now."""
    explaining.explain(token_of(books).pk, now=timezone.now() + timedelta(hours=1))


def money_missing(books: Books) -> int:
    """Đồng by which the ledger, with what the desk asks about, and the sandbox's balance differ."""
    return balances.explained_balance(token_of(books)) - int(books["balance"])


def wrong_lines(books: Books) -> list[str]:
    """Refunds and top-ups of ours that the sandbox's books do not have. Of twins, either may be meant."""
    token = token_of(books)
    rentals = {rental.upstream_key: rental for rental in Rental.objects.filter(token=token).exclude(upstream_key="")}
    refunded = [str(row["number"]) for row in books["rentals"] if row["refunded"]]
    true = Counter(twin_key(rentals[key]) for key in refunded if key in rentals)
    booked = Rental.objects.filter(ledger__kind=LedgerEntry.Kind.REFUND, ledger__taken_back=False, token=token)
    wrong = [f"refund of {key[0]} ({count})" for key, count in (Counter(map(twin_key, booked)) - true).items()]
    paid_in = {0}  # what the top-ups add up to, some or all: two between two readings are one line of ours
    for line in books["ledger"]:
        paid_in |= {line["amount"] + sum_ for sum_ in paid_in} if line["kind"] == "top-up" else set()
    top_ups = list(token.ledger.filter(kind=LedgerEntry.Kind.TOP_UP).values_list("amount", flat=True))
    return wrong + [f"top-up of {amount}" for amount in {*top_ups, sum(top_ups)} - paid_in]


def money_summary(books: Books) -> str:
    """What was booked, and asked, of what the sandbox did, for people to read."""
    token = token_of(books)
    ours = Counter(token.ledger.values_list("kind", flat=True))
    theirs = Counter(line["kind"] for line in books["ledger"])
    asked = []
    for question in token.questions.filter(answered_at=None):
        possible = may_refund_between(refundable(token, since=question.since), question.since, question.until)
        asked.append(f"{question.amount} of {[rental.price for rental in possible]}")
    return (
        f"{ours['refund']} of {theirs['refund']} refunds, {ours['top_up']} of {theirs['top-up']} top-ups, asked {asked}"
    )


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
        _label_of(event.rental): event.detail.get("clock", 0.0)
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
                ways = [f"{a['monotonic'] - asked.get(_order_label(a), 0.0):.3f} s" for a in (one, two)]
                found.append(f"{apart:.3f} s apart; from our claim to its arrival the two took {' and '.join(ways)}")
    return found


class _Report:
    """Prints one line for each promise, and keeps those that are broken."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def line(self, what: str, value: object, kept: bool, details: Iterable[object] = ()) -> None:
        print(f"  {'ok    ' if kept else 'BROKEN'} {what}: {value}")
        for detail in list(details)[:8]:
            print(f"           {detail}")
        if not kept:
            self.broken.append(what)


def speak(
    all_books: Sequence[Books],
    *,
    gap: float,
    ordered: int,
    strikes: Sequence[Strike],
    destinations: Destinations,
    brief: bool = False,
) -> int:
    """Print the comparison; returns 1 where a promise is broken, else 0."""
    report = _Report()
    statuses = Counter(Rental.objects.values_list("status", flat=True))
    reasons = Counter(Rental.objects.exclude(reason="").values_list("status", "reason"))
    print(f"{ordered} ordered; {dict(statuses)}")
    print(f"reasons: { {f'{status}/{reason}': count for (status, reason), count in reasons.items()} }")
    _report_numbers(report, all_books)
    _report_gap(report, all_books, gap)
    _report_money(report, all_books)
    unsettled = [Status.PLACING] if brief else [Status.PLACING, Status.UNCONFIRMED]
    remaining = [f"{status} {statuses[status]}" for status in unsettled if statuses[status]]
    report.line("rentals left in placing or unconfirmed", ", ".join(remaining) or 0, not remaining)
    timelines = broken_timelines()
    report.line("timelines that do not lead to the status", len(timelines), not timelines, timelines)
    print(destinations.summary())
    for what, broken in destinations.findings():
        report.line(what, len(broken), not broken, broken)
    _report_standstills(report, strikes, brief=brief)
    print("BROKEN: " + "; ".join(report.broken) if report.broken else "every promise kept")
    return 1 if report.broken else 0


def _report_numbers(report: _Report, all_books: Sequence[Books]) -> None:
    attempts = [attempt for books in all_books for attempt in books["attempts"]]
    outcomes = Counter(f"{a['outcome']} {a['delivered'] or ''}".strip() for a in attempts)
    print(f"{len(attempts)} number-taking calls: {dict(outcomes)}")
    for what, search in (
        ("numbers charged but unknown to us", unknown_numbers),
        ("orders sent twice", sent_twice),
        ("codes delivered that we do not show", codes_not_shown),
        ("numbers shown at another order than theirs", mixed_up),
    ):
        results = [result for books in all_books for result in search(books)]
        report.line(what, len(results), not results, results)


def _report_gap(report: _Report, all_books: Sequence[Books], gap: float) -> None:
    smallest = min((books["gap"]["min"] for books in all_books if books["gap"]["min"] is not None), default=None)
    shown = "none" if smallest is None else f"{smallest:.3f} s (the sandbox wants {gap:g} s)"
    kept = smallest is None or smallest >= gap
    calls = [] if kept else close_calls(all_books, gap)
    report.line("smallest gap between number-taking calls of a token", shown, kept, calls)


def _report_money(report: _Report, all_books: Sequence[Books]) -> None:
    for books in all_books:
        ask_at_last(books)
    differences = [money_missing(books) for books in all_books]
    report.line("đồng by which ledger, questions and balance differ, per token", differences, not any(differences))
    wrong = [entry for books in all_books for entry in wrong_lines(books)]
    report.line("refunds and top-ups booked that never were", len(wrong), not wrong, wrong)
    for books in all_books:
        print(f"         booked: {money_summary(books)}")


def _report_standstills(report: _Report, strikes: Sequence[Strike], *, brief: bool) -> None:
    stood = sorted(strikes, key=lambda strike: strike.start - strike.stood)
    worst = ", ".join(
        f"{s.stood:.1f} s ({s.what}{f'; a bare start took {s.start:.1f} s' if s.start else ''})" for s in stood[:3]
    )
    in_time = all(s.stood - s.start <= MAX_STANDSTILL_SECONDS for s in stood)
    tokens = [f"{s.what}: {s.tokens}" for s in stood[:3] if s.tokens]
    what = "longest until work went on after a failure's end"
    report.line(what, worst or "no strike left work to do", brief or in_time, tokens)
