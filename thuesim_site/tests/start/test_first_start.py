from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import translation
from pytest_django import Settings

from accounts.models import AuditRecord, Membership, Role, Team, User
from rentals.models import CallbackAddress, Token
from rentals.tests.factories import make_rental
from sandbox.server import Sandbox
from thuesim_site.start import prepare
from thuesim_site.start.first_start import first_start
from thuesim_site.testing import known_names

pytestmark = pytest.mark.django_db

DEMO_TOKEN = "4801-" + "d" * 32
TRUE_TOKEN = "4802-" + "a" * 32
Start = Callable[..., dict[str, Any]]


@pytest.fixture
def start(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Run it with this environment; `demo` says whether the sandbox stands in."""
    settings.DATA_DIR = tmp_path
    for name in known_names():
        monkeypatch.setenv(name, "")

    def run(*, demo: bool = False, **environment: str) -> dict[str, Any]:
        settings.DEMO = demo
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return asdict(first_start(demo_token=DEMO_TOKEN))

    return run


def tokens() -> list[str]:
    return [token.value.reveal() for token in Token.objects.order_by("pk")]


def test_an_admin_with_a_made_password_manages_the_first_team(start: Start, tmp_path: Path) -> None:
    about = start()
    admin = User.objects.get()
    assert (admin.username, admin.is_staff, admin.is_superuser) == ("admin", True, True)
    assert Membership.objects.get().role == Role.MANAGER
    assert admin.check_password(about["people"][0]["password"])
    assert (tmp_path / "admin-password").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("language", "name"), [("en", "Team 1"), ("vi", "Nhóm 1")])
def test_the_first_team_has_a_name_in_the_language_of_the_desk(start: Start, language: str, name: str) -> None:
    with translation.override(language):
        assert start()["team"] == name
    assert start()["team"] == name
    assert Team.objects.count() == 1


def test_the_admin_that_the_environment_names_is_made(start: Start, tmp_path: Path) -> None:
    about = start(
        DJANGO_SUPERUSER_USERNAME="root", DJANGO_SUPERUSER_PASSWORD="$ecret", DJANGO_SUPERUSER_EMAIL="root@EXAMPLE.com"
    )
    admin = User.objects.get()
    assert (admin.username, admin.email, admin.check_password("$ecret")) == ("root", "root@example.com", True)
    assert about["people"] == [{"username": "root", "role": "admin", "password": "", "password_file": ""}]
    assert list(tmp_path.glob("*-password")) == []


def test_a_password_that_was_replaced_is_neither_shown_nor_set_back(start: Start) -> None:
    start()
    admin = User.objects.get()
    admin.set_password("my own words")
    admin.save()
    assert start()["people"][0]["password"] == ""
    assert User.objects.get().check_password("my own words")


def test_a_made_password_is_hashed_once_until_it_or_the_account_changes(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    check = User.check_password

    def counted(user: User, text: str) -> bool:
        hashed.append(text)
        return check(user, text)

    monkeypatch.setattr(User, "check_password", counted)
    made = start(demo=True)["people"]
    assert [start(demo=True)["people"] for _ in range(3)] == [made] * 3
    assert sorted(hashed) == sorted(person["password"] for person in made)
    (tmp_path / "linh-password").write_text("another one")
    admin = User.objects.get(username="admin")
    admin.set_password("my own words")
    admin.save()
    assert [person["password"] for person in start(demo=True)["people"]] == ["", ""]


def test_a_later_start_without_a_name_keeps_the_admin_there_is(start: Start) -> None:
    start(DJANGO_SUPERUSER_USERNAME="root", DJANGO_SUPERUSER_PASSWORD="long enough")
    assert start(DJANGO_SUPERUSER_USERNAME="", DJANGO_SUPERUSER_PASSWORD="")["people"][0]["username"] == "root"
    assert User.objects.count() == 1


def test_demo_mode_has_a_second_person_and_the_sandboxs_token(start: Start) -> None:
    about = start(demo=True, THUESIM_TOKEN=TRUE_TOKEN)
    assert [(person["username"], person["role"]) for person in about["people"]] == [
        ("admin", "admin"),
        ("linh", "operator"),
    ]
    assert Membership.objects.get(user__username="linh").role == Role.OPERATOR
    assert tokens() == [DEMO_TOKEN]
    assert list(Team.objects.get().tokens.all()) == [Token.objects.get()]


def test_the_sandbox_is_given_the_tokens_callback_address(start: Start, settings: Settings) -> None:
    settings.HOST, settings.PORT = "0.0.0.0", 8123
    secret = start(demo=True)["callback_url"].removeprefix("http://127.0.0.1:8123/callback/").removesuffix("/")
    assert CallbackAddress.objects.get().secret.reveal() == secret
    assert len(secret) > 30


def test_a_token_of_the_true_service_gets_its_callback_address_where_it_is_shown(start: Start) -> None:
    assert not start()["has_token"]
    about = start(THUESIM_TOKEN=TRUE_TOKEN)
    assert (about["has_token"], about["callback_url"]) == (True, "")
    assert not CallbackAddress.objects.exists()


def test_a_first_token_that_thuesim_refuses_is_said(start: Start, upstream: Sandbox) -> None:
    refused = start(THUESIM_TOKEN=TRUE_TOKEN)["token_refused"]
    assert refused.startswith("ThueSim refuses the token.")
    assert TRUE_TOKEN not in refused
    assert start(THUESIM_TOKEN=TRUE_TOKEN)["token_refused"] == ""  # said once; the desk goes on saying it


def test_a_first_token_that_thuesim_takes_needs_no_word(start: Start, upstream: Sandbox) -> None:
    assert start(THUESIM_TOKEN=upstream.token)["token_refused"] == ""
    assert tokens() == [upstream.token]


def test_a_made_password_is_printed_once_and_then_its_file_is_named(start: Start, tmp_path: Path) -> None:
    assert start()["people"][0]["password"]
    admin = start()["people"][0]
    assert (admin["password"], admin["password_file"]) == ("", str(tmp_path / "admin-password"))


def test_the_demos_operator_cannot_sign_in_to_the_true_service(start: Start) -> None:
    start(demo=True)
    start(THUESIM_TOKEN=TRUE_TOKEN)
    linh = User.objects.get(username="linh")
    assert not linh.is_active
    assert AuditRecord.objects.get(action="deactivated").target == f"{linh} #{linh.pk}"


def test_a_demo_operator_who_took_a_password_of_their_own_stays(start: Start) -> None:
    start(demo=True)
    linh = User.objects.get(username="linh")
    linh.set_password("my own words")
    linh.save()
    start(THUESIM_TOKEN=TRUE_TOKEN)
    assert User.objects.get(username="linh").is_active


def test_a_second_start_changes_nothing(start: Start) -> None:
    first = start(demo=True)
    counts = [model.objects.count() for model in (User, Team, Membership, Token, CallbackAddress)]
    assert start(demo=True) == first
    assert [model.objects.count() for model in (User, Team, Membership, Token, CallbackAddress)] == counts


def test_the_true_token_is_added_once(start: Start) -> None:
    start(THUESIM_TOKEN=TRUE_TOKEN)
    start(THUESIM_TOKEN="4803-" + "b" * 32)
    start(THUESIM_TOKEN=TRUE_TOKEN)
    assert tokens() == [TRUE_TOKEN]


def test_after_the_demo_the_true_token_takes_the_place_of_the_sandboxs(start: Start) -> None:
    start(demo=True)
    start(THUESIM_TOKEN=TRUE_TOKEN)
    assert [token.value.reveal() for token in Team.objects.get().tokens.all()] == [TRUE_TOKEN]


def test_a_team_that_is_there_is_the_first_team(start: Start) -> None:
    Team.objects.create(name="Chăm sóc khách hàng")
    assert start()["team"] == "Chăm sóc khách hàng"


def test_the_start_says_which_key_is_missing_and_what_to_do(start: Start, settings: Settings) -> None:
    start(demo=True)
    assert prepare.missing_key() == ""
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    sentence = prepare.missing_key()
    assert "does not decrypt token" in sentence
    assert "into DESK_SECRET_KEYS, behind the one in use" in sentence
    assert start(demo=True)["callback_url"] == "", "no address without its secret"


def test_a_database_with_rentals_of_the_demo_is_told_apart(start: Start) -> None:
    start(demo=True)
    make_rental(team=Team.objects.get(), token=Token.objects.get())
    assert start(demo=True)["demo_rentals"] == 0
    assert start(THUESIM_TOKEN=TRUE_TOKEN)["demo_rentals"] == 1
