"""A card and the page of a rental: what they say, whose code is masked, and what one may do with it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditRecord, Role, Team, User
from pages.tests.markup import html
from pages.tests.views.test_desk import HTMX, as_operator, elements, operator, with_code
from rentals.models import LedgerEntry, Message, Rental, Status
from rentals.tests.factories import make_person, make_rental

pytestmark = pytest.mark.one_database

__all__ = ["as_operator", "operator"]  # the fixtures


def test_a_card_says_all_there_is_to_say(as_operator: Client, team: Team, operator: User) -> None:
    rental = make_rental(
        Status.RECEIVED, team=team, person=operator, phone="+84852222127", price=1450, unasked=["network"]
    )
    with_code(rental)
    card = elements(as_operator.get("/")).find(data_testid="rental")
    assert card.find(data_testid="phone").text == "0852 222 127"
    code = card.find(data_testid="code")
    assert (code.text, code["aria-hidden"]) == ("059809", "true")
    assert "0 5 9 8 0 9" in card.text
    assert card.find(data_testid="price").text == "1.450 ₫"
    assert "a different network than requested" in card.text


@pytest.mark.parametrize(("status", "button"), [(Status.WAITING, "check"), (Status.QUEUED, "cancel")])
def test_a_button_leads_back_to_an_address_with_a_per_cent_sign(
    as_operator: Client, team: Team, operator: User, status: Status, button: str
) -> None:
    rental = make_rental(status, team=team, person=operator)
    card = elements(as_operator.get("/?x=100%25s")).find(data_testid="rental")
    form = next(form for form in card.find_all("form") if form["action"] == f"/rentals/{rental.pk}/{button}/")
    assert form["hx-post"] == form["action"]
    assert form.find("button")["id"] == f"{button}-{rental.pk}"
    assert form.values()["next"] == ["/?x=100%25s"]


def test_hostile_messages_are_shown_as_text(as_operator: Client, team: Team, operator: User) -> None:
    with_code(make_rental(Status.RECEIVED, team=team, person=operator), "1234", "<script>alert(1)</script>\u202e")
    page = html(as_operator.get("/"))
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("address", ["/", "/board/", "/rentals/", "/rentals/{}/"])
def test_another_persons_code_is_masked_everywhere(as_operator: Client, team: Team, address: str) -> None:
    other = make_person(team)
    rental = with_code(make_rental(Status.RECEIVED, team=team, person=other), "778899", "778899 la ma cua ban")
    page = html(as_operator.get(address.format(rental.pk)))
    assert "••••" in page
    assert "778899" not in page
    assert "la ma cua ban" not in page


def test_revealing_shows_the_code_and_is_recorded(as_operator: Client, team: Team, operator: User) -> None:
    rental = with_code(make_rental(Status.RECEIVED, team=team, person=make_person(team)), "778899")
    page = html(as_operator.post(reverse("reveal", args=[rental.pk]), headers=HTMX))
    assert ">778899</span>" in page
    record = AuditRecord.objects.get(action="reveal")
    assert (record.person, record.target) == (operator, f"rental {rental.pk}")


def test_reading_ones_own_code_is_no_reveal(as_operator: Client, team: Team, operator: User) -> None:
    rental = with_code(make_rental(Status.RECEIVED, team=team, person=operator))
    as_operator.post(reverse("reveal", args=[rental.pk]))
    assert not AuditRecord.objects.filter(action="reveal").exists()


def test_a_viewer_may_not_reveal(client: Client, team: Team) -> None:
    client.force_login(make_person(team, Role.VIEWER))
    rental = with_code(make_rental(Status.RECEIVED, team=team), "778899")
    response = client.post(reverse("reveal", args=[rental.pk]))
    assert response.status_code == 403
    assert "778899" not in html(response)


@pytest.mark.parametrize("name", ["rental", "recording"])
def test_another_teams_rental_is_not_there(as_operator: Client, name: str) -> None:
    assert as_operator.get(reverse(name, args=[make_rental(Status.WAITING).pk])).status_code == 404


@pytest.mark.parametrize("name", ["rent_again", "cancel", "check", "reveal"])
def test_nothing_can_be_done_with_another_teams_rental(as_operator: Client, name: str) -> None:
    assert as_operator.post(reverse(name, args=[make_rental(Status.QUEUED).pk])).status_code == 404


def test_ones_own_queued_order_can_be_cancelled(as_operator: Client, team: Team, operator: User) -> None:
    rental = make_rental(Status.QUEUED, team=team, person=operator)
    page = html(as_operator.post(reverse("cancel", args=[rental.pk]), headers=HTMX))
    assert 'data-status="cancelled"' in page
    assert "Nothing was charged" in page


def test_a_number_that_waits_cannot_be_cancelled(as_operator: Client, team: Team, operator: User) -> None:
    rental = make_rental(Status.WAITING, team=team, person=operator)
    assert "cannot be returned" in html(as_operator.post(reverse("cancel", args=[rental.pk]), headers=HTMX))


def test_another_persons_order_is_not_cancelled_by_an_operator(as_operator: Client, team: Team) -> None:
    rental = make_rental(Status.QUEUED, team=team, person=make_person(team))
    assert as_operator.post(reverse("cancel", args=[rental.pk])).status_code == 403
    rental.refresh_from_db()
    assert rental.status == Status.QUEUED


def test_renting_again_orders_the_same_number(as_operator: Client, team: Team, operator: User) -> None:
    earlier = make_rental(Status.RECEIVED, team=team, person=operator, purpose="QA")
    as_operator.post(reverse("rent_again", args=[earlier.pk]))
    order = Rental.objects.latest("pk")
    assert (order.again_of, order.phone, order.purpose) == (earlier, earlier.phone, "QA")


def test_a_refused_again_is_said(as_operator: Client, team: Team) -> None:
    never = make_rental(Status.REFUSED, team=team, reason="out_of_stock")
    page = html(as_operator.post(reverse("rent_again", args=[never.pk]), follow=True))
    assert "never got a number" in page


@pytest.mark.database
def test_check_now_makes_the_number_due(as_operator: Client, team: Team, operator: User) -> None:
    later = timezone.now() + timedelta(minutes=1)
    rental = make_rental(Status.WAITING, team=team, person=operator, due_at=later)
    as_operator.post(reverse("check", args=[rental.pk]))
    rental.refresh_from_db()
    assert rental.due_at is not None
    assert rental.due_at < later


def test_a_calls_audio_is_played_in_ranges(
    as_operator: Client, team: Team, operator: User, settings: Any, tmp_path: Any
) -> None:
    from django.core.files.base import ContentFile

    settings.MEDIA_ROOT = tmp_path
    rental = with_code(make_rental(Status.RECEIVED, team=team, person=operator))
    message = rental.messages.get()
    message.audio.save("call.wav", ContentFile(b"0123456789"))
    Message.objects.update(audio_type="audio/wav", is_call=True)
    address = reverse("recording", args=[rental.pk])
    player = elements(as_operator.get("/")).find("audio")
    assert (player["src"], player["preload"], "controls" in player) == (address, "none", True)
    whole = as_operator.get(address)
    assert (b"".join(whole), whole.headers["Content-Type"]) == (b"0123456789", "audio/wav")
    for asked, status, content, told in (
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=20-", 416, b"", "bytes */10"),
    ):
        part = as_operator.get(address, headers={"Range": asked})
        assert (part.status_code, b"".join(part), part.headers["Content-Range"]) == (status, content, told)
        assert int(part.headers.get("Content-Length", 0)) == len(content)


@pytest.mark.database
def test_a_masked_calls_audio_is_not_given(client: Client, team: Team, settings: Any, tmp_path: Any) -> None:
    from django.core.files.base import ContentFile

    settings.MEDIA_ROOT = tmp_path
    rental = with_code(make_rental(Status.RECEIVED, team=team, person=make_person(team)))
    rental.messages.get().audio.save("call.wav", ContentFile(b"x"))
    client.force_login(make_person(team))
    assert client.get(reverse("recording", args=[rental.pk])).status_code == 404


def test_the_page_of_a_rental_tells_its_story(as_operator: Client, team: Team, operator: User) -> None:
    rental = with_code(make_rental(Status.RECEIVED, team=team, person=operator))
    again = make_rental(
        Status.WAITING, team=team, person=operator, service=rental.service, phone=rental.phone, again_of=rental
    )
    LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-1450, at=timezone.now())
    rental.events.create(at=timezone.now(), kind="rented", before="placing", after="waiting")
    rental.events.create(
        at=timezone.now(), kind="received", before="waiting", after="received", detail={"by": "callback"}
    )
    page = html(as_operator.get(reverse("rental", args=[rental.pk])))
    assert "Number rented" in page
    assert "sent by ThueSim" in page
    assert "−1.450 ₫" in page
    assert reverse("rental", args=[again.pk]) in page
