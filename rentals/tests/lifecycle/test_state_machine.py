"""The life of rentals under every interleaving that Hypothesis can think of, beside a model of the upstream in memory.

Orders are placed, answered, refused, cut off; workers die between any two steps; sweeps, reconciliations, polls, callbacks
and balance readings come doubled, late and out of order. At the end of each run everything is left to come to rest.
"""

import contextlib
import itertools
import json
import os
import time
from collections import Counter
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

import thuesim
from rentals import lifecycle, orders
from rentals.jobs import balances, callbacks, placing, polling, reconciling, runs
from rentals.lifecycle import machine_clock, reasons
from rentals.models import Callback, JobName, LedgerEntry, Message, Rental, RentalEvent, Status, Token
from rentals.queries.refunds import twin_key
from rentals.tests.factories import make_person, make_service, make_team, make_token
from rentals.tests.lifecycle.modelled_upstream import Killed, Upstream, sms

TIMEOUT, GAP = 20.0, 5.0
FIRST_LABEL = 1000
# What `twin_key` reads: to read whole rows after every step would take a tenth of the time of the test.
TWIN_FIELDS = ("price", "service", "team", "person", "imported", "purpose", "placed_at")


def sums_of(amounts: list[int]) -> set[int]:
    """Return what some of the amounts, or all, or none, add up to."""
    sums = {0}
    for amount in amounts:
        sums |= {amount + sum_ for sum_ in sums}
    return sums


ANSWERS = (
    ["given"] * 3
    + ["out of stock", "too soon", "limit", "error", "no connection", "overtaken by the sweep"]
    + ["lost before", "lost after", "killed before", "killed after"] * 2
)


class Life(RuleBasedStateMachine):
    """One team, two people, two services, one token."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.labels = itertools.count(FIRST_LABEL)
        self.upstream = Upstream()
        self.received: set[int] = set()
        self.given_up: set[int] = set()
        self.callbacks: list[int] = []
        self._begin()
        self.team = make_team()
        self.people = [make_person(self.team), make_person(self.team)]
        self.services = [make_service(upstream_id=str(90 + n), seconds=120) for n in range(2)]
        self.token: Token = make_token(self.team)
        machine_clock.follow()
        balances.read_balance(self.token)

    def _begin(self) -> None:
        self._atomic = transaction.atomic()
        self._atomic.__enter__()
        self._clock = time_machine.travel(timezone.now(), tick=False)
        self.now = self._clock.start()
        self._steady = time.monotonic()
        model = self.upstream
        self._patches = [
            mock.patch.multiple(
                thuesim.Client,
                rent=lambda *a, **k: model.rent(*a, **k),
                code=lambda *a, **k: model.code(*a, **k),
                history=lambda *a, **k: model.history(*a, **k),
                balance=lambda *a, **k: model.balance_now(*a, **k),
            ),
            mock.patch("time.monotonic", side_effect=lambda: self._steady),
        ]
        for patch in self._patches:
            patch.start()

    def pass_time(self, seconds: float) -> None:
        self.now.shift(timedelta(seconds=seconds))
        self._steady += seconds
        if seconds:
            machine_clock.follow()  # the tick does, each second

    # What people do.

    @initialize(target=orders)
    def a_busy_morning(self) -> Any:
        orders = [self.order(n % 2, 0, 0) for n in range(8)]
        self.place(["given"] * 3, 5.2)
        return multiple(*orders)

    @rule(
        target=orders, person=st.integers(0, 1), service=st.sampled_from([0, 0, 1]), minutes=st.sampled_from([0, 0, 5])
    )
    def order(self, person: int, service: int, minutes: int) -> str:
        label = str(next(self.labels))
        orders.take_order(
            orders.Order(
                person=self.people[person],
                team=self.team,
                service=self.services[service],
                exclude_prefixes=[label],
                keep_trying_minutes=minutes,
            )
        )
        return label

    @rule(order=orders)
    def cancel(self, order: str) -> None:
        rental = Rental.objects.get(exclude_prefixes=[order])
        before = rental.status
        assert lifecycle.cancel(rental, person=rental.person) == (before == Status.QUEUED)

    # What workers do, and how they end.

    @rule(answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4), wait=st.sampled_from([0.0, 5.2, 12.0]))
    def place(self, answers: list[str], wait: float) -> None:
        for answer in answers:
            self._place(answer, wait)

    @rule(answers=st.lists(st.sampled_from(["lost before", "lost after"]), min_size=2, max_size=2))
    def replies_are_lost_in_a_row(self, answers: list[str]) -> None:
        self.place(answers, 5.2)

    def _place(self, answer: str, wait: float) -> None:
        self.pass_time(wait)
        self.upstream.answer = answer
        sent = sum(self.upstream.sent.values())
        with contextlib.suppress(Killed):
            placing.place_next(self.token.pk)
        assert sum(self.upstream.sent.values()) - sent <= 1

    @rule()
    def sweep(self) -> None:
        placing.sweep()

    @rule(hidden=st.sampled_from([0, 0, 1, 3]), answers=st.sampled_from([True, True, False]))
    def reconcile(self, hidden: int, answers: bool) -> None:
        self.upstream.hidden, self.upstream.history_answers = min(hidden, len(self.upstream.numbers)), answers
        with runs.noted_at_end(JobName.RECONCILE, self.token.pk):
            reconciling.reconcile(self.token.pk)
        self.upstream.hidden, self.upstream.history_answers = 0, True

    @rule()
    def the_history_lags_until_an_order_is_given_up(self) -> None:
        self.place(["lost after"], 5.2)
        self.pass_time(TIMEOUT + reconciling.GIVE_UP_SECONDS + 5)
        self.reconcile(1, True)

    @rule(twice=st.booleans())
    def poll_the_token(self, twice: bool) -> None:
        for _ in range(1 + twice):
            polling.poll_token(self.token.pk)

    @rule(which=st.integers(0, 30))
    def poll_a_rental(self, which: int) -> None:
        rentals = list(Rental.objects.exclude(upstream_key="").values_list("pk", flat=True))
        if rentals:
            polling.poll_rental(rentals[which % len(rentals)])

    @rule()
    def read_balance(self) -> None:
        balances.read_balance(self.token)

    @rule(times=st.integers(1, 4), seconds=st.sampled_from([31, 65]))
    def read_history_and_balance(self, times: int, seconds: int) -> None:
        for _ in range(times):
            self.pass_time(seconds)
            self.reconcile(0, True)
            balances.read_balance(self.token)

    @rule(seconds=st.sampled_from([1, 20, 29]))
    def an_old_balance_is_read(self, seconds: int) -> None:
        self.upstream.old_balance = self.upstream.balance
        self.place(["given"], 0.0)
        self.pass_time(seconds)
        balances.read_balance(self.token)
        self.upstream.old_balance = None

    @rule(which=st.integers(0, 30), move=st.sampled_from(["refuse", "unconfirm", "expire"]), behind=st.integers(0, 1))
    def a_stale_worker_moves(self, which: int, move: str, behind: int) -> None:
        """A worker writes what it read long ago, in this attempt or in the previous one."""
        believed = Status.WAITING if move == "expire" else Status.PLACING
        rentals = [rental for rental in Rental.objects.filter(attempts__gt=0) if behind or rental.status != believed]
        if not rentals:
            return
        stale = rentals[which % len(rentals)]
        before = stale.status
        stale.attempts -= behind
        stale.status = believed
        moves: dict[str, Any] = {
            "refuse": lambda: lifecycle.refuse(stale, reason=reasons.OUT_OF_STOCK),
            "unconfirm": lambda: lifecycle.unconfirm(stale, reason=reasons.LOST),
            "expire": lambda: lifecycle.expire(stale),
        }
        assert not moves[move]()
        assert Rental.objects.get(pk=stale.pk).status == before

    # What the upstream does.

    @rule(which=st.integers(0, 30))
    def a_message_comes(self, which: int) -> None:
        if self.upstream.numbers:
            number = self.upstream.numbers[which % len(self.upstream.numbers)]
            if (
                number.refunded
                and not Rental.objects.filter(upstream_key=str(number.id), ended_at__isnull=False).exists()
            ):
                return  # minutes lie between the end and the money: the end is known by then
            number.codes.append(f"{number.id % 1000:03d}{len(number.codes):03d}")

    @rule(which=st.integers(0, 30))
    def a_number_expires(self, which: int) -> None:
        waiting = [number for number in self.upstream.numbers if not number.codes and not number.expired]
        if waiting:
            waiting[which % len(waiting)].expired = True

    @rule(which=st.integers(0, 30))
    def a_message_comes_after_the_end(self, which: int) -> None:
        waiting = list(Rental.objects.filter(status=Status.WAITING).order_by("pk"))
        if waiting:
            rental = waiting[which % len(waiting)]
            number = self.upstream.number_of(rental.upstream_id)
            number.expired = True
            polling.poll_rental(rental.pk)
            number.codes.append(f"{number.id % 1000:03d}{len(number.codes):03d}")

    @rule(amount=st.sampled_from([10_000, 20_000, 100_003]))
    def money_is_paid_in(self, amount: int) -> None:
        self.upstream.top_ups.append(amount)

    @rule(which=st.integers(0, 30))
    def money_comes_back(self, which: int) -> None:
        # Minutes lie between the end and the money: the end is known by then.
        ended = set(Rental.objects.filter(ended_at__isnull=False).values_list("upstream_key", flat=True))
        owed = [
            number
            for number in self.upstream.numbers
            if number.expired and not number.refunded and not number.codes and str(number.id) in ended
        ]
        if owed:
            number = owed[which % len(owed)]
            number.refunded = True
            self.upstream.refunds += number.price

    @rule(which=st.integers(0, 30), expired=st.booleans(), early=st.booleans())
    def a_callback_comes(self, which: int, expired: bool, early: bool) -> None:
        if not self.upstream.numbers:
            return
        number = self.upstream.numbers[which % len(self.upstream.numbers)]
        # A callback may say "expired" of a number that is not, or name a number that was never given.
        about = number.id + (1_000_000 if early else 0)
        code = None if expired or not number.codes else number.codes[0]
        body = {
            "status": 1 if code else 2,
            "requestId": str(about),
            "code": code,
            "smsContent": code and sms(code).text,
        }
        kept = callbacks.receive_callback(
            self.token, json.dumps({"data": body}).encode(), content_type="application/json", address=None
        )
        self.callbacks.append(kept.pk)
        callbacks.apply_callback(kept)

    @rule(which=st.integers(0, 30))
    def a_callback_is_applied_again(self, which: int) -> None:
        if self.callbacks:
            pk = self.callbacks[which % len(self.callbacks)]
            callbacks.apply_callback(Callback.objects.get(pk=pk))

    @rule(seconds=st.sampled_from([1, 4, 30, 130, 700]))
    def time_passes(self, seconds: int) -> None:
        self.pass_time(seconds)

    @rule(minutes=st.sampled_from([-7, -2, 2, 7]))
    def our_clock_is_set(self, minutes: int) -> None:
        """The wall clock alone; the upstream's times go on as if it had not been."""
        shift = timedelta(minutes=minutes)
        self.now.shift(shift)
        for number in self.upstream.numbers:
            number.made += shift

    # What must hold at every moment.

    @invariant()
    def a_number_is_paid_for_once_and_by_its_own_order(self) -> None:
        numbers = {str(number.id): number for number in self.upstream.numbers}
        rentals = Rental.objects.values_list("pk", "upstream_key", "exclude_prefixes")
        charges: dict[int | None, list[int]] = {}
        for pk, amount in LedgerEntry.objects.filter(kind=LedgerEntry.Kind.RENT).values_list("rental", "amount"):
            charges.setdefault(pk, []).append(amount)
        keys = Counter(key for _, key, _ in rentals if key)
        assert max(keys.values(), default=1) == 1
        for pk, key, prefixes in rentals:
            assert charges.get(pk, []) == ([-numbers[key].price] if key else [])
            if key:
                assert prefixes == [numbers[key].order]

    @invariant()
    def no_line_is_wrong(self) -> None:
        """A refund is of a number that was refunded, or of its twin in all that money is counted by; so are top-ups.

        The wall clock says which numbers may be refunded when: while it has just been set, nothing is booked.
        """
        numbers = {str(number.id): number for number in self.upstream.numbers}
        counted = Rental.objects.only("upstream_key", *TWIN_FIELDS)
        rentals = {rental.upstream_key: rental for rental in counted.exclude(upstream_key="")}
        booked = counted.filter(ledger__kind=LedgerEntry.Kind.REFUND)
        true = [rentals[key] for key, number in numbers.items() if number.refunded and key in rentals]
        assert not Counter(map(twin_key, booked)) - Counter(map(twin_key, true))
        # Two between two readings are one line.
        paid_in = sums_of(self.upstream.top_ups)
        top_ups = list(LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TOP_UP).values_list("amount", flat=True))
        assert {*top_ups, sum(top_ups)} <= paid_in

    @invariant()
    def no_order_is_charged_twice(self) -> None:
        assert max(Counter(number.order for number in self.upstream.numbers).values(), default=1) == 1

    @invariant()
    def an_order_is_given_up_only_after_its_time(self) -> None:
        refused = Rental.objects.filter(status=Status.REFUSED, reason=reasons.NOT_TAKEN).values_list("pk", flat=True)
        for pk in {*refused} - self.given_up:
            asked = RentalEvent.objects.filter(rental=pk, kind="asked").latest("pk")
            assert self._steady - asked.detail["clock"] >= TIMEOUT + reconciling.GIVE_UP_SECONDS
            self.given_up.add(pk)

    @invariant()
    def what_was_received_stays_received(self) -> None:
        received = set(Rental.objects.filter(status=Status.RECEIVED).values_list("pk", flat=True))
        assert self.received <= received
        self.received = received
        assert set(Message.objects.values_list("rental", flat=True)) == received

    @invariant()
    def the_timeline_leads_to_the_status(self) -> None:
        at: dict[int, str] = {}
        for pk, before, after in RentalEvent.objects.order_by("pk").values_list("rental", "before", "after"):
            if before:
                assert before == at[pk]
            if before and before != after:
                assert Status(after) in lifecycle.LEGAL[Status(before)]
            at[pk] = after
        assert at == dict(Rental.objects.values_list("pk", "status"))

    # And at the end.

    def teardown(self) -> None:
        try:
            self._come_to_rest()
        finally:
            for patch in self._patches:
                patch.stop()
            self._clock.stop()
            transaction.set_rollback(True)
            self._atomic.__exit__(None, None, None)

    def _come_to_rest(self) -> None:
        self.upstream.answer = "given"
        while Rental.objects.filter(status=Status.QUEUED).exists():
            self.pass_time(TIMEOUT + 30)
            placing.place_next(self.token.pk)
        for _ in range(2):
            self.pass_time(TIMEOUT + reconciling.GIVE_UP_SECONDS)
            placing.sweep()
            self.reconcile(0, True)
            for pk in Rental.objects.exclude(upstream_key="").values_list("pk", flat=True):
                polling.poll_rental(pk)
        self.pass_time(reconciling.MISSING_MONEY_SECONDS)
        self.reconcile(0, True)
        for _ in range(14):
            self.pass_time(150)
            self.reconcile(0, True)
            balances.read_balance(self.token)
        assert not Rental.objects.filter(status__in=[Status.QUEUED, Status.PLACING, Status.UNCONFIRMED]).exists()
        known = set(Rental.objects.exclude(upstream_key="").values_list("upstream_key", flat=True))
        assert known == {str(number.id) for number in self.upstream.numbers}
        for number in self.upstream.numbers:
            if number.codes:
                assert Message.objects.filter(rental__upstream_key=str(number.id), code=number.codes[-1]).exists()
        assert balances.explained_balance(self.token) == self.upstream.balance
        self.no_line_is_wrong()
        self.a_number_is_paid_for_once_and_by_its_own_order()
        self.the_timeline_leads_to_the_status()


@pytest.mark.long
@pytest.mark.django_db
def test_nothing_is_lost_or_paid_twice_whatever_happens_in_which_order(settings: Any) -> None:
    settings.THUESIM_RENT_GAP_SECONDS, settings.THUESIM_TIMEOUT_SECONDS = GAP, TIMEOUT
    run_state_machine_as_test(Life, settings=STEPS)


QUICK = os.environ.get("TEST_EFFORT") == "quick"
STEPS = settings(
    # On SQLite more, where they cost a third: it is the interleavings that count here, not the database.
    max_examples=10 if connection.vendor == "sqlite" and not QUICK else 6,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=os.environ.get("TEST_EFFORT") != "fuzz",
    suppress_health_check=list(HealthCheck),
)
