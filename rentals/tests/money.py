"""What the tests about money share: a clock that moves, and an upstream that is read as the workers do."""

import time_machine

from rentals import lifecycle
from rentals.jobs import balances, polling, reconciling, runs
from rentals.models import BalanceReading, JobName, Rental
from rentals.tests.fixtures import House, order, place

Traveller = time_machine.Traveller
# Between two readings of a balance.
PAUSE_SECONDS = 65.0


def rent(house: House, **over: object) -> Rental:
    """Order a number and place the order."""
    return place(order(house, **over))


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
