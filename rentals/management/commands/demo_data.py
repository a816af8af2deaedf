"""`manage.py demo_data`: a month of a team's work to look at: people, rentals of every day, codes, refunds, new prices."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, Role, Team, User
from lib.desk_command import DeskCommand
from rentals.jobs import statistics
from rentals.lifecycle import reasons
from rentals.models import LedgerEntry, Message, MessageSource, Rental, Service, ServicePrice, Status, Token

DAYS = 30
FIRST_KEY = 70_000_000  # of the ids that the upstream would have given
PEOPLE = [("linh", "Linh", "Trần"), ("minh", "Minh", "Phạm"), ("trang", "Trang", "Lê"), ("huy", "Huy", "Nguyễn")]
# How often each is rented, in which share of cases a code comes, and after how many seconds in the middle.
SERVICES = {
    "Facebook": (9, 0.93, 12),
    "Zalo": (7, 0.9, 9),
    "Shopee": (5, 0.86, 18),
    "Momo": (4, 0.95, 7),
    "Grab": (3, 0.7, 31),
    "Telegram": (3, 0.62, 40),
    "Lazada": (2, 0.88, 15),
}
PURPOSES = ["Kiểm thử đăng ký", "CSKH", "Tạo trang bán hàng", "Kiểm thử thanh toán", ""]
NETWORKS = {"VIETTEL": ("96", "97", "86"), "VINAPHONE": ("91", "94", "85"), "MOBIFONE": ("90", "93", "78")}


class Command(DeskCommand):
    """For the demo alone: it writes rentals and money that no upstream knows."""

    help = "Write the month that ended yesterday for the first team of a desk in demo mode."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it once. Raises `CommandError` outside demo mode, before the first catalog, or where it is there."""
        if not settings.DEMO:
            raise CommandError("This desk works with the true ThueSim; demo data is for the sandbox alone.")
        if not Service.objects.filter(name__in=SERVICES).exists():
            raise CommandError(
                "The catalogue has not been read yet. Within a minute of its start ./run reads it; then try again."
            )
        if Rental.objects.filter(upstream_key=str(FIRST_KEY)).exists():
            raise CommandError("The demo data is there already.")
        with transaction.atomic():
            count = write_month()
        self.stdout.write(f"{count} rentals of the last {DAYS} days were written.")


def write_month(seed: int = 7) -> int:
    """Write the month that ended yesterday for the first team and token. Returns the number of rentals."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    team, token = Team.objects.order_by("pk")[0], Token.objects.order_by("pk")[0]
    people = [_person(team, *names) for names in PEOPLE]
    services = {name: Service.objects.filter(name=name).order_by("sv")[0] for name in SERVICES}
    rentals = Rental.objects.bulk_create(
        [_rental(rng, number, at, team, token, people, services) for number, at in enumerate(_moments(rng))]
    )
    Message.objects.bulk_create(_message(rental, rng) for rental in rentals if rental.status == Status.RECEIVED)
    _keep_books(token, rentals)
    for name, change in (("Facebook", 100), ("Grab", -200), ("Zalo", 150)):
        service = services[name]
        since = timezone.now() - timedelta(days=20)
        ServicePrice.objects.filter(service=service).update(since=since + timedelta(days=11))
        ServicePrice.objects.create(service=service, price=(service.price or 0) - change, since=since)
    statistics.refresh(team.pk)
    return len(rentals)


def _person(team: Team, username: str, first: str, last: str) -> User:
    person, _made = User.objects.get_or_create(username=username)
    if not person.get_full_name():  # who has entered a name keeps it
        person.first_name, person.last_name = first, last
        person.save(update_fields=["first_name", "last_name"])
    Membership.objects.get_or_create(user=person, team=team, defaults={"role": Role.OPERATOR})
    return person


def _moments(rng: random.Random) -> Iterator[datetime]:
    """Yield the moments of the orders: most on working days, between eight and six."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    for days in range(DAYS, 0, -1):
        day = today - timedelta(days=days)
        for _ in range(rng.randint(3, 8) if day.weekday() >= 5 else rng.randint(22, 46)):
            yield day + timedelta(hours=8, minutes=rng.uniform(0, 600))


def _rental(
    rng: random.Random,
    number: int,
    at: datetime,
    team: Team,
    token: Token,
    people: list[User],
    services: dict[str, Service],
) -> Rental:
    name = rng.choices(list(SERVICES), [weight for weight, _share, _seconds in SERVICES.values()])[0]
    _weight, share, seconds = SERVICES[name]
    network = rng.choice(list(NETWORKS))
    came = rng.random() < share
    ends = at + timedelta(seconds=services[name].seconds)
    received = at + timedelta(seconds=seconds * rng.uniform(0.4, 2.5)) if came else None
    return Rental(
        team=team,
        person=rng.choice(people),
        token=token,
        service=services[name],
        purpose=rng.choice(PURPOSES),
        status=Status.RECEIVED if came else Status.EXPIRED,
        queued_at=at,
        attempt_at=at,
        attempts=1,
        placed_at=at,
        expires_at=ends,
        received_at=received,
        ended_at=received or ends,
        upstream_id=f"{FIRST_KEY + number}.01",
        upstream_key=str(FIRST_KEY + number),
        network=network,
        price=services[name].price,
        phone=f"+84{rng.choice(NETWORKS[network])}{rng.randrange(10**7):07d}",
        reason="" if came else reasons.NO_CODE,
    )


def _message(rental: Rental, rng: random.Random) -> Message:
    code = f"{rng.randrange(10**6):06d}"
    text = f"{rental.service.name}: {code} la ma xac minh cua ban, hieu luc trong 5 phut."
    assert rental.received_at is not None
    return Message(
        rental=rental,
        at=rental.received_at,
        code=code,
        text=text,
        several_codes="",
        source=MessageSource.POLL,
        fingerprint=rental.upstream_key,
    )


def _keep_books(token: Token, rentals: list[Rental]) -> None:
    """Write each price and refund, and the top-up that paid for them: the balance stays what it is."""
    kind = LedgerEntry.Kind
    lines = [
        LedgerEntry(token=token, rental=rental, kind=kind.RENT, amount=-(rental.price or 0), at=rental.queued_at)
        for rental in rentals
    ]
    lines += [
        LedgerEntry(token=token, rental=rental, kind=kind.REFUND, amount=rental.price or 0, at=rental.ended_at)
        for rental in rentals
        if rental.status == Status.EXPIRED and rental.ended_at
    ]
    spent = -sum(line.amount for line in lines)
    lines.append(LedgerEntry(token=token, kind=kind.TOP_UP, amount=spent, at=rentals[0].queued_at))
    LedgerEntry.objects.bulk_create(lines)
