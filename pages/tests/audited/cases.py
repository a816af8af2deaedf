"""What the record must tell of, by who does it: a case is a function that does it once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from rentals.models import Rental, Status
from rentals.tests.factories import make_rental
from rentals.tests.fixtures import House

ADDRESS = "10.9.8.7"
NEW_PASSWORD = "a fine long one 9"


@dataclass
class World:
    """A team on the stand-in upstream: `boss` manages it, `root` is an admin, `lan` an operator of it."""

    house: House
    boss: User
    root: User
    lan: User
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, name: str) -> Client:
        """Signed in as people do."""
        if name not in self.clients:
            client = self.clients[name] = Client(REMOTE_ADDR=ADDRESS)
            client.post(reverse("account_login"), {"login": name, "password": "secret-enough"})
        return self.clients[name]

    def post(self, by: str, view: str, /, *args: object, **sent: Any) -> Any:
        """Send a form as a person."""
        answer = self.client(by).post(reverse(view, args=args), sent)
        assert answer.status_code < 400, (view, answer.status_code)
        return answer


Do = Callable[[World], Any]
CASES: dict[str, tuple[Do, str, str, str, Any]] = {}


def case(action: str, by: str, target: str = "", detail: Any = None) -> Callable[[Do], Do]:
    """Say what the record must hold after `do`. Of a `detail` that is given, each item must be there."""

    def keep(do: Do) -> Do:
        CASES[do.__name__.strip("_")] = (do, action, by, target, detail)
        return do

    return keep


def received(world: World) -> Rental:
    """A rental of a colleague whose code came an hour ago."""
    came = timezone.now() - timedelta(hours=1)
    team, person = world.house.team, world.house.person
    rental = make_rental(Status.RECEIVED, team=team, person=person, token=world.house.token, received_at=came)
    rental.messages.create(at=came, code="749216", text="Ma 749216", source="poll", fingerprint="1")
    return rental
