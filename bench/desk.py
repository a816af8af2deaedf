"""The people of the benchmarks: a team with its tokens, and customers who order without pause. Needs Django set up."""

import contextlib
import random
import time

from django.db import DatabaseError, connection

from accounts.models import Membership, Role, Team, User
from bench.stage import Stage, settled
from rentals import enqueue, lifecycle, orders
from rentals.models import CallbackAddress, LedgerEntry, Rental, Service, Status, Token

PEOPLE = 5
AGAIN, CANCELLED, KEEP_TRYING = 0.05, 0.02, 0.5  # how likely each is
# Longer than any number's own prefix, so that it filters nothing: an order is known by it in the sandbox's books.
FIRST_LABEL = 1000


class House:
    """A team whose tokens are those of the stage, with callbacks on, a catalog and an opened ledger each."""

    def __init__(self, stage: Stage, rng: random.Random, *, callbacks: bool = True) -> None:
        self._rng = rng
        self.ordered = 0
        self.team = Team.objects.order_by("pk")[0]
        self.people = [self._person(number) for number in range(PEOPLE)]
        self.tokens = [self._token(number, value) for number, value in enumerate(stage.tokens, 1)]
        if callbacks:
            for token, value in zip(self.tokens, stage.tokens, strict=True):
                secret = CallbackAddress.issue(token).secret.reveal()
                stage.upstream("callback", token=value, url=f"{stage.desk.base_url}/callback/{secret}/")
        if not settled(self._known, 60, every=0.3):
            raise TimeoutError("the catalog or a balance did not come")

    def _person(self, number: int) -> User:
        person = User.objects.create_user(f"customer{number}")
        Membership.objects.create(user=person, team=self.team, role=Role.OPERATOR)
        return person

    def _token(self, number: int, value: str) -> Token:
        token = Token.objects.create(name=f"Token {number}", value=value)
        token.teams.add(self.team)
        enqueue.sync(token.pk)
        return token

    def _known(self) -> bool:
        opened = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.OPENING).count()
        return opened == len(self.tokens) and Service.objects.filter(active=True).exists()

    def queue_length(self) -> int:
        """How many orders wait to be placed; 0 while the database cannot tell."""
        try:
            return Rental.objects.filter(status=Status.QUEUED).count()
        except DatabaseError:
            connection.close()
            return 0
        finally:
            connection.close()

    def tokens_summary(self) -> str:
        """Return in words how the tokens stand, for the printed report."""
        try:
            tokens = list(Token.objects.order_by("pk"))
        except DatabaseError:
            return "the database does not answer"
        finally:
            connection.close()
        return "; ".join(f"{token.name} {token.hold or 'free'}, {token.faults} errors" for token in tokens)

    def order(self, count: int, services: tuple[str, ...], deadline: float, *, most_queued: int = 60) -> None:
        """Order `count` numbers, each under a label of its own, never more than `most_queued` ahead of the workers."""
        while self.ordered < count and time.monotonic() < deadline:
            if self.queue_length() >= most_queued:
                time.sleep(0.3)
                continue
            try:
                self._one(services)
            except (DatabaseError, orders.OrderRefused):
                connection.close()
                time.sleep(0.3)
            else:
                self.ordered += 1
        connection.close()

    def order_on_each_token(self, count: int, service: str) -> None:
        """Order `count` numbers on each token."""
        server, _, bare = service.rpartition(".")
        found = Service.objects.get(sv=server, upstream_id=bare)
        for token in self.tokens * count:
            person = self._rng.choice(self.people)
            orders.take_order(orders.Order(person=person, team=self.team, service=found, token=token))
        connection.close()

    def _one(self, services: tuple[str, ...]) -> None:
        rng = self._rng
        sv, _, bare = rng.choice(services).rpartition(".")
        service = Service.objects.get(sv=sv, upstream_id=bare)
        again_of = None
        if rng.random() < AGAIN:
            ended = Rental.objects.filter(
                status__in=[Status.RECEIVED, Status.EXPIRED], again=None, person__isnull=False
            )
            again_of = ended.order_by("?").first()
        rental = orders.take_order(
            orders.Order(
                person=rng.choice(self.people),
                team=self.team,
                service=again_of.service if again_of else service,
                exclude_prefixes=[str(FIRST_LABEL + self.ordered)],
                networks=["VIETTEL", "MOBIFONE"] if rng.random() < 0.2 else [],
                keep_trying_minutes=5 if rng.random() < KEEP_TRYING else 0,
                again_of=again_of,
            )
        )
        if rng.random() < CANCELLED:
            with contextlib.suppress(lifecycle.IllegalTransition):
                lifecycle.cancel(rental, person=rental.person)
