"""A code that a person may not read is nowhere in what they are sent: pages, fragments, stream, search, exports."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest
import time_machine
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import AuditRecord, Role, Team, User
from pages.live.screens import StreamRequest, compose, open_screens
from rentals import code_access
from rentals.models import Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_token, signed_in

pytestmark = pytest.mark.django_db

CODE, TEXT = "749216", "Zebra crossing 749216, do not share"
# Who opens a colleague's rental, what the team's settings are, and whether they read the code.
READERS: dict[str, tuple[Role, dict[str, object], bool]] = {
    "a viewer": (Role.VIEWER, {}, False),
    "a viewer where the team shares": (Role.VIEWER, {"shares_codes": True}, False),
    "an operator": (Role.OPERATOR, {}, False),
    "an operator where the team shares": (Role.OPERATOR, {"shares_codes": True}, True),
    "a manager": (Role.MANAGER, {}, True),
    "a manager, faded": (Role.MANAGER, {"codes_fade_minutes": 5}, False),
    "an operator where the team shares, faded": (
        Role.OPERATOR,
        {"shares_codes": True, "codes_fade_minutes": 5},
        False,
    ),
}


@pytest.fixture
def owner(team: Team) -> User:
    return make_person(team, username="owner")


@pytest.fixture
def rental(team: Team, owner: User) -> Rental:
    at = timezone.now() - timedelta(minutes=6)
    rental = make_rental(
        Status.RECEIVED, team=team, person=owner, token=make_token(team), received_at=at, ended_at=at, queued_at=at
    )
    Message.objects.create(rental=rental, at=at, code=CODE, text=TEXT, source="poll")
    return rental


def streamed(client: Client, rental: Rental) -> str:
    """What the live stream sends about the rental to this browser."""
    request: HttpRequest = RequestFactory().get("/live/")
    [screen] = open_screens([StreamRequest.read(request, client.session.session_key)])
    assert screen is not None
    return b"".join(
        data for _screens, data in compose([Rental.objects.for_cards().get(pk=rental.pk)], [screen], {})
    ).decode()


def sheet(body: bytes) -> str:
    rows = openpyxl.load_workbook(BytesIO(body), read_only=True).worksheets[0].iter_rows(values_only=True)
    return "\n".join(str(row) for row in rows)


def everything(client: Client, rental: Rental, *, may_export: bool) -> dict[str, str]:
    """All that a person can be sent about a rental without asking for its code."""
    addresses = {
        "desk": "/",
        "board": "/board/",
        "history": reverse("history"),
        "search by code": f"{reverse('history')}?q={CODE[:5]}",
        "rental": reverse("rental", args=[rental.pk]),
        "services": reverse("services"),
        "system": reverse("system"),
        "team": reverse("team"),
    }
    found = {what: client.get(where).content.decode() for what, where in addresses.items()}
    found["stream"] = streamed(client, rental)
    found["check"] = client.post(reverse("check", args=[rental.pk]), headers={"HX-Request": "true"}).content.decode()
    if may_export:
        found["csv"] = client.post(reverse("export_csv")).content.decode()
        found["xlsx"] = sheet(client.post(reverse("export_xlsx")).content)
        found["audit"] = client.get(reverse("team_audit")).content.decode()
    return found


@pytest.mark.parametrize("reader", READERS)
def test_a_code_is_sent_to_those_who_read_it_and_to_nobody_else(team: Team, rental: Rental, reader: str) -> None:
    role, settings, reads = READERS[reader]
    Team.objects.filter(pk=team.pk).update(**settings)
    found = everything(signed_in(make_person(team, role)), rental, may_export=role == Role.MANAGER)
    carrying = {what for what, sent in found.items() if CODE in sent or "Zebra" in sent}
    seen_in = {"desk", "board", "history", "search by code", "rental", "stream"}
    if role != Role.VIEWER:
        seen_in |= {"check"} & carrying
    if role == Role.MANAGER:
        seen_in |= {"csv", "xlsx"}
    assert carrying == (seen_in if reads else set())


def test_the_owner_reads_their_code_after_it_faded(team: Team, owner: User, rental: Rental) -> None:
    Team.objects.update(codes_fade_minutes=5)
    assert CODE in signed_in(owner).get("/").content.decode()


def test_a_search_finds_nothing_by_a_code_that_is_masked(team: Team, rental: Rental) -> None:
    for text in (CODE, "Zebra"):
        page = signed_in(make_person(team)).get(reverse("history"), {"q": text}).content.decode()
        assert 'data-testid="rental"' not in page
        page = signed_in(make_person(team, Role.MANAGER)).get(reverse("history"), {"q": text}).content.decode()
        assert 'data-testid="rental"' in page


@pytest.mark.parametrize("htmx", [False, True])
def test_revealing_is_one_click_and_one_record(team: Team, rental: Rental, htmx: bool) -> None:
    person = make_person(team)
    headers = {"HX-Request": "true"} if htmx else {}
    page = signed_in(person).post(reverse("reveal", args=[rental.pk]), headers=headers).content.decode()
    assert CODE in page
    record = AuditRecord.objects.get(action="reveal")
    assert (record.person, record.team, record.target) == (person, team, f"rental {rental.pk}")
    assert record.address == "127.0.0.1"
    assert CODE not in str(record.detail)


def test_a_viewer_reveals_nothing(team: Team, rental: Rental) -> None:
    answer = signed_in(make_person(team, Role.VIEWER)).post(reverse("reveal", args=[rental.pk]))
    assert answer.status_code == 403
    assert CODE not in answer.content.decode()
    assert not AuditRecord.objects.filter(action="reveal").exists()


@pytest.fixture
def call(rental: Rental, settings: Settings, tmp_path: Path) -> Rental:
    settings.MEDIA_ROOT = tmp_path
    message = rental.messages.get()
    message.audio.save("call.wav", ContentFile(b"RIFF"))
    Message.objects.update(audio_type="audio/wav", is_call=True)
    return rental


def test_a_masked_call_plays_once_its_reveal_is_recorded(team: Team, call: Rental) -> None:
    client, address = signed_in(make_person(team)), reverse("recording", args=[call.pk])
    assert client.get(address).status_code == 404
    client.post(reverse("reveal", args=[call.pk]))
    assert AuditRecord.objects.filter(action="reveal").count() == 1
    answer = client.get(address)
    assert (answer.status_code, b"".join(answer)) == (200, b"RIFF")
    assert signed_in(make_person(team)).get(address).status_code == 404  # the reveal was another person's
    with time_machine.travel(timezone.now() + code_access.REVEAL_LASTS, tick=False):
        assert client.get(address).status_code == 404


def test_one_reveal_plays_one_call(team: Team, owner: User, call: Rental) -> None:
    client, person = signed_in(make_person(team, username="minh")), User.objects.get(username="minh")
    other = make_rental(Status.RECEIVED, team=team, person=owner, received_at=timezone.now())
    message = Message.objects.create(rental=other, at=timezone.now(), code="1", text="1", source="poll", is_call=True)
    message.audio.save("other.wav", ContentFile(b"RIFF"))
    client.post(reverse("reveal", args=[call.pk]))
    assert client.get(reverse("recording", args=[other.pk])).status_code == 404
    person.memberships.update(role=Role.VIEWER)
    assert client.get(reverse("recording", args=[call.pk])).status_code == 404
