"""Orders placed in turn, and what each answer of the upstream makes of them."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

import thuesim
from rentals import lifecycle, orders
from rentals.jobs import placing
from rentals.lifecycle import reasons
from rentals.models import Hold, LedgerEntry, Rental, Status, Token
from rentals.queries import queue
from rentals.tests.factories import make_person, make_rental, make_token
from rentals.tests.fixtures import House, order, place
from rentals.upstream import breaker, pacing

pytestmark = pytest.mark.django_db


def test_an_order_gets_a_number_with_the_filters_asked_for(house: House) -> None:
    rental = place(order(house, networks=["VIETTEL"], prefixes=["96", "97"], exclude_prefixes=["98"]))
    assert rental.status == Status.WAITING
    assert rental.phone[3:5] in {"96", "97"}
    assert rental.network == "VIETTEL"
    assert rental.unasked == []
    assert rental.price == LedgerEntry.objects.get(rental=rental).amount * -1
    house.token.refresh_from_db()
    assert house.token.balance == 500_000 - (rental.price or 0)


def test_a_number_that_was_not_asked_for_is_kept_and_marked(house: House) -> None:
    house.upstream.set_fault("filter-ignored")
    rental = place(order(house, networks=["VIETTEL"], prefixes=["96"]))
    assert rental.status == Status.WAITING
    assert "prefix" in rental.unasked


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("out-of-stock", reasons.OUT_OF_STOCK),
        ("insufficient-balance", reasons.LOW_BALANCE),
        ("service-suspended", reasons.SUSPENDED),
        ("invalid-token", reasons.INVALID_TOKEN),
        ("error", reasons.UPSTREAM),
    ],
)
def test_a_refusal_becomes_a_reason_and_costs_nothing(house: House, fault: str, reason: str) -> None:
    house.upstream.set_fault(fault)
    rental = place(order(house))
    assert (rental.status, rental.reason) == (Status.REFUSED, reason)
    assert reason in reasons.SENTENCES
    assert not LedgerEntry.objects.filter(rental=rental).exists()


@pytest.mark.parametrize(
    "fault",
    ["lost-reset", "lost-close", "lost-502", "lost-cut", "lost-midway", "lost-empty", "lost-no-number", "http-500"],
)
def test_where_a_number_may_have_been_taken_the_order_is_unconfirmed_and_not_sent_again(
    house: House, fault: str
) -> None:
    house.upstream.set_fault(fault, count=1)
    rental = place(order(house))
    assert rental.status == Status.UNCONFIRMED
    placing.place_next(house.token.pk)
    assert len(house.upstream.books()["attempts"]) <= 1
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED


def test_told_too_soon_the_order_simply_takes_its_turn_again(house: House, settings: Settings) -> None:
    house.upstream.set_fault("too-soon", count=1)
    rental = place(order(house))
    assert (rental.status, rental.reason) == (Status.QUEUED, reasons.TOO_SOON)
    assert place(rental).status == Status.WAITING


def test_the_waiting_limit_is_learned_and_then_respected_before_asking(house: House) -> None:
    house.upstream.change_settings(waiting_limit=1)
    assert place(order(house)).status == Status.WAITING
    second = place(order(house))
    assert (second.status, second.reason) == (Status.QUEUED, reasons.LIMIT)
    house.token.refresh_from_db()
    assert house.token.waiting_limit == 1
    asked = len(house.upstream.books()["attempts"])
    with time_machine.travel(timezone.now() + timedelta(seconds=breaker.LIMIT_SECONDS + 1), tick=True):
        assert place(second).status == Status.QUEUED
    assert len(house.upstream.books()["attempts"]) == asked


def test_an_order_that_keeps_trying_waits_for_stock_until_its_time_is_over(house: House) -> None:
    house.upstream.set_fault("out-of-stock", count=1)
    rental = place(order(house, keep_trying_minutes=5))
    assert (rental.status, rental.reason) == (Status.QUEUED, reasons.OUT_OF_STOCK)
    assert rental.due_at is not None
    assert place(rental).status == Status.QUEUED, "not before it is due"
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=True):
        assert place(rental).status == Status.WAITING
    house.upstream.set_fault("out-of-stock")
    late = place(order(house, keep_trying_minutes=5))
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=True):
        assert (place(late).status, late.reason) == (Status.REFUSED, reasons.GAVE_UP)


def test_another_token_of_the_team_serves_where_one_has_no_money(house: House) -> None:
    poor = house.token
    rich = make_token(house.team, value=house.upstream.add_token(balance=100_000))
    house.upstream.set_balance(0)
    rental = order(house)
    Rental.objects.filter(pk=rental.pk).update(token=poor)
    placing.place_next(poor.pk)
    rental.refresh_from_db()
    assert (rental.status, rental.token) == (Status.QUEUED, rich)
    assert place(rental).status == Status.WAITING


def test_a_token_that_was_chosen_is_not_exchanged_for_another(house: House) -> None:
    make_token(house.team, value=house.upstream.add_token(balance=100_000))
    house.upstream.set_balance(0)
    rental = place(order(house, token=house.token))
    assert (rental.status, rental.reason, rental.token) == (Status.REFUSED, reasons.LOW_BALANCE, house.token)


def test_a_paused_token_keeps_its_queue_and_takes_no_order(house: House) -> None:
    rental = order(house)
    Token.objects.update(paused=True)
    assert place(rental).status == Status.QUEUED
    with pytest.raises(orders.OrderRefused, match="paused"):
        order(house)
    Token.objects.update(paused=False)
    assert place(rental).status == Status.WAITING


def test_the_number_is_rented_again_with_its_id_and_server(house: House) -> None:
    first = place(order(house))
    Rental.objects.filter(pk=first.pk).update(status=Status.EXPIRED)
    again = place(order(house, again_of=first))
    assert (again.status, again.phone, again.again_of) == (Status.WAITING, first.phone, first)
    attempt = house.upstream.books()["attempts"][-1]
    assert attempt["asked"]["thuesim1"] == f"{first.upstream_key}.{first.service.sv}"
    assert attempt["asked"]["phone"] == "0" + first.phone[3:]


def test_ten_orders_of_one_person_do_not_keep_another_waiting(house: House) -> None:
    busy = [order(house) for _ in range(4)]
    other = make_person(house.team)
    late = order(house, person=other)
    assert queue.place_in_queue(late)[0] == 2
    place(busy[0])
    assert queue.place_in_queue(late)[0] == 1, "the one just served goes behind"
    assert place(late).status == Status.WAITING


def test_the_gap_counts_from_the_call_that_left_late(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("rentals.upstream.pacing.time.monotonic", lambda: now[0])

    def rent(*args: object, before_send: Callable[[], bool], after_send: Callable[[], None], **kwargs: object) -> None:
        now[0] += 3.0  # connecting is slow
        assert before_send()
        now[0] += 1.0
        after_send()
        now[0] += 30.0  # and the answer slower
        raise thuesim.TimedOut("")

    monkeypatch.setattr(thuesim.Client, "rent", rent)
    place(order(house))
    house.token.refresh_from_db()
    assert house.token.turn_clock == 1004.0


@pytest.fixture
def lose_the_turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[Token], None]:
    """Let so much time pass that another worker takes the token's next turn."""
    claim = pacing.claim_turn

    def lose(token: Token) -> None:
        later = time.monotonic() + pacing.gap_seconds() + 1
        monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: later))
        assert claim(token) is not None, "another worker's turn"

    return lose


def test_a_worker_that_stood_still_beyond_its_turn_does_not_send(
    house: House, monkeypatch: pytest.MonkeyPatch, lose_the_turn: Callable[[Token], None]
) -> None:
    claim = pacing.claim_turn

    def claim_and_stand_still(token: Token) -> float | None:
        turn = claim(token)
        lose_the_turn(token)
        return turn

    monkeypatch.setattr(pacing, "claim_turn", claim_and_stand_still)
    rental = place(order(house))
    assert (rental.status, rental.reason) == (Status.QUEUED, reasons.TOO_SOON)
    assert house.upstream.books()["attempts"] == []


def test_a_call_whose_connecting_outlasted_its_turn_is_kept_back(
    house: House, monkeypatch: pytest.MonkeyPatch, lose_the_turn: Callable[[Token], None]
) -> None:
    rent = thuesim.Client.rent

    def rent_slowly(
        client: thuesim.Client, service: str, *, before_send: Callable[[], bool], **options: Any
    ) -> thuesim.Rented:
        def connected() -> bool:
            lose_the_turn(house.token)
            return before_send()

        return rent(client, service, before_send=connected, **options)

    monkeypatch.setattr(thuesim.Client, "rent", rent_slowly)
    rental = place(order(house))
    assert (rental.status, rental.reason) == (Status.QUEUED, reasons.TOO_SOON)
    assert house.upstream.books()["attempts"] == []
    house.token.refresh_from_db()
    assert house.token.faults == 0, "that says nothing about the upstream"


def test_an_order_moved_while_it_is_claimed_is_not_asked_for_here(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rental, other = order(house), make_token(house.team)
    claim = pacing.claim_turn

    def claim_while_it_moves(token: Token) -> float | None:
        assert lifecycle.move_to_token(Rental.objects.get(pk=rental.pk), other)
        return claim(token)

    monkeypatch.setattr(pacing, "claim_turn", claim_while_it_moves)
    placing.place_next(house.token.pk)
    assert house.upstream.books()["attempts"] == []


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_places_the_order(house: House) -> None:
    rental = order(house)

    def work() -> None:
        try:
            placing.place_next(house.token.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rental.refresh_from_db()
    assert rental.status == Status.WAITING
    assert len(house.upstream.books()["attempts"]) == 1


def test_placing_is_committed_before_the_request_leaves(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rental = order(house)
    seen = []

    def rent(*args: object, **kwargs: object) -> None:
        # A test's own transaction is around it all; none of ours may be.
        assert len(connection.savepoint_ids) == 0
        seen.append(Rental.objects.get(pk=rental.pk).status)
        raise thuesim.TimedOut("")

    monkeypatch.setattr(thuesim.Client, "rent", rent)
    place(rental)
    assert seen == [Status.PLACING]


def test_what_a_dead_worker_left_behind_is_unconfirmed(settings: Settings) -> None:
    settings.THUESIM_TIMEOUT_SECONDS = 20.0
    alive = make_rental(Status.PLACING, attempt_at=timezone.now() - timedelta(seconds=20))
    dead = make_rental(Status.PLACING, attempt_at=timezone.now() - timedelta(seconds=26))
    ahead = make_rental(Status.PLACING, attempt_at=timezone.now() + timedelta(minutes=10))
    assert set(placing.sweep()) == {dead.token_id, ahead.token_id}
    for rental, status in [(alive, Status.PLACING), (dead, Status.UNCONFIRMED), (ahead, Status.UNCONFIRMED)]:
        rental.refresh_from_db()
        assert rental.status == status


def test_a_reply_that_comes_after_the_sweep_still_counts(house: House) -> None:
    rental = make_rental(Status.UNCONFIRMED, token=house.token, team=house.team, service=house.service)
    rented = thuesim.Rented("5.02", "+84961234567", 470, None, "97", "", None, "")
    assert lifecycle.number_taken(rental, rented)
    assert rental.status == Status.WAITING


def test_a_reply_with_the_number_of_another_order_is_left_to_the_history(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    first = place(order(house))
    reply = thuesim.Rented(first.upstream_id, first.phone, 470, 1, "97", "Facebook", None, "")
    monkeypatch.setattr(placing, "_request", lambda *_: reply)
    with django_capture_on_commit_callbacks(execute=True):
        rental = place(order(house))
    assert (rental.status, rental.reason, rental.phone) == (Status.UNCONFIRMED, reasons.GIBBERISH, "")
    assert LedgerEntry.objects.filter(kind="rent").get().rental == first
    assert Token.objects.get().balance != reply.balance
    assert ("rentals.settle", house.token.pk) in enqueued


def test_orders_wait_while_we_back_off_from_an_upstream_that_is_down(house: House) -> None:
    house.upstream.set_fault("http-500")
    for _ in range(3):
        place(order(house))
    house.token.refresh_from_db()
    assert breaker.hold_of(house.token) == Hold.DOWN
    waiting = place(order(house))
    assert waiting.status == Status.QUEUED
    house.upstream.clear_faults()
    with time_machine.travel(timezone.now() + timedelta(seconds=11), tick=True):
        assert place(waiting).status == Status.WAITING


def test_a_good_answer_ends_the_pause_even_to_a_call_from_before_it(house: House) -> None:
    asked_before = Token.objects.get(pk=house.token.pk)
    breaker.put_on_hold(house.token, Hold.DOWN, seconds=10)
    breaker.answered(asked_before)
    assert place(order(house)).status == Status.WAITING


def test_no_order_is_risked_on_an_upstream_that_is_still_down(house: House) -> None:
    house.upstream.set_fault("http-500")
    for _ in range(3):
        place(order(house))
    waiting = order(house)
    for seconds in (11, 22, 33):
        with time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=True):
            assert place(waiting).status == Status.QUEUED
    assert len(house.upstream.books()["attempts"]) == 3
    house.upstream.clear_faults()
    with time_machine.travel(timezone.now() + timedelta(seconds=44), tick=True):
        assert place(waiting).status == Status.WAITING


def test_orders_in_doubt_do_not_block_the_waiting_places_for_long(house: House) -> None:
    Token.objects.update(waiting_limit=1)
    make_rental(Status.UNCONFIRMED, token=house.token, team=house.team, service=house.service)
    rental = place(order(house))
    assert rental.status == Status.QUEUED
    with time_machine.travel(timezone.now() + timedelta(seconds=queue.DOUBTFUL_SECONDS + 1), tick=True):
        assert place(rental).status == Status.WAITING
