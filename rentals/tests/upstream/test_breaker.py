"""The circuit breaker of a token: what opens it, what closes it, and that every call reports to it."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.utils import timezone

import thuesim
from rentals import orders
from rentals.jobs import balances, catalog, placing, polling, reconciling
from rentals.models import Hold, Rental, Token
from rentals.tests.factories import make_token
from rentals.tests.fixtures import House
from rentals.upstream import breaker

pytestmark = pytest.mark.django_db


def report(token: Token, error: thuesim.ThueSimError | None) -> None:
    """Report one call that answered, or ended in `error`."""
    with breaker.reporting(token):
        if error is not None:
            raise error


def fail(token: Token, error: thuesim.ThueSimError, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(type(error)):
            report(token, error)
    token.refresh_from_db()


def test_it_opens_after_several_failures_in_a_row_and_an_answer_closes_it() -> None:
    token = make_token()
    fail(token, thuesim.TimedOut("no answer"), breaker.FAILURES_TO_OPEN - 1)
    assert breaker.hold_of(token) == Hold.NONE
    fail(token, thuesim.TimedOut("no answer"))
    assert (breaker.hold_of(token), token.last_fault) == (Hold.DOWN, "TimedOut: no answer")
    report(token, None)
    token.refresh_from_db()
    assert (breaker.hold_of(token), token.faults) == (Hold.NONE, 0)


def test_a_refusal_is_an_answer() -> None:
    token = make_token()
    fail(token, thuesim.ServerError(), breaker.FAILURES_TO_OPEN)
    fail(token, thuesim.OutOfStock())
    assert (breaker.hold_of(token), token.faults) == (Hold.NONE, 0)
    assert token.answered_at is not None


@pytest.mark.parametrize("error", [thuesim.KeptBack(), thuesim.AudioRefused()])
def test_a_request_that_never_left_says_nothing(error: thuesim.ThueSimError) -> None:
    token = make_token()
    fail(token, thuesim.ServerError())
    fail(token, error)
    assert (token.faults, token.answered_at) == (1, None)


def test_a_refused_token_is_held_at_once() -> None:
    token = make_token()
    fail(token, thuesim.InvalidToken("Token khong hop le"))
    assert (breaker.hold_of(token), token.hold_detail) == (Hold.INVALID, "Token khong hop le")


def test_the_longer_it_fails_the_longer_the_pause_up_to_a_limit() -> None:
    token = make_token()
    pauses = []
    for _ in range(8):
        fail(token, thuesim.CannotConnect())
        pauses.append(breaker.pause_seconds(token))
    assert pauses[: breaker.FAILURES_TO_OPEN - 1] == [0.0] * (breaker.FAILURES_TO_OPEN - 1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == breaker.MAX_PAUSE_SECONDS


CALLS: dict[str, Callable[[Token], object]] = {
    "balance": balances.read_balance,
    "catalog": catalog.sync_catalog,
    "history": lambda token: reconciling.reconcile(token.pk),
    "poll of a token": lambda token: polling.poll_token(token.pk),
    "poll of a number": lambda token: polling.poll_rental(Rental.objects.get(token=token).pk),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_reports_its_failure_and_its_answer(house: House, name: str) -> None:
    orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)

    def call() -> None:
        Token.objects.update(next_watch_at=None)
        Rental.objects.update(due_at=timezone.now())
        with suppress(thuesim.ThueSimError):
            CALLS[name](house.token)
        house.token.refresh_from_db()

    house.upstream.set_fault("http-500")
    call()
    assert house.token.faults >= 1
    Token.objects.update(answered_at=None)
    house.upstream.clear_faults()
    call()
    assert house.token.faults == 0
    assert house.token.answered_at is not None
