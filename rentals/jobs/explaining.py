"""Explain a token's balance reading by reading, from the last explained one on. All amounts are whole đồng.

A step is what the balance moved between two readings, less the ledger's lines. It is booked if exactly one thing explains
it: refunds of rentals that may be refunded at that time, or a top-up. Else it waits as long as later steps may explain it,
and then becomes a question to the managers, since a wrong line would change what remains of a budget. For a while after the
clock was set, every step becomes a question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from rentals import lifecycle
from rentals.lifecycle import machine_clock
from rentals.lifecycle.money import MAX_LAG, expect_from
from rentals.models import BalanceQuestion, BalanceReading, JobName, JobRun, LedgerEntry, Rental, Status, Token
from rentals.queries.refunds import TooManySums, may_refund_between, refundable, sets_of, window

# A smaller amount is no top-up.
MIN_TOP_UP = 10_000
# A step is explained once the history was read so long after it: a rental made elsewhere is known then.
HISTORY_MARGIN = timedelta(seconds=30)
# Between two polls of a number that waits there is no more than that.
POLL_PAUSE = timedelta(seconds=20)
# Without a history for so long, it is explained all the same, and becomes a question.
MAX_WAIT = timedelta(minutes=30)
# A manager may enter a top-up so long before the balance shows it.
ENTERED_EARLY = timedelta(hours=1)
# Neighbouring steps that are explained together.
MAX_RUN = 12
# Readings of one pass; the next one goes on.
MAX_READINGS = 2000


@dataclass(frozen=True, slots=True)
class Step:
    """Money that came between two readings, or went. `before` is None where the token was never explained."""

    before: BalanceReading | None
    reading: BalanceReading
    amount: int

    @property
    def since(self) -> datetime:
        # The earlier reading may have been an old balance.
        return (self.before or self.reading).at - MAX_LAG

    @property
    def until(self) -> datetime:
        return self.reading.at


def explain(token_id: int, *, now: datetime | None = None) -> None:
    """Book or ask about what the token's readings show, as far as can be told at `now`. Safe to run twice and at once."""
    if not machine_clock.is_followed():
        return
    with transaction.atomic():
        token = lifecycle.hold_token(token_id)
        steps = _steps(token)
        if not steps:
            return
        pass_ = _Pass(token, now or timezone.now())
        while steps and pass_.resolve_one(steps):
            steps = _steps(token)


def _steps(token: Token) -> list[Step]:
    """Return the steps since the last explained reading, the oldest first, and move that reading on to before them."""
    readings = token.readings.filter(expected__isnull=False, steady=True).order_by("pk")
    if token.explained_reading_id is not None:
        readings = readings.filter(pk__gte=token.explained_reading_id)
    asked = list(token.questions.filter(answered_at=None).values_list("reading", "amount"))
    steps: list[Step] = []
    before: BalanceReading | None = None
    explained, last = None, 0
    for reading in readings[:MAX_READINGS]:
        unasked = (reading.unexplained or 0) - sum(amount for pk, amount in asked if pk <= reading.pk)
        if unasked != last:
            if before is not None and reading.at - before.at < MAX_LAG:
                continue  # it may be older than the one before
            steps.append(Step(before, reading, unasked - last))
        before, last = reading, unasked
        if not steps:
            explained = reading
    if explained is not None and explained.pk != token.explained_reading_id:
        token.explained_reading = explained
        Token.objects.filter(pk=token.pk).update(explained_reading=explained)
    return steps


class _Pass:
    """One pass over a token's steps: what is known at its time."""

    def __init__(self, token: Token, now: datetime) -> None:
        self._token, self._now = token, now
        run = JobRun.objects.filter(name=JobName.RECONCILE, token=token).first()
        self._history_at = run.ok_at if run else None

    def resolve_one(self, steps: Sequence[Step]) -> bool:
        """Explain some of the steps, or ask about one. False where all have to wait."""
        if steps[0].before is None or steps[0].before.pk == steps[0].reading.pk:
            return self._ask(steps[0])  # since when, nobody knows
        if any(self._meet_entry(step, steps) for step in steps):
            return True
        ripe = [step for step in steps if self._is_ripe(step) and not self._awaits_money(step)]
        if any(self._ask(step) for step in ripe if machine_clock.money_is_unclear(step.until)):
            return True
        candidates = refundable(self._token, since=steps[0].since) if ripe else []
        for run in _runs(steps, ripe):
            if self._book(run, candidates):
                return True
        overdue = (step for step in ripe if self._is_overdue(step, candidates))
        return any(self._ask(step) for step in overdue)

    def _is_ripe(self, step: Step) -> bool:
        history_was_read = self._history_at is not None and self._history_at >= step.until + HISTORY_MARGIN
        return history_was_read or self._now - step.until > MAX_WAIT

    def _expiry_is_unseen(self, step: Step) -> bool:
        """Whether a number may have expired before the step without our knowing yet: it was not polled since."""
        unseen = Q(expires_at__lte=step.until) | Q(due_at__lt=step.until + POLL_PAUSE)
        waiting = self._token.rentals.filter(unseen, status=Status.WAITING, placed_at__lte=step.until)
        return waiting.exists() and self._now - step.until < MAX_WAIT

    def _book(self, run: Sequence[Step], candidates: Sequence[Rental]) -> bool:
        """Book what alone explains the run of steps. False where nothing does, or several things do."""
        first, last = run[0], run[-1]
        if any(step.amount < 0 or self._expiry_is_unseen(step) for step in run):
            return False
        possible = may_refund_between(candidates, first.since, last.until)
        if not possible:
            return len(run) == 1 and first.amount >= MIN_TOP_UP and self._top_up(first)
        try:
            sets = sets_of(possible, sum(step.amount for step in run))
        except TooManySums:
            return False
        if len(sets) != 1 or (len(sets[0]) > 1 and any(step.amount >= MIN_TOP_UP for step in run)):
            return False
        # Which of the refunds came by which of the steps is not known: the readings between them tell nothing.
        between = BalanceReading.objects.filter(token=self._token, pk__gte=first.reading.pk, pk__lt=last.reading.pk)
        between.update(expected=None)
        return all(lifecycle.refund(rental, last.reading) for rental in sets[0])

    def _top_up(self, step: Step) -> bool:
        line = LedgerEntry(token=self._token, kind=LedgerEntry.Kind.TOP_UP, amount=step.amount)
        lifecycle.explain(line, step.reading)
        return True

    def _meet_entry(self, step: Step, steps: Sequence[Step]) -> bool:
        """Let a line that a manager entered meet the money, which the balance showed earlier or later."""
        entry = self._entry_of(step)
        money = next((other for other in steps if other.amount == -step.amount), None)
        if entry is None or money is None:
            return False
        entry.reading = money.reading
        entry.save(update_fields=["reading"])
        expect_from(step.reading, step.amount)
        expect_from(money.reading, money.amount)
        return True

    def _awaits_money(self, step: Step) -> bool:
        return self._now - step.until < ENTERED_EARLY and self._entry_of(step) is not None

    def _entry_of(self, step: Step) -> LedgerEntry | None:
        """Return the line of a manager that makes the step: the balance does not show that money at this time."""
        entered = self._token.ledger.filter(
            person__isnull=False, reading=None, takes_back=None, taken_back=False, amount=-step.amount
        )
        return entered.filter(at__gt=step.since, at__lte=step.until).first()

    def _is_overdue(self, step: Step, candidates: Sequence[Rental]) -> bool:
        """Whether no later step can tell more about this one."""
        if self._expiry_is_unseen(step):
            return False
        if step.amount < 0:
            return True
        possible = may_refund_between(candidates, step.since, step.until)
        return all(window(rental)[1] + MAX_LAG < self._now for rental in possible)

    def _ask(self, step: Step) -> bool:
        BalanceQuestion.objects.create(
            token=self._token,
            reading=step.reading,
            since=(step.before or step.reading).at,
            until=step.until,
            amount=step.amount,
        )
        return True


def _runs(steps: Sequence[Step], ripe: Sequence[Step]) -> list[Sequence[Step]]:
    """Return each ripe step alone, then the runs of neighbours, the shortest first."""
    runs: list[Sequence[Step]] = [[step] for step in ripe]
    limit = min(len(steps), MAX_RUN)
    runs += [
        steps[start : start + length]
        for length in range(2, limit + 1)
        for start in range(len(steps) - length + 1)
        if all(step in ripe and step.amount > 0 for step in steps[start : start + length])
    ]
    return runs
