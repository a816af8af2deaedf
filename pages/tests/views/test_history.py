"""The history: filters, search, sorting, pages, and what each may read in it."""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.utils import timezone, translation
from pytest_django import Settings

from accounts import api_keys
from accounts.models import Role, Scope, Team, User
from accounts.policy import access_for
from lib.formats import grouped
from pages.presenters.history import MAX_COUNTED, PAGE_SIZE
from pages.tests.markup import html, parse
from rentals import lifecycle
from rentals.models import Message, Network, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token


@pytest.fixture
def operator(team: Team) -> User:
    return make_person(team, username="linh", first_name="Linh")


@pytest.fixture
def as_operator(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


def shown(client: Client, query: str = "") -> list[int]:
    """The rentals on the page, in its order."""
    page = client.get(f"/rentals/?{query}").content.decode()
    return [int(part.split('"')[0]) for part in page.split('data-rental-id="')[1:]]


def say(rental: Rental, code: str, text: str = "") -> Rental:
    Message.objects.create(rental=rental, at=timezone.now(), code=code, text=text, source="poll", fingerprint=code)
    return rental


def test_the_history_is_the_teams_newest_first(as_operator: Client, team: Team) -> None:
    now = timezone.now()
    old = make_rental(Status.EXPIRED, team=team, queued_at=now - timedelta(days=40))
    new = make_rental(Status.RECEIVED, team=team)
    make_rental(Status.RECEIVED)
    assert shown(as_operator) == [new.pk, old.pk]


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("person={person}", True),
        ("person={stranger}", False),
        ("status=received", True),
        ("status=expired", False),
        ("service=02.97", True),
        ("service=97", True),
        ("network=VIETTEL", True),
        ("network=MOBIFONE", False),
        ("prefix=085", True),
        ("prefix=96", False),
        ("token={token}", True),
        ("token=0", False),
        ("since=2026-03-10&until=2026-03-10", True),
        ("since=2026-03-11", False),
        ("until=2026-03-09", False),
        ("since=soon&person=me", True),
    ],
)
def test_each_filter(as_operator: Client, team: Team, operator: User, query: str, finds: bool) -> None:
    # One second before midnight in Vietnam, which is the day before in London.
    at = datetime(2026, 3, 10, 23, 59, 59, tzinfo=timezone.get_default_timezone())
    service = make_service(sv="02", upstream_id="97")
    rental = make_rental(
        Status.RECEIVED,
        team=team,
        person=operator,
        service=service,
        phone="+84852222127",
        network="VIETTEL",
        queued_at=at,
    )
    stranger = make_person(team)
    query = query.format(person=operator.pk, stranger=stranger.pk, token=rental.token_id)
    assert shown(as_operator, query) == ([rental.pk] if finds else [])


def test_a_row_says_what_the_card_warns_of(as_operator: Client, team: Team, operator: User) -> None:
    rental = make_rental(Status.RECEIVED, team=team, person=operator, unasked=["network"])
    say(rental, "551208", "Ma OTP 551208")
    Message.objects.update(at=timezone.now() - timedelta(minutes=2))
    at = timezone.now() - timedelta(minutes=1)
    Message.objects.create(rental=rental, at=at, text="Ma OTP 551208 da het han", source="poll", fingerprint="later")
    page = parse(as_operator.get("/rentals/").content.decode())
    warning = "ThueSim gave a number of a different network than requested."
    assert page.find(data_testid="not-as-requested").text == warning
    assert page.find(data_testid="caution").text == "ThueSim's sender says that this code no longer holds."
    assert page.find(data_testid="caution-sms").text == "Ma OTP 551208 da het han"
    assert "data-void" in page.find("button", data_copy="551208")
    page = parse(as_operator.get(f"/rentals/{rental.pk}/").content.decode())
    buttons = page.find_all("button", data_copy="551208")  # on the card, and among the messages
    assert len(buttons) == 2
    assert all("data-void" in button for button in buttons)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("network=NOWHERE", "no rental matches: Network “NOWHERE”."),
        ("person=99999&status=received", "no rental matches: Person “99999”."),
        ("payer=99999&token=99999", "no rental matches: Ordered by “99999”, Token “99999”."),
        ("service=07.1&q=x", "no rental matches: Service “07.1”."),
        ("status=recieved&status=received", "left out: Status “recieved”."),
        (
            "prefix=abc&since=soon&refund=all&person=me",
            "left out: Person “me”, Prefix “abc”, Refund “all”, From “soon”.",
        ),
        ("network=<b>", "Network “&lt;b&gt;”."),
    ],
)
def test_a_filter_of_the_address_that_cannot_mean_anything_is_named(
    as_operator: Client, team: Team, query: str, sentence: str
) -> None:
    make_rental(Status.RECEIVED, team=team)
    page = html(as_operator.get(f"/rentals/?{query}"))
    assert page.count('data-testid="unmatched"') == 1
    assert sentence in page


@pytest.mark.parametrize(
    ("query", "is_named"),
    [
        ("since=2026-03-11&until=2026-03-10", True),
        ("since=2026-03-10&until=2026-03-10", False),
        ("since=2026-03-11", False),
        ("until=2026-03-10", False),
    ],
)
def test_days_that_end_before_they_begin_are_named(as_operator: Client, query: str, is_named: bool) -> None:
    page = parse(html(as_operator.get(f"/rentals/?{query}")))
    named = [element.text for element in page.find_all(data_testid="backwards")]
    assert named == ["“From” is after “To”, so no day lies between them. Swap the two."] * is_named
    assert page.find("input", id="f-since").attributes.get("aria-describedby", "") == "backwards" * is_named


def test_who_left_the_team_and_a_network_of_an_imported_rental_are_known(as_operator: Client, team: Team) -> None:
    leaver = make_person(make_team("Sales"))
    rental = make_rental(Status.RECEIVED, team=team, person=leaver, network="ITEL")
    other = make_rental(Status.RECEIVED, team=leaver.memberships.get().team, network="LOCAL")
    for query in (f"person={leaver.pk}", f"payer={leaver.pk}", "network=ITEL", f"token={rental.token_id}"):
        assert 'data-testid="unmatched"' not in html(as_operator.get(f"/rentals/?{query}&q=nothing")), query
    stranger = make_person(other.team)
    for query in (f"person={stranger.pk}", "network=LOCAL", f"token={other.token_id}"):  # of another team
        assert 'data-testid="unmatched"' in html(as_operator.get(f"/rentals/?{query}")), query


@pytest.mark.parametrize(
    "typed",
    [
        "0852222127", "0852 222 127", "84852222127", "%2B84852222127", "0084852222127", "(085) 222-2127", "852222127",
        "2127", "222 127", "0852", "kiểm thử", "dich vu", "Đ",
    ],
)  # fmt: skip
def test_search_by_any_form_of_the_number_by_purpose_and_service(as_operator: Client, team: Team, typed: str) -> None:
    service = make_service(name="Dịch vụ Đỏ")
    rental = make_rental(Status.WAITING, team=team, service=service, phone="+84852222127", purpose="Kiểm thử")
    make_rental(Status.WAITING, team=team, phone="+84961234567")
    assert shown(as_operator, f"q={typed}") == [rental.pk]


@pytest.mark.parametrize("typed", ["G-195829", "g-195829", "ma xac nhan"])
def test_search_by_code_and_text_finds_only_what_one_may_read(
    client: Client, team: Team, operator: User, typed: str
) -> None:
    mine = say(make_rental(Status.RECEIVED, team=team, person=operator), "G-195829", "ma xac nhan G-195829")
    theirs = say(make_rental(Status.RECEIVED, team=team, person=make_person(team)), "G-195829", "ma xac nhan G-195829")
    client.force_login(operator)
    assert shown(client, f"q={typed}") == [mine.pk]
    client.force_login(make_person(team, Role.MANAGER))
    assert sorted(shown(client, f"q={typed}")) == [mine.pk, theirs.pk]
    client.force_login(make_person(team, Role.VIEWER))
    assert shown(client, f"q={typed}") == []
    Team.objects.update(shares_codes=True)
    client.force_login(operator)
    assert sorted(shown(client, f"q={typed}")) == [mine.pk, theirs.pk]


@pytest.mark.parametrize(
    "typed",
    [
        "hiệu lực",
        "hieu luc",
        "HIỆU LỰC",
        "hie\u0323\u0302u lu\u031b\u0323c",
        "ĐĂNG NHẬP",
        "đăng nhập",
        "dang nhap",
        "DANG",
    ],
)
@pytest.mark.parametrize("decomposed", [False, True])
def test_search_minds_neither_accents_nor_capitals(
    as_operator: Client, team: Team, operator: User, typed: str, decomposed: bool
) -> None:
    text = unicodedata.normalize("NFD" if decomposed else "NFC", "Mã ĐĂNG NHẬP 195829, hiệu lực 5 phút")
    by_text = say(make_rental(Status.RECEIVED, team=team, person=operator), "195829", text)
    by_purpose = make_rental(Status.WAITING, team=team, person=operator, purpose=text)
    say(make_rental(Status.RECEIVED, team=team, person=operator), "195829", "Mã đang gửi, lực lượng hiếu học")
    expected = [by_purpose.pk, by_text.pk]
    assert [pk for pk in shown(as_operator, f"q={typed}") if pk in expected] == expected
    assert len(shown(as_operator, f"q={typed}")) == (3 if typed == "DANG" else 2)


@pytest.mark.parametrize("typed", ["xac nhan", "195829", "QA", "Shopee"])
def test_a_search_finds_the_same_where_most_rows_fit(
    as_operator: Client, team: Team, operator: User, monkeypatch: Any, typed: str
) -> None:
    service = make_service(name="Shopee")
    mine = [
        say(
            make_rental(Status.RECEIVED, team=team, person=operator, service=service, purpose="QA"),
            "195829",
            "xac nhan",
        )
        for _ in range(3)
    ]
    say(make_rental(Status.RECEIVED, team=team, person=make_person(team)), "195829", "xac nhan")
    make_rental(Status.RECEIVED, person=operator, service=service, purpose="QA")
    few = shown(as_operator, f"q={typed}")
    monkeypatch.setattr("rentals.queries.search.MAX_LOOKED_UP", 1)
    assert shown(as_operator, f"q={typed}") == few == [rental.pk for rental in reversed(mine)]


def test_two_characters_are_looked_for_as_a_whole(as_operator: Client, team: Team, operator: User) -> None:
    say(make_rental(Status.RECEIVED, team=team, person=operator, purpose="QA payments"), "195829", "QA")
    whole = make_rental(Status.WAITING, team=team, purpose="qa")
    assert shown(as_operator, "q=QA") == [whole.pk]


def test_a_search_that_finds_nothing_says_what_to_do(as_operator: Client) -> None:
    page = as_operator.get("/rentals/?q=nothing").content.decode()
    assert "No rental matches these filters." in page


@pytest.mark.parametrize("sort", ["newest", "oldest", "dearest", "cheapest"])
def test_pages_bring_each_rental_once_forth_and_back(as_operator: Client, team: Team, sort: str) -> None:
    now = timezone.now()
    token, service = make_token(team), make_service()
    # Many of the same moment and price: the cursor must tell them apart.
    rows = [
        make_rental(
            Status.REFUSED, team=team, token=token, service=service,
            queued_at=now - timedelta(minutes=n // 7), price=[None, 800, 1450][n % 3],
        )
        for n in range(PAGE_SIZE * 2 + 11)
    ]  # fmt: skip
    seen: list[list[int]] = []
    address: str | None = f"/rentals/?sort={sort}"
    while address:
        response = as_operator.get(address)
        seen.append([rental.pk for rental in response.context["page"].rentals])
        after = response.context["page"].after
        address = f"/rentals/?sort={sort}&after={after}" if after else None
        last = response
    everything = [pk for page in seen for pk in page]
    assert sorted(everything) == sorted(row.pk for row in rows)
    key = {row.pk: (row.price or 0) if sort in {"dearest", "cheapest"} else row.queued_at for row in rows}
    places = [(key[pk], pk) for pk in everything]
    assert places == sorted(places, reverse=sort in {"newest", "dearest"})
    back = as_operator.get(f"/rentals/?sort={sort}&before={last.context['page'].before}")
    assert [rental.pk for rental in back.context["page"].rentals] == seen[-2]
    assert back.context["page"].after
    assert back.context["page"].before


def test_the_links_to_other_pages_keep_the_filters(as_operator: Client, team: Team) -> None:
    token, service = make_token(team), make_service()
    for _ in range(PAGE_SIZE + 1):
        make_rental(Status.REFUSED, team=team, token=token, service=service)
    response = as_operator.get("/rentals/?status=refused")
    link = next(part for part in response.content.decode().split('href="') if part.startswith("?") and "after=" in part)
    query = urlsplit(link.split('"')[0].replace("&amp;", "&")).query
    assert "status=refused" in query
    assert len(shown(as_operator, query)) == 1


def test_each_filter_that_is_set_can_be_taken_away(as_operator: Client, team: Team, operator: User) -> None:
    make_service(sv="02", upstream_id="97", name="Zalo")
    address = (
        f"/rentals/?q=098&status=received&status=expired&service=02.97&person={operator.pk}&prefix=096"
        "&since=2026-03-10&sort=oldest&after=1-1"
    )
    chosen = as_operator.get(address).context["chosen"]
    assert [says for says, _ in chosen] == [
        "“098”", "expired without a code", "code received", "Zalo", "Linh (linh)", "096", "from 10/03/2026",
    ]  # fmt: skip
    left = QueryDict(dict(chosen)["code received"])
    assert left.getlist("status") == ["expired"]
    assert (left["q"], left["sort"], left.get("after")) == ("098", "oldest", None)
    assert "q" not in QueryDict(dict(chosen)["“098”"])


@pytest.mark.parametrize("cursor", ["after=x", "after=1-", "before=-1-2", "after=99999999999999999999-1"])
def test_a_broken_cursor_shows_the_first_page(as_operator: Client, team: Team, cursor: str) -> None:
    rental = make_rental(Status.WAITING, team=team)
    assert shown(as_operator, cursor) == [rental.pk]


def test_counting_stops_where_it_would_cost_more_than_the_page(
    as_operator: Client, team: Team, monkeypatch: Any
) -> None:
    monkeypatch.setattr("pages.presenters.history.MAX_COUNTED", 3)
    token, service = make_token(team), make_service()
    for _ in range(5):
        make_rental(Status.WAITING, team=team, token=token, service=service)
    assert MAX_COUNTED >= 1000
    assert "more than 3 rentals" in as_operator.get("/rentals/").content.decode()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_numbers_are_written_as_amounts_are(language: str) -> None:
    with translation.override(language):
        assert grouped(1_234_567) == "1.234.567"
        assert grouped(999) == "999"


def test_a_page_takes_a_handful_of_queries(
    as_operator: Client,
    team: Team,
    operator: User,
    django_assert_max_num_queries: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    Network.objects.update_or_create(name="VIETTEL", defaults={"active": True})
    for number in range(20):
        say(make_rental(Status.RECEIVED, team=team, person=operator), str(number), f"G{number:05}")
    with django_capture_on_commit_callbacks(execute=True), django_assert_max_num_queries(7):
        as_operator.get("/rentals/")  # the first view of the day records who reads the codes
    for query in ("", f"person={operator.pk}&sort=dearest", "q=0852222127", "after=1-1"):
        with django_assert_max_num_queries(6):
            page = as_operator.get(f"/rentals/?{query}").content.decode()
        assert "Linh" in page
    # What the words are in is looked up: on SQLite by a query for services, rentals and messages each.
    with django_assert_max_num_queries(7 if connection.vendor == "postgresql" else 9):
        assert len(shown(as_operator, "q=G0000")) == 10


def test_marks_are_on_each_row(as_operator: Client, team: Team, operator: User) -> None:
    say(make_rental(Status.RECEIVED, team=team, person=operator), "059809", "là 059809")
    make_rental(Status.EXPIRED, team=team, reason="no_code")
    make_rental(Status.WAITING, team=team)
    page = as_operator.get("/rentals/").content.decode()
    for mark in ("rental", "phone", "code", "sms", "network", "price", "expires", "reason"):
        assert f'data-testid="{mark}"' in page


def test_messages_that_were_deleted_after_their_time_are_said_to_be(
    as_operator: Client, team: Team, settings: Settings
) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    long_ago = timezone.now() - timedelta(days=31)
    gone = make_rental(Status.RECEIVED, team=team, received_at=long_ago)
    said = "Deleted after 30 days, as all messages are."
    assert said in as_operator.get("/rentals/").content.decode()
    page = as_operator.get(f"/rentals/{gone.pk}/").content.decode()
    assert said in page
    assert "No message has arrived." not in page
    # None came to these, however old they are; and of this one ThueSim has told no words yet.
    silent = make_rental(Status.EXPIRED, team=team, ended_at=long_ago)
    wordless = make_rental(Status.RECEIVED, team=team, received_at=timezone.now())
    assert "No message has arrived." in as_operator.get(f"/rentals/{silent.pk}/").content.decode()
    assert "has not given its text" in as_operator.get(f"/rentals/{wordless.pk}/").content.decode()
    assert as_operator.get("/rentals/").content.decode().count(said) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["q", "service", "network", "prefix", "person", "token", "status"])
def test_no_text_in_the_address_breaks_the_page(client: Client, field: str) -> None:
    client.force_login(make_person(make_team()))
    for text in ("\0", "02.\0", "'\"%_\\", "9" * 40, "\u202e"):
        assert client.get("/rentals/", {field: text}).status_code in {200, 400}
        assert client.get("/", {field: text}).status_code in {200, 400}


@pytest.mark.django_db
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-13-40", "yesterday"])
def test_a_day_that_cannot_be_is_no_filter(client: Client, day: str) -> None:
    team = make_team()
    client.force_login(make_person(team))
    make_rental(team=team)
    page = client.get("/rentals/", {"since": day, "until": day})
    assert page.status_code == 200
    assert b'data-testid="rental"' in page.content


def test_the_person_filter_offers_an_admin_where_they_ordered_for_the_team(
    as_operator: Client, team: Team, operator: User
) -> None:
    make_person(is_staff=True, username="anteam-switcheds-admin")
    helper = make_person(is_staff=True, username="helping-admin")
    make_rental(Status.RECEIVED, team=team, person=helper)
    page = as_operator.get("/rentals/").content.decode()
    assert "helping-admin" in page
    assert "anteam-switcheds-admin" not in page


def test_every_code_of_a_row_has_a_button_that_copies_it(as_operator: Client, team: Team, operator: User) -> None:
    rental = say(make_rental(Status.RECEIVED, team=team, person=operator), "G-195829", "G-195829 la ma cua ban")
    say(rental, "072-464", "Ma moi: 072-464")
    page = as_operator.get("/rentals/").content.decode()
    assert sorted(re.findall(r'data-copy="(\w+)"', page)) == ["072464", "195829"]
    assert "2 messages</a>" in page


def test_further_codes_are_masked_with_the_first(client: Client, team: Team) -> None:
    rental = say(make_rental(Status.RECEIVED, team=team, person=make_person(team)), "195829", "Ma: 195829")
    say(rental, "072464", "Ma: 072464")
    client.force_login(make_person(team, Role.VIEWER))
    page = client.get("/rentals/").content.decode()
    assert "••••" in page
    assert not any(part in page for part in ("data-copy=", "195829", "072464"))


def test_a_row_names_the_key_and_who_ordered(client: Client, team: Team, operator: User) -> None:
    key, _secret = api_keys.make(operator, access_for(operator), name="CI", scopes=Scope.values)
    rental = make_rental(Status.WAITING, team=team, person=operator, api_key=key, token=make_token(team))
    client.force_login(make_person(team, Role.MANAGER))
    assert who_of(client) == "Linh (linh) key CI"
    lifecycle.hand_over(rental, to=make_person(team, username="mai"), by=operator)
    assert who_of(client) == "mai key CI ordered by Linh (linh)"


def who_of(client: Client) -> str:
    page = client.get("/rentals/").content.decode()
    cell = page.split('class="row-who">', 1)[1].split("</td>", 1)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", cell).split())


def test_two_codes_of_one_message_both_have_a_button_and_are_found(
    as_operator: Client, operator: User, team: Team
) -> None:
    rental = make_rental(Status.RECEIVED, team=team, person=operator)
    say(rental, "119020", "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512")
    page = as_operator.get("/rentals/").content.decode()
    assert re.findall(r'class="row-digits" data-copy="(\d+)"', page) == ["119020", "884512"]
    assert shown(as_operator, "q=884512") == shown(as_operator, "q=119020") == [rental.pk]
