"""The page of a team's destinations: what is typed is checked, secrets are shown once, and each change is recorded."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import AuditRecord, Role, Team
from rentals.models import Delivery, Destination
from rentals.tests.factories import make_destination, make_person, make_rental, make_service, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team("Ours")


@pytest.fixture
def as_manager(team: Team, client: Client) -> Client:
    client.force_login(make_person(team, Role.MANAGER, username="boss"))
    return client


def _post(client: Client, view: str, *args: object, **sent: Any) -> Any:
    return client.post(reverse(view, args=args), sent)


def _typed(**over: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": "CI", "address": "https://1.1.1.1/hook-path", "events": ["rental.code"], **over}


def test_the_secret_of_a_new_webhook_is_shown_once_and_recorded_nowhere(as_manager: Client) -> None:
    page = _post(as_manager, "destination_add", **_typed())
    destination = Destination.objects.get()
    secret = destination.secret.reveal()
    assert secret.startswith("whsec_")
    assert secret in page.content.decode()
    again = as_manager.get(reverse("destination", args=[destination.pk])).content.decode()
    for hidden in (secret, "hook-path"):
        assert hidden not in again + str(list(AuditRecord.objects.values()))


def test_codes_are_off_unless_they_are_switched_on_and_that_is_recorded(as_manager: Client) -> None:
    _post(as_manager, "destination_add", **_typed())
    before = Destination.objects.get()
    _post(as_manager, "destination_change", before.pk, **_typed(address="", includes_codes="on"))
    destination = Destination.objects.get()
    assert (before.includes_codes, destination.includes_codes) == (False, True)
    assert AuditRecord.objects.get(action="destination_change").detail == {"codes": [False, True]}
    assert destination.address.reveal() == "https://1.1.1.1/hook-path"


def test_a_form_that_is_sent_twice_adds_one_destination_and_shows_its_secret_again(as_manager: Client) -> None:
    pages = [_post(as_manager, "destination_add", **_typed(form_key="once")).content.decode() for _ in range(2)]
    secret = Destination.objects.get().secret.reveal()
    assert all(secret in page for page in pages)
    assert AuditRecord.objects.filter(action="destination_add").count() == 1
    other = _post(as_manager, "destination_add", **_typed(form_key="once", name="Another"))
    assert other.status_code == 302
    assert Destination.objects.count() == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://1.1.1.1/",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "file:///x",
    ],
)
def test_an_address_of_our_own_network_is_refused_where_it_is_typed(as_manager: Client, address: str) -> None:
    assert _post(as_manager, "destination_add", **_typed(address=address)).status_code == 422
    assert not Destination.objects.exists()


def test_an_allowed_private_address_may_be_typed_with_plain_http(as_manager: Client, settings: Settings) -> None:
    settings.OUTGOING_ALLOW = ["10.0.0.0/8"]
    assert _post(as_manager, "destination_add", **_typed(address="http://10.1.2.3:8080/hook")).status_code == 200


def test_a_bot_of_telegram_is_kept_encrypted_and_not_shown(as_manager: Client) -> None:
    typed = {"kind": "telegram", "name": "QA", "bot_token": "123456:AAbbCCddEEff", "chat": "-1001", "events": ["test"]}
    assert _post(as_manager, "destination_add", **typed).status_code == 422  # no such event
    _post(as_manager, "destination_add", **{**typed, "events": ["rental.code"]})
    destination = Destination.objects.get()
    assert destination.secret.reveal() == "123456:AAbbCCddEEff"
    page = as_manager.get(reverse("destination", args=[destination.pk])).content.decode()
    assert "AAbbCC" not in page
    _post(as_manager, "destination_change", destination.pk, **{**typed, "bot_token": "", "events": ["rental.code"]})
    destination.refresh_from_db()
    assert destination.secret.reveal() == "123456:AAbbCCddEEff"


def test_an_email_needs_a_mail_server(as_manager: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    typed = _typed(kind="email", address="qa@example.com")
    assert _post(as_manager, "destination_add", **typed).status_code == 422
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert _post(as_manager, "destination_add", **typed).status_code == 302


def test_services_are_checked_and_people_are_of_the_team(as_manager: Client, team: Team) -> None:
    service = make_service()
    stranger, colleague = make_person(make_team()), make_person(team)
    for wrong in ({"services": "99.99"}, {"person": stranger.pk}):
        assert _post(as_manager, "destination_add", **_typed(**wrong)).status_code == 422
    _post(as_manager, "destination_add", **_typed(services=f" {service.key},", person=colleague.pk))
    destination = Destination.objects.get()
    assert (destination.services, destination.person) == ([service.key], colleague)


def test_a_secret_is_replaced_switched_off_and_deleted_with_a_record_of_each(as_manager: Client, team: Team) -> None:
    destination = make_destination(team)
    before = destination.secret.reveal()
    page = _post(as_manager, "destination_secret", destination.pk)
    destination.refresh_from_db()
    assert destination.secret.reveal() in page.content.decode()
    assert destination.signing_secrets == [destination.secret.reveal(), before]
    _post(as_manager, "destination_switch", destination.pk, off="1")
    _post(as_manager, "destination_switch", destination.pk, on="1")
    _post(as_manager, "destination_delete", destination.pk)
    assert not Destination.objects.exists()
    of_destinations = AuditRecord.objects.filter(action__startswith="destination").order_by("pk")
    assert list(of_destinations.values_list("action", flat=True)) == [
        "destination_secret", "destination_off", "destination_on", "destination_delete",
    ]  # fmt: skip


def test_a_test_and_an_event_sent_again_wait_to_be_sent(as_manager: Client, team: Team) -> None:
    destination = make_destination(team)
    _post(as_manager, "destination_test", destination.pk)
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.state) == ("test", "pending")
    Delivery.objects.update(state="failed", attempts=7)
    _post(as_manager, "destination_again", destination.pk, delivery=delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("pending", 0)
    other = make_destination(make_team())
    foreign = Delivery.objects.create(destination=other, event="test", at=timezone.now(), next_try=timezone.now())
    assert _post(as_manager, "destination_again", destination.pk, delivery=foreign.pk).status_code == 404


def test_the_log_shows_what_came_back_and_reads_it_in_a_fixed_number_of_queries(
    as_manager: Client, team: Team, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    destination, now = make_destination(team), timezone.now()
    for number in range(20):
        Delivery.objects.create(
            destination=destination, event="rental.code", at=now, next_try=now, rental=make_rental(team=team),
            status=500, milliseconds=12, answer=f"<b>{number}", state="failed",
        )  # fmt: skip
    with django_assert_max_num_queries(12):
        page = as_manager.get(reverse("destination", args=[destination.pk])).content.decode()
    assert "HTTP 500" in page
    assert "&lt;b&gt;19" in page


@pytest.mark.parametrize(
    ("came_of_it", "sentence", "polls"),
    [
        ({"state": "pending"}, "", True),
        ({"state": "delivered", "attempts": 1, "status": 204, "milliseconds": 35}, "The test arrived: HTTP 204 after 35 ms.",
         False),
        ({"state": "failed", "attempts": 7, "status": 500, "milliseconds": 8}, "The test did not arrive: HTTP 500", False),
        ({"state": "pending", "attempts": 1, "problem": "timeout"}, "The test did not arrive: No answer within ten", True),
    ],
)  # fmt: skip
def test_the_page_says_what_came_of_a_test(
    as_manager: Client, team: Team, came_of_it: dict[str, Any], sentence: str, polls: bool
) -> None:
    destination, now = make_destination(team), timezone.now()
    Delivery.objects.create(destination=destination, event="test", at=now, next_try=now, **came_of_it)
    page = as_manager.get(
        reverse("destination", args=[destination.pk]), headers={"Accept-Language": "en"}
    ).content.decode()
    outcome = page.split('id="test-outcome"')[1].split("</p>")[0]
    assert sentence in " ".join(outcome.split())
    assert ("did not arrive" in outcome, "arrived" in outcome) == ("not" in sentence, "arrived" in sentence)
    assert ('hx-trigger="load delay:1s"' in page) is polls


def test_the_page_says_since_when_a_destination_fails(as_manager: Client, team: Team) -> None:
    destination = make_destination(team)
    address = reverse("destination", args=[destination.pk])
    assert 'data-testid="failing"' not in as_manager.get(address).content.decode()
    Destination.objects.filter(pk=destination.pk).update(failing_since=timezone.now())
    assert 'data-testid="failing"' in as_manager.get(address).content.decode()
