"""A desk where numbers live whole lives at random, for what triggers keep."""

import random

from django.utils import timezone

import thuesim
from rentals import lifecycle
from rentals.models import BalanceReading, LedgerEntry, MessageSource, Rental, Status
from rentals.tests.factories import make_person, make_service, make_team, make_token


class Office:
    """Two teams on one token, whose people order, wait, get codes and refunds at random."""

    def __init__(self) -> None:
        self.teams = [make_team(), make_team()]
        self.token = make_token(*self.teams)
        self.services = [make_service() for _ in range(3)]
        self.people = {team.pk: [make_person(team) for _ in range(3)] for team in self.teams}
        self.reading = BalanceReading.objects.create(token=self.token, at=timezone.now(), balance=0)

    def live(self, rng: random.Random) -> None:
        """Let one number live its life, with all that may happen to what it cost."""
        team = rng.choice(self.teams)
        people = self.people[team.pk]
        rental = lifecycle.queue(
            team=team,
            person=rng.choice(people),
            token=self.token,
            service=rng.choice(self.services),
            purpose=rng.choice(["", "Shop A", "Shop B"]),
            agreed_price=rng.choice([None, 1000, 2000]),
        )
        lifecycle.start_attempt(rental)
        if rng.random() < 0.2:
            lifecycle.refuse(rental, reason="out_of_stock")
            return
        key = str(rng.getrandbits(50))
        phone = rng.choice(["", f"+8496{rng.randrange(10**7):07d}"])
        lifecycle.number_taken(rental, thuesim.Rented(f"{key}.02", phone, 1450, None, "", "", None, ""))
        if rng.random() < 0.4:
            lifecycle.hand_over(rental, to=rng.choice(people), by=people[0])
        if rng.random() < 0.3:
            lifecycle.correct_price(rental, rng.choice([900, 3000]), by="balance")
        lifecycle.phone_learned(rental, f"+8491{rng.randrange(10**7):07d}")
        message = thuesim.Message(f"code {key}", key[:6], False, "")
        if rng.random() < 0.6:
            lifecycle.message_arrived(rental, message, source=MessageSource.POLL)
            return
        lifecycle.expire(rental)
        lifecycle.refund(rental, self.reading)
        if rng.random() < 0.3:
            lifecycle.take_back(LedgerEntry.objects.get(rental=rental, kind="refund"), person=people[0], note="wrong")
        if rng.random() < 0.3:
            lifecycle.message_arrived(rental, message, source=MessageSource.HISTORY)
        if rng.random() < 0.3:
            Rental.objects.filter(pk=rental.pk).update(service=self.services[0])  # a twin was offered


def assert_missing_refunds_are_known() -> None:
    """Compare what the rentals say with the ledger."""
    missing = {
        rental.pk
        for rental in Rental.objects.filter(status=Status.EXPIRED, price__gt=0)
        if not rental.ledger.filter(kind=LedgerEntry.Kind.REFUND, taken_back=False).exists()
    }
    assert {*Rental.objects.filter(refund_missing=True).values_list("pk", flat=True)} == missing
