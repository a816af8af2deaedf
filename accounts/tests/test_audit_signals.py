"""Sign-ins, failures and two-factor authentication: recorded, throttled, required."""

import json
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.test import Client, TestCase
from django.urls import reverse

from accounts.models import AuditRecord, Role, Team, User
from pages.live.screens import StreamRequest, open_screens, recheck
from rentals.tests.factories import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def sign_in(client: Client, name: str = "linh", password: str = "secret-enough", address: str = "10.0.0.1") -> str:
    answer = client.post(reverse("account_login"), {"login": name, "password": password}, REMOTE_ADDR=address)
    return answer["Location"] if answer.status_code == 302 else answer.content.decode()


def actions() -> list[str]:
    return list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))


def test_signing_in_and_out_is_recorded_with_the_address(linh: User) -> None:
    client = Client()
    assert sign_in(client) == "/"
    client.post(reverse("account_logout"), REMOTE_ADDR="10.0.0.1")
    assert actions() == ["sign_in", "sign_out"]
    assert set(AuditRecord.objects.values_list("person", "address")) == {(linh.pk, "10.0.0.1")}
    assert AuditRecord.objects.filter(action="sign_in", detail={"by": ["password"]}).exists()


def test_a_failure_is_recorded_without_what_was_typed(linh: User) -> None:
    sign_in(Client(), password="my-real-passw0rd")
    sign_in(Client(), name="my-real-passw0rd")
    assert actions() == ["sign_in_failed", "sign_in_failed"]
    assert list(AuditRecord.objects.order_by("pk").values_list("person", flat=True)) == [linh.pk, None]
    assert "my-real-passw0rd" not in json.dumps(list(AuditRecord.objects.values("target", "detail")))


def test_an_account_is_throttled_from_wherever_it_is_tried(linh: User) -> None:
    for number in range(5):
        sign_in(Client(), password="wrong", address=f"10.0.1.{number}")
    assert "Too many failed" in sign_in(Client(), address="10.0.2.1")
    assert actions() == ["sign_in_failed"] * 5 + ["sign_in_throttled"]
    sign_in(Client(), address="10.0.2.1")
    assert actions().count("sign_in_throttled") == 1


def test_an_address_is_throttled_whatever_account_it_tries(linh: User) -> None:
    for number in range(10):
        sign_in(Client(), name=f"somebody{number}", password="wrong")
    assert "Too many failed" in sign_in(Client())
    assert sign_in(Client(), address="10.9.9.9") == "/"


def test_a_deactivated_person_does_not_sign_in(linh: User) -> None:
    User.objects.update(is_active=False)
    assert "/accounts/inactive/" in sign_in(Client()) or "sign_in" not in actions()
    assert "sign_in" not in actions()


def require_two_factor(team: Team) -> None:
    Team.objects.filter(pk=team.pk).update(requires_second_step=True)


EVERYWHERE = [
    "/", "/board/", "/rentals/", "/rentals/1/", "/rentals/1/audio/", "/rentals/export.csv", "/rentals/export.xlsx",
    "/services/", "/spend/", "/system/", "/team/", "/team/left/", "/team/audit/", "/admin/",
]  # fmt: skip


@pytest.mark.database
@pytest.mark.parametrize("where", EVERYWHERE)
def test_without_the_two_factor_that_the_team_requires_every_page_leads_to_its_set_up(
    linh: User, team: Team, where: str
) -> None:
    require_two_factor(team)
    User.objects.update(is_staff=True)
    client = Client()
    client.force_login(linh)
    assert client.get(where)["Location"] == reverse("mfa_index")
    assert client.get(where, headers={"HX-Request": "true"})["HX-Redirect"] == reverse("mfa_index")
    assert "Your team requires two-factor authentication" in client.get(reverse("mfa_index")).content.decode()
    assert client.post(reverse("account_logout")).status_code == 302


@pytest.mark.parametrize("where", ["/rent/", "/rentals/1/again/", "/rentals/1/reveal/", "/team/invite/"])
def test_without_it_nothing_is_done_either(linh: User, team: Team, where: str) -> None:
    require_two_factor(team)
    client = Client()
    client.force_login(linh)
    assert client.post(where)["Location"] == reverse("mfa_index")


@pytest.mark.database
def test_a_stream_that_is_open_when_the_team_begins_to_require_it_shows_nothing_more(linh: User, team: Team) -> None:
    client = Client()
    sign_in(client)
    [screen] = open_screens([StreamRequest.read(client.get("/").wsgi_request, client.session.session_key)])
    assert screen is not None
    require_two_factor(team)
    viewer = recheck([screen])[screen]
    assert viewer is not None
    assert viewer.access.team is None


def set_up_totp(client: Client) -> str:
    """Add an authenticator app on the page for it; return its secret."""
    client.post(reverse("account_reauthenticate"), {"password": "secret-enough"})
    page = client.get(reverse("mfa_activate_totp"))
    secret: str = page.context["form"].secret
    with TestCase.captureOnCommitCallbacks(execute=True), period(0):
        answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret, 0)})
    assert answer.status_code == 302
    return secret


def period(number: int) -> AbstractContextManager[object]:
    """Let this period of authenticator apps last as long as the block: one of half a minute may end at any moment."""
    return patch.object(totp, "yield_hotp_counters_from_time", lambda: iter([number]))


def code_of(secret: str, number: int) -> str:
    """The code of a period."""
    code: str = totp.format_hotp_value(totp.hotp_value(secret, number))
    return code


def test_two_factor_is_set_up_recorded_and_asked_for(linh: User, team: Team) -> None:
    require_two_factor(team)
    client = Client()
    sign_in(client)
    secret = set_up_totp(client)
    assert client.get("/").status_code == 200
    assert {"second_step_added", "recovery_codes_made"} <= set(actions())
    cache.clear()
    fresh = Client()
    assert sign_in(fresh) == reverse("mfa_authenticate")
    assert fresh.get("/").status_code == 302
    fresh.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert "second_step_failed" in actions()
    cache.clear()
    with period(1):
        fresh.post(reverse("mfa_authenticate"), {"code": code_of(secret, 1)})
    assert fresh.get("/").status_code == 200


@pytest.mark.database
def test_the_authenticator_app_stays_where_the_team_requires_two_factor(linh: User, team: Team) -> None:
    client = Client()
    sign_in(client)
    set_up_totp(client)
    require_two_factor(team)
    page = client.post(reverse("mfa_deactivate_totp"))
    assert page.status_code == 200
    assert "Your team requires two-factor authentication" in page.content.decode()
    assert Authenticator.objects.filter(user=linh, type=Authenticator.Type.TOTP).exists()
    Team.objects.update(requires_second_step=False)
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.filter(user=linh, type=Authenticator.Type.TOTP).exists()
    assert "second_step_removed" in actions()


def passkey(person: User, name: str) -> Authenticator:
    return Authenticator.objects.create(
        user=person, type=Authenticator.Type.WEBAUTHN, data={"name": name, "credential": {}}
    )


@pytest.mark.database
def test_the_last_passkey_stays_where_the_team_requires_two_factor(linh: User, team: Team) -> None:
    client = Client()
    sign_in(client)
    client.post(reverse("account_reauthenticate"), {"password": "secret-enough"})
    laptop, phone = passkey(linh, "Laptop"), passkey(linh, "Phone")
    require_two_factor(team)
    assert client.post(reverse("mfa_remove_webauthn", args=[phone.pk])).status_code == 302
    refused = client.post(reverse("mfa_remove_webauthn", args=[laptop.pk]), follow=True)
    assert "Your team requires two-factor authentication" in refused.content.decode()
    assert list(Authenticator.objects.filter(user=linh, type=Authenticator.Type.WEBAUTHN)) == [laptop]
    Team.objects.update(requires_second_step=False)
    client.post(reverse("mfa_remove_webauthn", args=[laptop.pk]))
    assert not Authenticator.objects.filter(user=linh).exists()


def test_somebody_elses_passkey_is_not_there(linh: User, team: Team) -> None:
    theirs = passkey(make_person(team), "Theirs")
    client = Client()
    sign_in(client)
    client.post(reverse("account_reauthenticate"), {"password": "secret-enough"})
    for name in ("mfa_remove_webauthn", "mfa_edit_webauthn"):
        assert client.get(reverse(name, args=[theirs.pk])).status_code == 404
        assert client.post(reverse(name, args=[theirs.pk])).status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("said", ["", "{}", "[]", "1", "null", '{"response": 1}', '{"response": {"userHandle": null}}'])
def test_gibberish_for_a_passkey_signs_nobody_in(linh: User, said: str) -> None:
    client = Client()
    client.get(reverse("mfa_login_webauthn"), headers={"accept": "application/json"})
    answer = client.post(reverse("mfa_login_webauthn"), {"credential": said})
    assert answer["Location"] == reverse("account_login")


def test_a_manager_turns_two_factor_off_for_a_person_who_lost_it(linh: User, team: Team) -> None:
    client = Client()
    sign_in(client)
    set_up_totp(client)
    require_two_factor(team)
    manager = make_person(team, Role.MANAGER, username="boss")
    Authenticator.objects.create(user=manager, type=Authenticator.Type.TOTP, data={})
    as_manager = Client()
    as_manager.force_login(manager)
    as_manager.post(reverse("person_two_factor", args=[linh.pk]))
    assert not Authenticator.objects.filter(user=linh).exists()
    assert client.get("/")["Location"].startswith(reverse("account_login"))
    record = AuditRecord.objects.get(action="second_step_reset")
    assert (record.person, record.target, record.detail["kinds"]) == (
        manager,
        f"linh #{linh.pk}",
        "recovery_codes, totp",
    )
    cache.clear()
    fresh = Client()
    assert sign_in(fresh) == "/"
    assert fresh.get("/")["Location"] == reverse("mfa_index")


def test_a_manager_turns_two_factor_off_neither_for_themselves_nor_for_an_admin(linh: User, team: Team) -> None:
    manager = make_person(team, Role.MANAGER, username="boss")
    admin = make_person(team, username="root", is_staff=True)
    client = Client()
    client.force_login(manager)
    for person in (manager, admin):
        Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={})
        client.post(reverse("person_two_factor", args=[person.pk]))
    assert Authenticator.objects.count() == 2


def test_changing_ones_password_is_recorded(linh: User) -> None:
    client = Client()
    sign_in(client)
    new = {"oldpassword": "secret-enough", "password1": "nine tall trees", "password2": "nine tall trees"}
    client.post(reverse("account_change_password"), new)
    assert actions()[-1] == "password_changed"


def test_a_viewer_reads_no_audit_record(team: Team) -> None:
    client = Client()
    client.force_login(make_person(team, Role.VIEWER))
    assert client.get(reverse("team_audit")).status_code == 403
