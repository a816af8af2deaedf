"""What the tests of the spend page share: a number that was charged, and the time that the page shows first."""

from typing import Any

from django.utils import timezone

from accounts.models import Team
from pages.presenters.spend import Period
from rentals.models import LedgerEntry, Rental, Status, Token
from rentals.tests.factories import make_rental


def rented(team: Team, token: Token, price: int, *, back: bool = False, **over: Any) -> Rental:
    rental = make_rental(Status.EXPIRED, team=team, token=token, price=price, **over)
    LedgerEntry.objects.create(token=token, rental=rental, kind="rent", amount=-price, at=timezone.now())
    if back:
        LedgerEntry.objects.create(token=token, rental=rental, kind="refund", amount=price, at=timezone.now())
    return rental


def this_month() -> Period:
    return Period.from_query({})
