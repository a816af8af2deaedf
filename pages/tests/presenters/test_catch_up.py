"""What happened while a person was away: counted for what their desk is about, and said in one line."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation
from pytest_django import DjangoAssertNumQueries

from accounts.models import Team, User
from accounts.policy import access_for
from pages.presenters import catch_up
from rentals.models import Message, Status
from rentals.queries.filters import BoardFilter
from rentals.tests.factories import make_person, make_rental, make_service, make_token

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def operator(team: Team) -> User:
    return make_person(team, username="linh")


def news(person: User, since: datetime, **filters: Any) -> tuple[int, int, int]:
    found = catch_up.news(access_for(person), BoardFilter(**filters), since)
    return found.codes, found.expired, found.refused


def test_codes_expiries_and_refusals_after_that_moment_are_counted(team: Team, operator: User) -> None:
    now = timezone.now()
    for minutes in (5, 90):
        at = now - timedelta(minutes=minutes)
        made: Any = {"team": team, "person": operator, "queued_at": at - timedelta(minutes=1)}
        make_rental(Status.RECEIVED, received_at=at, ended_at=at, **made)
        make_rental(Status.EXPIRED, ended_at=at, **made)
        make_rental(Status.REFUSED, ended_at=at, **made)
        make_rental(Status.WAITING, **made)
    assert news(operator, now - HOUR) == (1, 1, 1)
    assert news(operator, now - 2 * HOUR) == (2, 2, 2)
    assert news(operator, now) == (0, 0, 0)


def test_a_message_with_several_codes_brought_a_code_and_an_advert_none(team: Team, operator: User) -> None:
    now = timezone.now()
    texts = ("Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512. Moi ma dung 1 lan", "Uu dai 2026", "Chao mung")
    for text in texts:
        rental = make_rental(Status.RECEIVED, team=team, person=operator, queued_at=now, received_at=now)
        for n in range(2):
            Message.objects.create(rental=rental, at=now, text=text, source="poll", fingerprint=f"{n}")
    found = catch_up.news(access_for(operator), BoardFilter(), now - HOUR)
    assert (found.codes, found.messages) == (1, 2)
    with translation.override("en"):
        assert found.summary == "1 code, 2 messages: no code recognised"


def test_what_left_the_board_meanwhile_is_counted_too(team: Team, operator: User) -> None:
    at = timezone.now() - 5 * HOUR
    make_rental(Status.RECEIVED, team=team, queued_at=at, received_at=at, ended_at=at)
    assert news(operator, at - HOUR) == (1, 0, 0)


def test_the_filter_holds_but_for_its_state(team: Team, operator: User) -> None:
    now = timezone.now()
    service = make_service(sv="02", upstream_id="97")
    make_rental(Status.RECEIVED, team=team, person=operator, service=service, received_at=now)
    make_rental(Status.RECEIVED, team=team, person=make_person(team), received_at=now)
    make_rental(Status.RECEIVED, received_at=now)  # of another team
    since = now - HOUR
    assert news(operator, since) == (2, 0, 0)
    assert news(operator, since, mine=True) == (1, 0, 0)
    assert news(operator, since, statuses=("waiting",)) == (2, 0, 0)
    assert news(operator, since, service="02.97") == (1, 0, 0)


@pytest.mark.parametrize(
    ("counts", "language", "sentence"),
    [
        ((3, 1, 0), "en", "While you were away (since 14:02): 3 codes, 1 expired."),
        ((1, 0, 2), "en", "While you were away (since 14:02): 1 code, 2 not rented."),
    ],
)
def test_one_line_says_it(time_machine: Any, counts: tuple[int, int, int], language: str, sentence: str) -> None:
    time_machine.move_to(datetime(2026, 11, 22, 8, 0, tzinfo=timezone.get_fixed_timezone(0)))
    since = timezone.now() - timedelta(minutes=58)
    with translation.override(language):
        assert catch_up.News(since, *counts).sentence == sentence


@pytest.mark.parametrize("since", ["", "yesterday", "-1", "9" * 30, "²", "1e9", "9999999999999"])
def test_a_moment_that_is_none_is_passed_over(client: Client, operator: User, since: str) -> None:
    client.force_login(operator)
    response = client.get("/board/", {"since": since})
    assert response.status_code == 200
    assert b"away-news" not in response.content


def test_years_are_not_counted() -> None:
    at = catch_up.moment_of("1000")
    assert at is not None
    assert timezone.now() - at < catch_up.MAX_AWAY + HOUR


def test_the_board_tells_it_in_one_more_query(
    client: Client, team: Team, operator: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(operator)
    token = make_token(team)
    for _ in range(3):
        make_rental(Status.RECEIVED, team=team, token=token, received_at=timezone.now())
    with django_assert_num_queries(6):
        assert b"away-news" not in client.get("/board/").content
    since = round((timezone.now() - HOUR).timestamp() * 1000)
    with django_assert_num_queries(7):
        page = client.get("/board/", {"since": since}).content.decode()
    assert "3 codes." in page
    assert page.index("away-news") < page.index('id="board"')
