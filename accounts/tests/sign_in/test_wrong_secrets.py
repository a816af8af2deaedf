"""A client that guesses at secret addresses is soon refused; a right secret never is, even from the same address."""

from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import invitations
from accounts.memberships import password_link
from accounts.models import Role, Team, User
from accounts.policy import access_for
from accounts.sign_in import throttle
from rentals.models import CallbackAddress
from rentals.tests.factories import make_person, make_token

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
BODY = b'{"data":{"status":1,"requestId":"58098","code":"486460","smsContent":"486460 la ma","isSound":"false"}}'
Ask = Callable[[str, str], int]  # the secret, and from where


@pytest.fixture(autouse=True)
def _one_minute() -> Iterator[None]:
    """One that does not end under the test."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def callback(secret: str, address: str = "203.0.113.7") -> int:
    path = f"/callback/{secret}/"
    return Client().post(path, BODY, content_type="application/json", REMOTE_ADDR=address).status_code


def join(secret: str, address: str = "203.0.113.7") -> int:
    return Client().get(f"/join/{secret}/", REMOTE_ADDR=address).status_code


def reset(secret: str, address: str = "203.0.113.7") -> int:
    return Client().get(f"/accounts/password/reset/key/{secret}/", REMOTE_ADDR=address).status_code


def metrics(secret: str, address: str = "203.0.113.7") -> int:
    return Client().get("/metrics", REMOTE_ADDR=address, headers={"authorization": f"Bearer {secret}"}).status_code


@pytest.fixture
def right(team: Team, manager: User, settings: Settings) -> dict[Ask, str]:
    settings.PUBLIC_URL, settings.METRICS_TOKEN = "http://testserver", "metrics-bearer-value"
    link = password_link(manager, access_for(manager), make_person(team))
    return {
        callback: CallbackAddress.issue(make_token(team)).secret.reveal(),
        join: invitations.invite(manager, team, role=Role.VIEWER)[1],
        reset: link.rstrip("/").rpartition("/")[2],
        metrics: settings.METRICS_TOKEN,
    }


WRONG: dict[Ask, int] = {callback: 404, join: 404, reset: 200, metrics: 403}
RIGHT: dict[Ask, int] = {callback: 200, join: 200, reset: 302, metrics: 200}
kinds = pytest.mark.parametrize("ask", WRONG, ids=lambda ask: ask.__name__)


@kinds
def test_wrong_secrets_from_one_address_are_refused_and_the_right_one_never(ask: Ask, right: dict[Ask, str]) -> None:
    answers = [ask(f"1-wrong{number}", "203.0.113.7") for number in range(throttle.WRONG_PER_ADDRESS + 5)]
    assert answers == [WRONG[ask]] * throttle.WRONG_PER_ADDRESS + [429] * 5
    assert ask("1-wrong", "203.0.113.8") == WRONG[ask]
    assert ask(right[ask], "203.0.113.7") == RIGHT[ask]


def test_guesses_at_one_kind_of_address_count_for_the_others(right: dict[Ask, str]) -> None:
    for number in range(throttle.WRONG_PER_ADDRESS):
        callback(f"wrong{number}")
    assert [ask("1-wrong", "203.0.113.7") for ask in WRONG] == [429] * 4


def test_an_ipv6_network_of_64_is_one_address_and_one_of_48_has_a_count_of_its_own(right: dict[Ask, str]) -> None:
    for number in range(throttle.WRONG_PER_ADDRESS):
        assert callback("wrong", f"2001:db8:1:1::{number + 1:x}") == 404
    assert callback("wrong", "2001:db8:1:1::ffff") == 429
    for number in range(throttle.WRONG_PER_NETWORK - throttle.WRONG_PER_ADDRESS):
        assert callback("wrong", f"2001:db8:1:{number + 2:x}::1") == 404
    assert callback("wrong", "2001:db8:1:ffff::1") == 429
    assert callback("wrong", "2001:db8:2:1::1") == 404
    assert callback(right[callback], "2001:db8:1:1::1") == 200


def test_the_refusal_says_when_to_come_back(right: dict[Ask, str]) -> None:
    for number in range(throttle.WRONG_PER_ADDRESS):
        join(f"wrong{number}")
    answer = Client().get("/join/wrong/", REMOTE_ADDR="203.0.113.7")
    assert answer["Retry-After"] == "60"
    assert "no-store" in answer["Cache-Control"]


def test_a_new_password_is_set_by_a_right_link_while_others_guess_from_the_same_address(right: dict[Ask, str]) -> None:
    for number in range(3 * throttle.WRONG_PER_ADDRESS):
        Client().post(f"/accounts/password/reset/key/1-wrong{number}/", REMOTE_ADDR="203.0.113.7")
    browser = Client(REMOTE_ADDR="203.0.113.7")
    form = browser.get(f"/accounts/password/reset/key/{right[reset]}/").headers["Location"]
    done = browser.post(form, {"password1": "nine-tall-trees", "password2": "nine-tall-trees"})
    assert done.headers["Location"] == "/accounts/password/reset/key/done/"


@pytest.mark.database
@pytest.mark.parametrize("address", ["", "garbage", "a:b", "1.2.3.4:80", "::1%eth0"])
def test_a_sender_that_is_no_address_is_counted_like_any_other(address: str) -> None:
    assert [callback("wrong", address) for _ in range(throttle.WRONG_PER_ADDRESS + 1)][-1] == 429
    assert join("wrong", address) == 429
