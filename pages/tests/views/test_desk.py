"""The desk: the order form, the board, and what one may do with a card."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import api_keys
from accounts.models import Role, Scope, Team, User
from accounts.policy import access_for
from pages.tests.markup import Element, html, parse
from rentals.jobs import statistics
from rentals.models import Hold, Message, Network, Rental, Service, StarredService, Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.one_database

HTMX = {"HX-Request": "true"}


@pytest.fixture
def operator(team: Team) -> User:
    return make_person(team, username="linh")


@pytest.fixture
def as_operator(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def service(team: Team) -> Service:
    make_token(team, name="Main", balance=123456, waiting_limit=10)
    for name in ("VIETTEL", "MOBIFONE"):
        Network.objects.update_or_create(name=name, defaults={"active": True})
    return make_service(name="DV KHÁC (TEST)", sv="02", upstream_id="97")


def with_code(rental: Rental, code: str = "059809", text: str = "059809 is your code") -> Rental:
    Message.objects.create(rental=rental, at=timezone.now(), code=code, text=text, source="poll", fingerprint=code)
    return rental


def elements(response: Any) -> Element:
    return parse(html(response))


def test_the_desk_asks_strangers_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/").headers["Location"] == "/accounts/login/?next=/"


def test_the_desk_shows_balance_places_and_hold(as_operator: Client, team: Team, service: Service) -> None:
    make_token(team, name="Spare", balance=None, paused=True)
    page = elements(as_operator.get("/"))
    assert "123.456 ₫" in [balance.text for balance in page.find_all(data_testid="balance")]
    assert "0/10 waiting" in page.text
    assert "paused" in page.text


def test_an_outage_stands_at_the_top_until_thuesim_answers(as_operator: Client, team: Team, service: Service) -> None:
    make_token(team, name="Other")
    assert "hidden" in elements(as_operator.get("/")).find(data_testid="outage")
    # A hold that ran out while the next attempt is under way is no answer.
    Token.objects.exclude(name="Other").update(hold=Hold.DOWN, hold_until=timezone.now() - timedelta(seconds=1))
    name = Token.objects.exclude(name="Other").get().name
    for address in ("/", "/tokens/"):
        outage = elements(as_operator.get(address)).find(data_testid="outage")
        assert "hidden" not in outage
        assert outage.text == f"ThueSim does not answer on {name}: orders there wait, and codes may come late."


@pytest.mark.parametrize("typed", ["02.97", "97", "DV KHÁC (TEST)", "dv khac (test)"])
def test_an_order_takes_the_service_in_any_form(as_operator: Client, service: Service, typed: str) -> None:
    response = as_operator.post(
        "/rent/", {"service": typed, "networks": ["VIETTEL"], "prefixes": "96|097", "purpose": "QA"}
    )
    assert response.headers["Location"] == "/"
    rental = Rental.objects.get()
    assert (rental.service, rental.status) == (service, Status.QUEUED)
    assert (rental.networks, rental.prefixes, rental.purpose) == (["VIETTEL"], ["96", "97"], "QA")


def test_an_order_by_htmx_answers_with_the_form_and_the_new_card(as_operator: Client, service: Service) -> None:
    page = elements(as_operator.post("/rent/", {"service": "02.97", "purpose": "QA"}, headers=HTMX))
    card = page.find(data_testid="rental")
    assert (card["hx-swap-oob"], card["data-status"]) == ("true", "queued")
    assert page.find("form", id="rent").values()["purpose"] == ["QA"]


def test_a_second_enter_buys_nothing(as_operator: Client, service: Service) -> None:
    order = {"service": "02.97", "networks": ["VIETTEL"], "purpose": "QA", "keep_trying": "5"}
    form = elements(as_operator.post("/rent/", order, headers=HTMX)).find("form", id="rent")
    values = form.values()
    assert (values["networks"], values["purpose"], values["keep_trying"]) == (["VIETTEL"], ["QA"], ["5"])
    again = as_operator.post("/rent/", values, headers=HTMX)
    assert again.status_code == 422
    assert "Choose a service first" in html(again)
    assert Rental.objects.count() == 1


@pytest.mark.parametrize(
    ("page_it_comes_from", "shown"),
    [
        ("/", True),
        ("/?mine=1", True),
        ("/?status=received", False),
        ("/?network=VIETTEL", True),
        ("/rentals/999999/", False),
    ],
)
def test_a_new_card_comes_where_the_asking_page_has_room_for_it(
    as_operator: Client, service: Service, page_it_comes_from: str, shown: bool
) -> None:
    headers = {**HTMX, "HX-Current-URL": f"http://testserver{page_it_comes_from}"}
    page = html(as_operator.post("/rent/", {"service": "02.97"}, headers=headers))
    assert ('data-testid="rental"' in page) == shown
    assert ("Ordered: DV KHÁC (TEST). The filter hides it." in page) != shown


@pytest.mark.database
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"service": ""}, "Choose a service first"),
        ({"service": "nothing"}, "There is no service “nothing”"),
        ({"networks": ["NOKIA"]}, "does not offer the network “NOKIA”"),
        ({"prefixes": "9x"}, "“9x” is not a prefix"),
        ({"prefixes": "96", "exclude_prefixes": "096"}, "Prefix 96 is both requested and excluded"),
        ({"keep_trying": "5000"}, "60"),
        ({"token": "0"}, "not one of your team&#x27;s"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_bad_input_is_said_and_nothing_is_lost(
    as_operator: Client, service: Service, wrong: dict[str, Any], sentence: str, headers: dict[str, str]
) -> None:
    response = as_operator.post("/rent/", {"service": "02.97", "purpose": "Thử", **wrong}, headers=headers)
    assert response.status_code == 422
    assert sentence in html(response)
    assert 'value="Thử"' in html(response)
    assert not Rental.objects.exists()


def test_a_bare_id_on_two_servers_must_be_chosen(as_operator: Client, service: Service) -> None:
    make_service(name="Other", sv="03", upstream_id="97")
    assert "is on several servers" in html(as_operator.post("/rent/", {"service": "97"}))


def test_a_purpose_is_wanted_where_the_team_says_so(as_operator: Client, team: Team, service: Service) -> None:
    Team.objects.update(purpose_required=True)
    assert "Say what the number is for" in html(as_operator.post("/rent/", {"service": "02.97"}))


def test_another_teams_token_is_refused(as_operator: Client, service: Service) -> None:
    foreign = make_token(make_team())
    assert "not one of your team" in html(as_operator.post("/rent/", {"service": "02.97", "token": foreign.pk}))


def test_a_viewer_cannot_rent(client: Client, team: Team, service: Service) -> None:
    client.force_login(make_person(team, Role.VIEWER))
    assert elements(client.get("/")).find_all("form", id="rent") == []
    response = client.post("/rent/", {"service": "02.97"})
    assert response.status_code == 403
    assert "Ask a manager of your team" in html(response)


def test_rent_wants_a_post(as_operator: Client) -> None:
    assert as_operator.get("/rent/").status_code == 405


def test_starred_services_come_first_then_the_teams_most_used_with_how_often_a_code_came(
    as_operator: Client, team: Team, operator: User, service: Service
) -> None:
    often, starred, seldom = (make_service(name=name, price=1600) for name in ("Zalo", "Yahoo", "Wechat"))
    for status in [Status.RECEIVED] * 4 + [Status.EXPIRED]:
        make_rental(status, team=team, service=often, placed_at=timezone.now())
    make_rental(Status.WAITING, team=team, service=seldom, placed_at=timezone.now())
    StarredService.objects.create(person=operator, service=starred)
    StarredService.objects.create(person=make_person(team), service=seldom)  # another person's star
    statistics.refresh(team.pk)
    form = elements(as_operator.get("/")).find("form", id="rent")
    groups = form.find("select", name="service").find_all("optgroup")
    offers = {group["label"]: [option.text for option in group.find_all("option")] for group in groups}
    assert list(offers.items()) == [
        ("Starred", ["Yahoo · 1.600 ₫ · 5 minutes"]),
        ("Used by your team", ["Zalo · 1.600 ₫ · 5 minutes · code in 80 %", "Wechat · 1.600 ₫ · 5 minutes"]),
        ("All others", ["DV KHÁC (TEST) · 1.450 ₫ · 5 minutes"]),
    ]
    assert form.find("option", data_starred="").text.startswith("Yahoo")
    assert form.find("option", data_rated="").text.startswith("Zalo")


def test_a_service_that_the_team_may_not_order_is_not_offered(
    as_operator: Client, team: Team, service: Service
) -> None:
    team.services.add(make_service(name="Zalo"))
    assert "DV KHÁC (TEST)" not in html(as_operator.get("/"))
    assert "may not rent numbers for this service" in html(as_operator.post("/rent/", {"service": "02.97"}))


def test_the_last_purpose_stands_in_the_form_and_earlier_ones_are_offered(
    as_operator: Client, team: Team, operator: User, service: Service
) -> None:
    now = timezone.now()
    for minutes, purpose in enumerate(["Shop A", "Kiểm thử", "Shop A", ""]):
        make_rental(
            team=team, person=operator, service=service, purpose=purpose, queued_at=now - timedelta(minutes=minutes)
        )
    make_rental(team=team, person=make_person(team), service=service, purpose="Of another", queued_at=now)
    page = elements(as_operator.get("/"))
    field = page.find("input", name="purpose")
    assert (field["value"], field["maxlength"]) == ("Shop A", "120")
    offered = page.find("datalist", id=field["list"])
    assert [option["value"] for option in offered.find_all("option")] == ["Shop A", "Kiểm thử"]


def test_neither_a_program_nor_a_colleague_sets_the_purpose_of_the_next_order(
    as_operator: Client, team: Team, operator: User, service: Service
) -> None:
    key, _secret = api_keys.make(operator, access_for(operator), name="CI", scopes=[Scope.RENTALS_WRITE])
    now = timezone.now()
    own: dict[str, Any] = {"team": team, "person": operator, "service": service}
    make_rental(**own, purpose="test_sign_up[chromium]", api_key=key, queued_at=now)
    assert elements(as_operator.get("/")).find("input", name="purpose")["value"] == ""
    make_rental(**own, purpose="Handed over", ordered_by=make_person(team), queued_at=now)
    make_rental(**own, purpose="Shop A", queued_at=now - timedelta(days=1))
    page = elements(as_operator.get("/"))
    assert page.find("input", name="purpose")["value"] == "Shop A"
    assert [option["value"] for option in page.find("datalist", id="purposes").find_all("option")] == ["Shop A"]


@pytest.mark.database
def test_the_board_shows_the_teams_open_rentals_newest_first(as_operator: Client, team: Team, service: Service) -> None:
    now = timezone.now()
    old = make_rental(Status.WAITING, team=team, queued_at=now - timedelta(minutes=2))
    new = make_rental(Status.QUEUED, team=team, queued_at=now)
    make_rental(Status.WAITING)
    gone = make_rental(Status.EXPIRED, team=team, queued_at=now - timedelta(hours=2), ended_at=now - timedelta(hours=1))
    page = html(as_operator.get("/board/"))
    assert page.index(f'data-rental-id="{new.pk}"') < page.index(f'data-rental-id="{old.pk}"')
    assert page.count('data-testid="rental"') == 2
    assert f'data-rental-id="{gone.pk}"' not in page


def test_of_very_many_tokens_the_desk_lists_those_that_take_no_orders_first(
    as_operator: Client, team: Team, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rentals.queries.tokens.MAX_LISTED", 2)
    for name in ("Alpha", "Beta"):
        make_token(team, name=name)
    make_token(team, name="Zeta", paused=True)
    page = elements(as_operator.get("/"))
    listed = [name.text for name in page.find("div", id="tokens").find_all("span", **{"class": "token-name"})]
    assert listed == ["Zeta", "Alpha"]
    assert page.find(**{"data-testid": "more-tokens"}).text == "2 of 4 tokens. All of them"
    offered = [option.text.partition(" ·")[0] for option in page.find("select", id="token").find_all("option")]
    assert offered == ["automatic", "Alpha", "Beta", "Main", "Zeta"]


@pytest.mark.database
def test_the_board_shows_the_newest_open_rentals_and_says_how_many_there_are_beside(
    as_operator: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.presenters.board.MAX_OPEN", 2)
    now, token = timezone.now(), make_token(team)
    ages = (3, 1, 0, 2)
    rentals = [make_rental(team=team, token=token, queued_at=now - timedelta(minutes=age)) for age in ages]
    ended = make_rental(Status.EXPIRED, team=team, token=token, queued_at=now, ended_at=now)
    page = elements(as_operator.get("/board/"))
    shown = [card["data-rental-id"] for card in page.find_all("article")]
    assert shown == [str(rental.pk) for rental in (ended, rentals[2], rentals[1])]
    more = page.find("p", id="board-more")
    assert more.text.startswith("And 2 more that are still open: History")
    found = elements(as_operator.get(more.find("a")["href"]))
    assert len(found.find("tbody", id="history-rows").find_all("tr")) == 4
    rentals[0].person = rentals[3].person = User.objects.get(username="linh")
    Rental.objects.bulk_update(rentals, ["person"])
    page = elements(as_operator.get("/board/"))
    own = [str(rental.pk) for rental in (ended, rentals[2], rentals[1], rentals[3], rentals[0])]
    assert [card["data-rental-id"] for card in page.find_all("article")] == own, "nobody's own one leaves it"
    assert "hidden" in page.find("p", id="board-more")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by the few rows of a test")
def test_the_board_finds_the_open_rentals_without_reading_the_history(as_operator: Client, team: Team) -> None:
    with connection.cursor() as cursor:
        if "sqlite_stat1" in connection.introspection.table_names(cursor):
            cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("ANALYZE sqlite_schema")  # forgets the statistics that another test made of its few rows
    with CaptureQueriesContext(connection) as queries:
        as_operator.get("/board/")
    (keys,) = [query["sql"] for query in queries if "UNION ALL" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {keys}")
        steps = [row[-1] for row in cursor.fetchall()]
    assert any("rental_team_status" in step for step in steps)
    assert not [step for step in steps if step.startswith("SCAN") or step.endswith("(team_id=?)")], steps


@pytest.mark.database
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"mine", "theirs"}),
        ("mine=1", {"mine"}),
        ("status=received", {"theirs"}),
        ("status=received&status=waiting", {"mine", "theirs"}),
        ("network=VIETTEL", {"mine"}),
        ("prefix=096", {"mine"}),
        ("service=02.97", {"mine"}),
        ("status=nonsense", {"mine", "theirs"}),
    ],
)
def test_filters_in_the_address_hold_for_the_board_and_for_each_card(
    as_operator: Client, team: Team, operator: User, service: Service, query: str, shown: set[str]
) -> None:
    from django.http import QueryDict

    from accounts.policy import access_for
    from rentals.queries.filters import BoardFilter

    rentals = {
        "mine": make_rental(Status.WAITING, team=team, person=operator, service=service, network="VIETTEL"),
        "theirs": make_rental(Status.RECEIVED, team=team, network="MOBIFONE", phone="+84771234567"),
    }
    page = html(as_operator.get(f"/?{query}"))
    board_filter = BoardFilter.from_query(QueryDict(query))
    access = access_for(operator)
    for name, rental in rentals.items():
        assert (f'data-rental-id="{rental.pk}"' in page) == (name in shown)
        assert board_filter.matches(rental, access) == (name in shown)


def test_the_desk_takes_the_same_queries_however_full_it_is(
    as_operator: Client,
    team: Team,
    operator: User,
    service: Service,
    django_assert_max_num_queries: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    token = make_token(team)
    for status in (Status.QUEUED, Status.WAITING, Status.RECEIVED):
        for _ in range(5):
            with_code(make_rental(status, team=team, person=operator, token=token), str(Rental.objects.count()))
    with django_capture_on_commit_callbacks(execute=True), django_assert_max_num_queries(15):
        as_operator.get("/")  # the first view of the day records who reads the codes
    with django_assert_max_num_queries(14):
        as_operator.get("/")
    with django_assert_max_num_queries(8):
        as_operator.get("/board/")


def test_an_order_reads_the_services_and_networks_once(
    as_operator: Client, service: Service, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(25) as queries:
        as_operator.post("/rent/", {"service": "02.97", "networks": ["VIETTEL"], "purpose": "QA"}, headers=HTMX)
    assert Rental.objects.exists()
    statements = [query["sql"] for query in queries.captured_queries]
    for table in ("rentals_servicefigure", "rentals_network"):
        assert sum(f'FROM "{table}"' in statement for statement in statements) == 1


def test_a_person_of_several_teams_can_switch(as_operator: Client, operator: User, team: Team) -> None:
    other = make_team("Tests")
    operator.memberships.create(team=other, role=Role.OPERATOR)
    here = make_rental(Status.WAITING, team=other)
    as_operator.post("/team/switch/", {"team": other.pk})
    assert f'data-rental-id="{here.pk}"' in html(as_operator.get("/"))
    assert as_operator.post("/team/switch/", {"team": make_team().pk}).status_code == 404


def test_sign_in_says_what_is_wrong(client: Client, operator: User) -> None:
    response = client.post("/accounts/login/", {"login": "linh", "password": "wrong"})
    assert "The user name, the e-mail or the password is wrong." in html(response)
    assert 'value="linh"' in html(response)


def test_demo_mode_is_said_with_a_way_to_send_an_sms(as_operator: Client, settings: Any) -> None:
    settings.DEMO = True
    settings.THUESIM_BASE_URL = "http://127.0.0.1:8001"
    page = elements(as_operator.get("/", headers={"host": "127.0.0.1:8000"}))
    assert page.find_all("a", href="http://127.0.0.1:8001/")


def test_a_missing_page_is_designed(as_operator: Client) -> None:
    response = as_operator.get("/rentals/999999/")
    assert response.status_code == 404
    assert "Page not found" in html(response)


def test_services_stand_in_the_order_in_which_people_count(as_operator: Client, service: Service) -> None:
    for name in ("Bank 10", "Bank 2", "Bank 1", "bank 1 b", "Bank 100"):
        make_service(name=name, sv="02", upstream_id=name.replace(" ", ""))
    options = elements(as_operator.get("/")).find("select", id="service").find_all("option")
    names = [option.text.split(" · ")[0] for option in options]
    assert [name for name in names if "ank" in name] == ["Bank 1", "bank 1 b", "Bank 2", "Bank 10", "Bank 100"]


def test_a_card_has_the_whole_name_of_its_service(as_operator: Client, team: Team, service: Service) -> None:
    name = "Ngân hàng TMCP Sài Gòn Thương Tín chi nhánh số 100"
    make_rental(team=team, service=make_service(name=name, upstream_id="100"))
    card = elements(as_operator.get("/")).find(data_testid="rental")
    assert card.find("a")["title"] == name


def test_an_order_costs_the_database_few_questions(
    as_operator: Client, service: Service, django_assert_max_num_queries: Any
) -> None:
    order = {
        **elements(as_operator.get("/")).find("form", id="rent").values(),
        "service": "02.97",
        "price_seen": "1450",
    }
    with django_assert_max_num_queries(24):
        assert as_operator.post("/rent/", order, headers=HTMX).status_code == 200
    with django_assert_max_num_queries(15):
        assert as_operator.post("/rent/", order, headers=HTMX).status_code == 200
