"""Two teams that have one of everything, and every address of the project filled in with what is theirs."""

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client, override_settings
from django.urls import URLResolver, get_resolver
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from accounts import api_keys, audit, invitations
from accounts.models import ApiKey, GroupRule, Role, Scope, Team, User
from accounts.policy import access_for
from rentals.models import (
    BackgroundJob,
    BalanceQuestion,
    BalanceReading,
    Callback,
    CallbackAddress,
    ContractDrift,
    Delivery,
    JobName,
    JobRun,
    LedgerEntry,
    Message,
    Network,
    Rental,
    Status,
    Token,
)
from rentals.tests.factories import make_destination, make_person, make_rental, make_team, make_token

ROLES = ("visitor", "viewer", "operator", "manager", "admin")
CODE, SAID = "749216", "Ma xac nhan cua ban la 749216"


@dataclass(frozen=True)
class World:
    """Two teams alike: everything that the one has, the other has too."""

    ours: Team
    theirs: Team
    people: dict[str, User]
    things: dict[str, dict[str, Any]]  # by "own" and "other"
    forms: dict[str, str]  # what is sent to every address, as a browser writes it, by "own" and "other"
    cookies: dict[str, SimpleCookie]

    def sign_in(self, client: Client, role: str) -> None:
        """Give a browser the cookies of a person, `"visitor"` for none, in place of those that it has."""
        client.cookies = copy(self.cookies[role])


def furnish(team: Team, mark: str) -> dict[str, Any]:
    """Give a team one of everything; what is written says `mark`."""
    person = make_person(team, username=f"{mark}-colleague")
    token = make_token(team, name=f"{mark}-token", balance=7_654_321)
    manager = make_person(team, Role.MANAGER, username=f"{mark}-boss")
    invitation, secret = invitations.invite(manager, team, role=Role.VIEWER, note=f"{mark}-guest")
    rental = _received(team, person, token, mark)
    reading = BalanceReading.objects.create(token=token, at=timezone.now(), balance=1, expected=1)
    asked = BalanceQuestion.objects.create(
        token=token, reading=reading, since=reading.at, until=reading.at, amount=7, note=f"{mark}-note"
    )
    top_up = LedgerEntry.objects.create(token=token, kind="top_up", amount=9, at=reading.at, note=f"{mark}-note")
    destination = make_destination(team, name=f"{mark}-destination")
    kept = Callback.objects.create(token=token, at=timezone.now(), body=b"{}", upstream_key=f"{mark}-key")
    return {
        "rental": rental,
        "message": rental.messages.get(),
        "ledgerentry": rental.ledger.get(),
        "user": person,
        "token": token,
        "team": team,
        "service": rental.service,
        "invitation": invitation,
        "secret": secret,
        "callback": CallbackAddress.issue(token).secret.reveal(),
        "kept callback": kept,
        "balancereading": reading,
        "balancequestion": asked,
        "top-up": top_up,
        "job": BackgroundJob.objects.create(kind="export_csv", person=person, team=team),
        "destination": destination,
        "delivery": Delivery.objects.create(
            destination=destination, event="test", at=timezone.now(), next_try=timezone.now(), answer=f"{mark}-answer"
        ),
        "jobrun": JobRun.objects.create(name=mark, token=token),
        "auditrecord": audit.record("reveal", person=person, team=team, target=f"{mark}-target"),
        "contractdrift": ContractDrift.objects.create(
            endpoint="code", form=mark, first_at=timezone.now(), last_at=timezone.now()
        ),
        "api_key": _api_key(team, person, mark),
        "network": Network.objects.create(name=f"NET-{mark}"),
        "grouprule": GroupRule.objects.create(provider="company", group=f"{mark}-group", right="viewer", team=team),
    }


def _api_key(team: Team, person: User, mark: str) -> ApiKey:
    access = access_for(person, team_id=team.pk)
    return api_keys.make(person, access, name=f"{mark}-key", scopes=Scope.values)[0]


def _received(team: Team, person: User, token: Token, mark: str) -> Rental:
    """A call that came, with a code, a text and a recording."""
    now = timezone.now()
    rental = make_rental(
        Status.RECEIVED, team=team, person=person, token=token, purpose=f"{mark}-purpose", received_at=now, ended_at=now
    )
    LedgerEntry.objects.create(token=token, rental=rental, kind="rent", amount=-1450, at=now, note=f"{mark}-note")
    kept = default_storage.save("calls/x.audio", ContentFile(b"RIFF"))
    Message.objects.create(
        rental=rental, at=now, code=f"{mark}-{CODE}", text=f"{mark}-{SAID}", is_call=True, source="poll", audio=kept,
        audio_type="audio/wav", fingerprint=mark,
    )  # fmt: skip
    return rental


SETTINGS = {
    "PUBLIC_URL": "http://testserver",
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},  # no throttle
}


@pytest.fixture
def world(db: None, settings: Settings, tmp_path: Any) -> World:
    settings.MEDIA_ROOT = tmp_path
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    return make_world()


@pytest.fixture(scope="module", name="world")
def shared_world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One world for all tests of a file, since each request is taken back. Time stands still: it does not grow old."""
    with (
        time_machine.travel(timezone.now(), tick=False),
        django_db_blocker.unblock(),
        override_settings(**SETTINGS, MEDIA_ROOT=tmp_path_factory.mktemp("media")),
        transaction.atomic(),
    ):
        yield make_world()
        transaction.set_rollback(True)


def make_world() -> World:
    JobRun.objects.create(name=JobName.TICK, at=timezone.now())
    ours, theirs = make_team("Ours"), make_team("Theirs")
    people = {role: make_person(ours, Role(role), username=role) for role in ROLES[1:4]}
    people["admin"] = make_person(username="admin", is_staff=True, team=ours)
    things = {"own": furnish(ours, "own"), "other": furnish(theirs, "other")}
    forms = {whose: urlencode(sent_to_any(these), doseq=True) for whose, these in things.items()}
    return World(ours, theirs, people, things, forms, {role: _signed_in(people.get(role)) for role in ROLES})


def _signed_in(person: User | None) -> SimpleCookie:
    client = Client()
    if person is not None:
        client.force_login(person)
    return client.cookies


class FormClient(Client):
    """Sends a form as browsers do where it names no `enctype`; Django's client sends multipart, which takes far longer.

    `data` may be a text that is in that form already.
    """

    def post(self, path: Any, data: Any = None, *args: Any, **more: Any) -> Any:
        form = data if isinstance(data, str) else urlencode(data or {}, doseq=True)
        return super().post(path, form, "application/x-www-form-urlencoded", *args, **more)


@cache
def addresses() -> dict[str, list[str]]:
    """Every pattern of the project by its view's name; several may share one."""
    found: dict[str, list[str]] = {}

    def walk(resolver: URLResolver, prefix: str, namespace: str) -> None:
        for pattern in resolver.url_patterns:
            whole = f"{prefix}{pattern.pattern}"
            if isinstance(pattern, URLResolver):
                walk(pattern, whole, f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace)
            else:
                name = pattern.name or ("row_old" if whole.endswith("object_id>/") else "nowhere")
                found.setdefault(f"{namespace}{name}", []).append(whole)

    walk(get_resolver(), "/", "")
    return found


def address_of(pattern: str, name: str, things: dict[str, Any], rental: Rental) -> str:
    """Fill a pattern in with what belongs to one of the teams."""
    model = re.match(r"admin:(?:rentals|accounts)_([a-z]+)_", name)
    by_name: dict[str, Any] = {
        "person": things["user"],
        "invite": things["invitation"],
        "service": things["service"],
        "import": things["token"],
        "setup": things["token"],
        "key": things["api_key"],
        "background": things["job"],
        "destination": things["destination"],
    }
    row = by_name.get(name.partition("_")[0], rental)
    row = {"spend_answer": things["balancequestion"], "spend_take_back": things["top-up"]}.get(name, row)
    if model:
        row = things["kept callback" if model[1] == "callback" else model[1]]
    values = {
        "pk": row.pk, "object_id": row.pk, "id": things["user"].pk, "secret": things["secret"], "content_type_id": 1,
        "rental_id": rental.pk, "service_id": things["service"].key,
        "uidb36": "1", "key": "wrong", "app_label": "rentals", "url": "nowhere",
        "name": "operator", "provider_id": "nowhere",
    }  # fmt: skip
    if name == "callback":
        values["secret"] = things["callback"]
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: str(values[m[1]]), pattern)
    return (
        re.sub(r"\(\?P<(\w+)>[^)]*\)|\^|\$", lambda m: str(values[m[1]]) if m[1] else "", pattern)
        if "(?P" in pattern
        else filled
    )


def sent_to_any(things: dict[str, Any]) -> dict[str, Any]:
    """What is sent to every address: whatever any of them reads, and always of one team."""
    return {
        "service": things["service"].key,
        "purpose": "for a test",
        "token": things["token"].pk,
        "team": things["team"].pk,
        "person": things["user"].pk,
        "name": "Ours",
        "add": things["service"].key,
        "role": "viewer",
        "days": 7,
        "rentals_per_day": 5,
        "language": "en",
        "q": CODE,
        "message": things["message"].pk,
        "scopes": ["rentals:read"],
        "delivery": things["delivery"].pk,
    }
