"""The state that keeps a guesser out outlives a flood, counts networks as well as addresses, and spares the owner."""

import pytest
import time_machine
from allauth.mfa.totp.internal import auth as totp
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from accounts.allauth_adapters import ClosedSignup
from accounts.models import AuditRecord, Team, User
from accounts.sign_in import throttle
from accounts.tests.test_audit_signals import set_up_totp, sign_in
from rentals.tests.factories import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
FLOOD = 420  # requests, each from another address
THROTTLED = "Too many failed"


def flood() -> None:
    """Post gibberish for a passkey, from many addresses."""
    client, page = Client(), reverse("mfa_login_webauthn")
    for number in range(FLOOD):
        client.post(page, {"credential": "{}"}, REMOTE_ADDR=f"10.{number // 256}.{number % 256}.1")


def guess(name: str = "linh", times: int = 5) -> None:
    """Try wrong passwords, each from another address."""
    for number in range(times):
        sign_in(Client(), name=name, password="wrong", address=f"172.16.{number}.1")


def test_a_flood_from_many_addresses_frees_neither_a_used_code_nor_a_throttled_account(
    linh: User, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Client()
    sign_in(owner)
    secret = set_up_totp(owner)
    # One period that does not end under the test.
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([1]))
    monkeypatch.setattr("allauth.mfa.app_settings.TOTP_PERIOD", 3600, raising=False)
    code = totp.format_hotp_value(totp.hotp_value(secret, 1))
    first, second = Client(), Client()
    sign_in(first)
    first.post(reverse("mfa_authenticate"), {"code": code})
    assert first.get("/").status_code == 200
    make_person(team, username="minh")
    guess("minh")

    flood()

    sign_in(second)
    second.post(reverse("mfa_authenticate"), {"code": code})
    assert second.get("/").status_code == 302
    assert THROTTLED in sign_in(Client(), name="minh", address="172.17.0.1")


def test_a_stranger_does_not_keep_the_owner_out(linh: User) -> None:
    owner = Client()
    sign_in(owner)
    owner.post(reverse("account_logout"))
    guess()
    assert THROTTLED in sign_in(Client(), address="172.17.0.1")
    assert sign_in(owner) == "/"


def test_not_even_from_the_owners_own_address(linh: User) -> None:
    owner = Client()
    sign_in(owner)
    owner.post(reverse("account_logout"))
    for number in range(10):
        sign_in(Client(), name=f"somebody{number}", password="wrong")
    assert sign_in(owner) == "/"


def test_a_known_device_has_five_tries_of_its_own(linh: User) -> None:
    device = Client()
    sign_in(device)
    device.post(reverse("account_logout"))
    for _ in range(5):
        assert THROTTLED not in sign_in(device, password="wrong")
    # Then it counts like all others, who have five.
    for _ in range(5):
        assert THROTTLED not in sign_in(device, password="wrong")
    assert THROTTLED in sign_in(device)


def test_a_device_is_known_for_its_own_account_alone(linh: User, team: Team) -> None:
    make_person(team, username="minh")
    device = Client()
    sign_in(device, name="minh")
    device.post(reverse("account_logout"))
    device.cookies[f"device-{linh.pk}"] = device.cookies[f"device-{User.objects.get(username='minh').pk}"].value
    guess()
    assert THROTTLED in sign_in(device, address="172.17.0.1")


def test_a_new_password_ends_the_devices_of_the_old_one(linh: User) -> None:
    device = Client()
    sign_in(device)
    device.post(reverse("account_logout"))
    linh.set_password("nine tall trees")
    linh.save()
    guess()
    assert THROTTLED in sign_in(device, password="nine tall trees", address="172.17.0.1")


def test_the_cookie_of_a_device_reaches_the_sign_in_pages_alone(linh: User, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = True
    device = Client()
    sign_in(device)
    cookie = device.cookies[f"device-{linh.pk}"]
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"], cookie["path"]) == (
        True,
        True,
        "Lax",
        "/accounts/",
    )


def test_user_name_and_e_mail_of_an_account_share_one_count(linh: User) -> None:
    guess("linh", 3)
    guess("Linh@Example.com", 2)
    assert THROTTLED in sign_in(Client(), address="172.17.0.1")


def test_the_port_in_the_host_header_gives_no_new_count(linh: User) -> None:
    for number in range(5):
        Client().post(
            reverse("account_login"),
            {"login": "linh", "password": "wrong"},
            REMOTE_ADDR=f"172.16.{number}.1",
            headers={"host": f"localhost:{8000 + number}"},
        )
    assert THROTTLED in sign_in(Client(), address="172.17.0.1")


# Networks


def test_one_ipv6_network_of_64_is_one_address(linh: User) -> None:
    for number in range(10):
        sign_in(Client(), name=f"somebody{number}", password="wrong", address=f"2001:db8:1:1::{number + 1:x}")
    assert THROTTLED in sign_in(Client(), address="2001:db8:1:1::ffff")
    assert sign_in(Client(), address="2001:db8:1:2::1") == "/"


def test_an_ipv6_network_of_48_is_counted_as_well(linh: User, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "network": "4/m/key"}
    page, client = reverse("account_login"), Client(headers={"accept-language": "en"})
    answers = [
        client.post(page, {"login": f"somebody{n}", "password": "wrong"}, REMOTE_ADDR=f"2001:db8:1:{n:x}::1")
        for n in range(5)
    ]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert answers[4]["Retry-After"] == "60"
    assert "Too many tries" in answers[4].content.decode()
    assert sign_in(Client(), address="2001:db8:2:1::1") == "/"


@pytest.mark.parametrize(
    ("address", "network"),
    [("2001:db8:1:2::3", "2001:db8:1::/48"), ("fe80::1%eth0", "fe80::/48"), ("203.0.113.7", None)],
)
def test_the_wide_network_of_an_address(address: str, network: str | None) -> None:
    assert throttle.wide_network(address) == network


@pytest.mark.parametrize(
    ("sent", "client"),
    [("::ffff:203.0.113.7", "203.0.113.7"), ("203.0.113.7", "203.0.113.7"), ("2001:db8::1", "2001:db8::1")],
)
def test_an_ipv4_address_in_ipv6_notation_is_an_ipv4_address(sent: str, client: str) -> None:
    assert ClosedSignup().get_client_ip(RequestFactory().get("/", REMOTE_ADDR=sent)) == client


@time_machine.travel("2026-11-26T12:00:00Z", tick=False)
def test_invitations_are_opened_twenty_times_a_minute_from_one_address(db: None) -> None:
    answers = [Client().get(reverse("join", args=[f"wrong{number}"])).status_code for number in range(21)]
    assert answers == [404] * 20 + [429]


def test_a_throttled_owner_is_recorded_once_a_minute(linh: User) -> None:
    guess()
    for _ in range(3):
        sign_in(Client(), address="172.17.0.1")
    assert AuditRecord.objects.filter(action="sign_in_throttled", person=linh).count() == 1


@pytest.mark.parametrize("network", ["203.0.113.7", "2001:db8:1:{}::1"])
def test_a_stranger_fills_the_disk_with_no_sessions_of_half_a_passkey(settings: Settings, network: str) -> None:
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "network": "8/m/key", "passkey": "8/m/ip"}
    asked = {"x-requested-with": "XMLHttpRequest"}
    answers = [
        Client().get(reverse("mfa_login_webauthn"), headers=asked, REMOTE_ADDR=network.format(number)).status_code
        for number in range(10)
    ]
    assert answers == [200] * 8 + [429] * 2
    assert Session.objects.count() == 8
