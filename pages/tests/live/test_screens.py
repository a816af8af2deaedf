"""Opening screens, without a server: many at once, and each only for who is signed in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Role, User
from accounts.policy import access_for
from pages.live.screens import Screen, StreamRequest, open_screens
from rentals.queries.filters import BoardFilter
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


def session_key_of(person: User) -> str:
    client = Client()
    client.force_login(person)
    return str(client.session.session_key)


def opened(*session_keys: str) -> list[Screen | None]:
    return open_screens([StreamRequest(key, BoardFilter(), "en", "", ids_only=False) for key in session_keys])


def test_hundreds_of_screens_ask_the_database_no_more_than_one() -> None:
    strict, other = make_team("Strict", requires_second_step=True), make_team("Other")
    people = [make_person(team, username=f"{team.name}{number}") for team in (strict, other) for number in range(10)]
    people.append(make_person(username="admin", is_staff=True))
    keys = [session_key_of(person) for person in people]
    with CaptureQueriesContext(connection) as queries:
        screens = opened(*keys, "nobody", "")
    assert len(queries) <= 8
    assert [screen and screen.viewer.access for screen in screens] == [*map(access_for, people), None, None]


def change_password(person: User, key: str) -> None:
    person.set_password("another-secret")
    person.save()


def deactivate(person: User, key: str) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def end_session(person: User, key: str) -> None:
    Session.objects.filter(pk=key).delete()


def let_session_expire(person: User, key: str) -> None:
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(seconds=1))


def break_session(person: User, key: str) -> None:
    Session.objects.filter(pk=key).update(session_data="broken")


def change_session(**values: Any) -> Callable[[User, str], None]:
    def change(person: User, key: str) -> None:
        session = SessionStore(key)
        session.update(values)
        session.save()

    return change


@pytest.mark.parametrize(
    "change",
    [
        change_password,
        deactivate,
        end_session,
        let_session_expire,
        break_session,
        change_session(_auth_user_backend="a.backend.of.another.time"),
        change_session(_auth_user_hash=""),
        change_session(_auth_user_id="999999"),
    ],
)
def test_a_screen_opens_for_whom_django_takes_for_signed_in(change: Callable[[User, str], None]) -> None:
    person, colleague = make_person(make_team(), username="linh"), make_person(make_team(), Role.MANAGER)
    key, others_key = session_key_of(person), session_key_of(colleague)
    change(person, key)
    theirs, others = opened(key, others_key)
    assert theirs is None
    assert others is not None
    assert others.viewer.access.person_id == colleague.pk
    request = HttpRequest()
    request.session = SessionStore(key)
    assert get_user(request).is_anonymous


def test_a_session_of_before_the_secret_key_was_changed_stays_open(settings: Any) -> None:
    key = session_key_of(make_person(make_team()))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next one"
    assert opened(key) != [None]
    assert Session.objects.filter(pk=key).exists()  # the browser's cookie stays good
