"""What the tests about money share: a clock that moves, and an upstream that is read as the workers do."""

import time_machine

from rentals import lifecycle, orders
from rentals.jobs import balances, placing, polling, reconciling, runs
from rentals.models import BalanceReading, JobName, Rental
from rentals.tests.fixtures import House

Traveller = time_machine.Traveller
# Between two readings of a balance.
PAUSE_SECONDS = 65.0


def rent(house: House, **over: object) -> Rental:
    """Order a number and place the order."""
    wishes = {"person": house.person, "team": house.team, "service": house.service, **over}
    rental = orders.take_order(orders.Order(**wishes))  # type: ignore[arg-type]
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    return rental


def expire(house: House, rental: Rental) -> None:
    """Let a number expire, upstream and here."""
    house.upstream.expire(rental.upstream_key)
    lifecycle.expire(rental)


def read(house: House, clock: Traveller, seconds: float = PAUSE_SECONDS) -> BalanceReading:
    """After a pause, poll the numbers, read the history and then the balance, as the recurring jobs do."""
    clock.shift(seconds)
    polling.poll_token(house.token.pk)
    with runs.noted_at_end(JobName.RECONCILE, house.token.pk):
        reconciling.reconcile(house.token.pk)
    return balances.read_balance(house.token)
