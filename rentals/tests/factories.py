"""Make rows for the tests. Each function takes the fields that the test is about; the others get ordinary values."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Role, Team, User
from lib.encryption import Secret
from rentals.models import Destination, Message, OutgoingEvent, Rental, Service, Status, Token
from rentals.models.catalog import searchable
from rentals.models.destinations import new_signing_secret

EVERY_TOUR = ["admin", *Role.values]
_number = count(1)


def make_team(name: str = "", **over: Any) -> Team:
    return Team.objects.create(name=name or f"Team {next(_number)}", **over)


def make_person(team: Team | None = None, role: Role = Role.OPERATOR, *, username: str = "", **over: Any) -> User:
    """A person; with a team, a member of it. The password is `secret-enough`. They had their tours: none comes by itself."""
    fields = {"tours_seen": EVERY_TOUR, **over}
    person = User.objects.create_user(username or f"person{next(_number)}", password="secret-enough", **fields)
    if team is not None:
        Membership.objects.create(user=person, team=team, role=role)
    return person


def signed_in(person: User) -> Client:
    """The browser of a person, without the way there."""
    client = Client()
    client.force_login(person)
    return client


def signed_in_by_form(person: User) -> Client:
    """The browser of a person who signed in as people do: only then is the session in the list of sessions."""
    client = Client()
    answer = client.post(reverse("account_login"), {"login": person.username, "password": "secret-enough"})
    assert answer.status_code == 302
    return client


def make_token(*teams: Team, value: str = "", **over: Any) -> Token:
    number = next(_number)
    value = value or f"{number}-{number:032x}"
    token = Token.objects.create(**{"name": f"Token {number}", "value": Secret(value), **over})
    token.teams.set(teams)
    return token


def make_service(**over: Any) -> Service:
    name = over.pop("name", f"Service {next(_number)}")
    fields = {"sv": "02", "upstream_id": str(1000 + next(_number)), "price": 1450, "seconds": 300, **over}
    return Service.objects.create(name=name, search_name=searchable(name), **fields)


def make_rental(status: Status = Status.QUEUED, **over: Any) -> Rental:
    """A rental in any status, with the fields that the status needs. The only rows that lifecycle did not write."""
    number = next(_number)
    now = timezone.now()
    fields: dict[str, Any] = {"status": status, "queued_at": now, "due_at": now}
    if "team" not in over:
        fields["team"] = make_team()
    if "token" not in over:
        fields["token"] = make_token(over.get("team") or fields["team"])
    if "service" not in over:
        fields["service"] = make_service()
    if status in {Status.PLACING, Status.UNCONFIRMED, Status.WAITING, Status.RECEIVED, Status.EXPIRED}:
        fields |= {"attempt_at": now, "attempts": 1}
    if status in {Status.WAITING, Status.RECEIVED, Status.EXPIRED}:
        fields |= {
            "upstream_id": f"{88_000_000 + number}.02",
            "upstream_key": f"{88_000_000 + number}",
            "phone": f"+8496{number:07d}",
            "network": "VIETTEL",
            "price": 1450,
            "placed_at": now,
            "expires_at": now + timedelta(seconds=300),
        }
    if status in {Status.RECEIVED, Status.EXPIRED, Status.REFUSED, Status.CANCELLED}:
        fields["ended_at"] = now
    return Rental.objects.create(**{**fields, **over})


def make_voice_call(person: User, team: Team) -> Message:
    """A voice call of a person, whose recording was kept: `RIFF`."""
    now = timezone.now()
    rental = make_rental(Status.RECEIVED, team=team, person=person, received_at=now)
    message = Message.objects.create(rental=rental, at=now, code="059809", is_call=True, source="poll", fingerprint="x")
    message.audio.save("call.wav", ContentFile(b"RIFF"))
    return message


def make_destination(team: Team | None = None, **over: Any) -> Destination:
    """A webhook that wants every event, without codes."""
    fields = {
        "team": team or make_team(),
        "kind": Destination.Kind.WEBHOOK,
        "name": f"Destination {next(_number)}",
        "address": Secret("https://hooks.example.com/secret-path"),
        "secret": new_signing_secret(),
        "events": OutgoingEvent.values,
        "language": "en",
    }
    return Destination.objects.create(**{**fields, **over})
