"""Nothing is rented at a price that was not shown, unless the person has said yes to it."""

import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import AuditRecord, Team, User
from accounts.policy import access_for
from pages.tests.markup import html, parse
from rentals import lifecycle, orders
from rentals.jobs import exports
from rentals.lifecycle import reasons
from rentals.models import Rental, Service, ServicePrice, Status, Token
from rentals.queries.warnings import dearer_sentence
from rentals.tests.factories import make_person, make_rental

HTMX = {"HX-Request": "true"}


def now_costs(service: Service, price: int) -> None:
    Service.objects.filter(pk=service.pk).update(price=price)


def test_a_price_that_rose_since_it_was_shown_is_asked_about(as_manager: Client, service: Service) -> None:
    now_costs(service, 45_000)
    asked = as_manager.post("/rent/", {"service": "02.97", "price_seen": "3000"}, headers=HTMX)
    assert asked.status_code == 422
    said = "The price is 45.000 ₫ now, it was 3.000 ₫. Nothing was ordered yet: rent at the new price?"
    assert said in html(asked)
    assert not Rental.objects.exists()
    assert as_manager.post("/rent/", {"service": "02.97", "price_seen": "45000"}, headers=HTMX).status_code == 200
    assert Rental.objects.get().agreed_price == 45_000


@pytest.mark.parametrize(("seen", "now"), [(3000, 3000), (3000, 2900), (3000, None), (None, 45_000)])
def test_a_price_that_did_not_rise_or_was_not_said_is_not(
    as_manager: Client, service: Service, seen: int | None, now: int | None
) -> None:
    Service.objects.filter(pk=service.pk).update(price=now)
    sent = {"service": "02.97"} | ({"price_seen": str(seen)} if seen else {})
    assert as_manager.post("/rent/", sent, headers=HTMX).status_code == 200
    assert Rental.objects.get().agreed_price == now


def test_a_price_that_was_not_known_is_asked_about(as_manager: Client, service: Service) -> None:
    asked = as_manager.post("/rent/", {"service": "02.97", "price_seen": "0"}, headers=HTMX)
    assert "it was not known" in html(asked)
    assert not Rental.objects.exists()


def test_a_number_is_rented_again_only_at_the_price_on_its_button(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    now = timezone.now()
    person = User.objects.get(username="boss")
    earlier = make_rental(
        Status.RECEIVED, team=team, person=person, token=token, service=service, received_at=now, ended_at=now
    )
    address = f"/rentals/{earlier.pk}/again/"
    page = parse(html(as_manager.get("/")))
    assert "Rent again · 3.000 ₫" in page.text
    shown = page.find("form", action=address).values()
    now_costs(service, 45_000)
    asked = as_manager.post(address, shown, headers=HTMX)
    assert "The price is 45.000 ₫ now, it was 3.000 ₫." in html(asked)
    assert not Rental.objects.filter(again_of=earlier).exists()
    assert "Rent again · 45.000 ₫" in parse(html(asked)).text
    as_manager.post(address, parse(html(asked)).find("form", action=address).values(), headers=HTMX)
    assert Rental.objects.get(again_of=earlier).agreed_price == 45_000


def test_a_row_of_the_history_carries_its_price(as_manager: Client, team: Team, token: Token, service: Service) -> None:
    earlier = make_rental(Status.RECEIVED, team=team, token=token, service=service, person=None)
    button = parse(html(as_manager.get("/rentals/"))).find("button", form="again")
    assert button["formaction"] == f"{earlier.pk}/again/?price_seen=3000"
    now_costs(service, 45_000)
    answer = as_manager.post(f"/rentals/{button['formaction']}", follow=True)
    assert "The price is 45.000 ₫ now" in html(answer)
    assert not Rental.objects.filter(again_of=earlier).exists()


def test_an_order_has_a_price_of_its_own_that_it_may_not_exceed(as_manager: Client, service: Service) -> None:
    refused = as_manager.post("/rent/", {"service": "02.97", "max_price": "2.500"}, headers=HTMX)
    assert refused.status_code == 422
    assert "It costs 3.000 ₫ now, more than your 2.500 ₫. Nothing was ordered." in html(refused)
    assert as_manager.post("/rent/", {"service": "02.97", "max_price": "3.000"}, headers=HTMX).status_code == 200
    assert Rental.objects.get().max_price == 3000


def test_what_one_service_may_cost_is_not_carried_over_to_the_next(as_manager: Client, service: Service) -> None:
    order = {"service": "02.97", "max_price": "50000", "price_seen": "3000", "keep_trying": "5"}
    next_form = parse(html(as_manager.post("/rent/", order, headers=HTMX))).find("form", id="rent").values()
    assert (next_form["max_price"], next_form["keep_trying"]) == ([""], ["5"])


def test_a_team_has_a_price_that_no_number_may_exceed(as_manager: Client, team: Team, service: Service) -> None:
    settings = parse(html(as_manager.get("/team/"))).find("form", action="/team/settings/").values()
    assert as_manager.post("/team/settings/", {**settings, "max_price": "2.000"}).status_code == 302
    team.refresh_from_db()
    assert team.max_price == 2000
    assert AuditRecord.objects.get(action="team_settings").detail == {"max_price": [None, 2000]}
    refused = as_manager.post("/rent/", {"service": "02.97"}, headers=HTMX)
    assert "It costs 3.000 ₫, and your team allows 2.000 ₫ for one number." in html(refused)
    assert not Rental.objects.exists()


def test_a_number_that_cost_more_than_shown_is_marked_on_card_page_history_and_in_the_spend(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    now = timezone.now()
    fields = {"team": team, "token": token, "service": service, "person": None, "received_at": now, "ended_at": now}
    dearer = make_rental(Status.RECEIVED, price=45_000, agreed_price=3000, placed_at=now, **fields)
    make_rental(Status.RECEIVED, price=3000, agreed_price=3000, placed_at=now, **fields)
    said = "It cost 45.000 ₫: more than the 3.000 ₫ shown at the order."
    for address in ("/", "/rentals/", f"/rentals/{dearer.pk}/"):
        assert html(as_manager.get(address)).count(said) == 1, address
    spend = parse(html(as_manager.get("/spend/")))
    assert spend.find(data_testid="dearer").text.split() == ["42.000", "₫", "1", "number"]
    assert spend.find(data_testid="spent").text == "48.000 ₫"


def test_a_caller_learns_what_it_costs_now(team: Team, service: Service) -> None:
    person = make_person(team, username="linh")
    with pytest.raises(orders.PriceRose) as rose:
        orders.take_order(orders.Order(person=person, team=team, service=service, max_price=2500))
    assert rose.value.price == 3000


def test_without_scripts_the_price_is_asked_about_that_rose_since_the_page_was_made(
    as_manager: Client, service: Service
) -> None:
    ServicePrice.objects.create(service=service, price=3000, since=timezone.now() - timedelta(days=1))
    order = {**parse(html(as_manager.get("/"))).find("form", id="rent").values(), "service": "02.97"}
    now_costs(service, 45_000)
    ServicePrice.objects.create(service=service, price=45_000, since=timezone.now() + timedelta(milliseconds=5))
    asked = as_manager.post("/rent/", order)
    assert "The price is 45.000 ₫ now, it was 3.000 ₫." in html(asked)
    assert not Rental.objects.exists()
    time.sleep(0.01)  # the next page is made after the price changed
    again = {**parse(html(as_manager.get("/"))).find("form", id="rent").values(), "service": "02.97"}
    assert as_manager.post("/rent/", again).status_code == 302
    assert Rental.objects.get().agreed_price == 45_000


@pytest.mark.parametrize("nonsense", ["x", "-1", "9" * 40, "1.5", ""])
def test_what_is_no_price_and_no_moment_is_as_if_it_were_not_sent(
    as_manager: Client, service: Service, nonsense: str
) -> None:
    sent = {"service": "02.97", "price_seen": nonsense, "shown_at": nonsense}
    assert as_manager.post("/rent/", sent).status_code == 302


@pytest.mark.parametrize(
    ("own", "of_team", "price", "sentence"),
    [
        (900, None, 5000, "It cost 5.000 ₫: more than your limit of 900 ₫ (800 ₫ was shown at the order)."),
        (900, 1000, 5000, "It cost 5.000 ₫: more than your limit of 900 ₫ (800 ₫ was shown at the order)."),
        (None, 1000, 8000, "It cost 8.000 ₫: your team allows 1.000 ₫ now (800 ₫ was shown at the order)."),
        (9000, 1000, 8000, "It cost 8.000 ₫: your team allows 1.000 ₫ now (800 ₫ was shown at the order)."),
        (9000, 9000, 8000, "It cost 8.000 ₫: more than the 800 ₫ shown at the order."),
    ],
)
def test_a_number_over_a_limit_names_it_on_card_page_history_and_in_the_export(
    as_manager: Client,
    team: Team,
    token: Token,
    service: Service,
    *,
    own: int | None,
    of_team: int | None,
    price: int,
    sentence: str,
) -> None:
    now = timezone.now()
    Team.objects.update(max_price=of_team)
    fields = {"team": team, "token": token, "service": service, "person": None, "received_at": now, "ended_at": now}
    prices = {"price": price, "agreed_price": 800, "max_price": own}
    rental = make_rental(Status.RECEIVED, placed_at=now, **prices, **fields)
    for address in ("/", "/rentals/", f"/rentals/{rental.pk}/"):
        assert html(as_manager.get(address)).count(sentence) == 1, address
    access = access_for(User.objects.get(username="boss"))
    [row] = exports.rows(Rental.objects.all(), access, None)
    assert sentence in row


def test_a_number_over_the_limit_that_its_team_had_then_names_that_one(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    Team.objects.update(max_price=20_000)
    prices = {"price": 8000, "agreed_price": 800, "max_price": 9000, "team_max_price": 1000}
    rental = make_rental(Status.RECEIVED, team=team, token=token, service=service, person=None, **prices)
    sentence = "It cost 8.000 ₫: more than the 1.000 ₫ that your team allowed (800 ₫ was shown at the order)."
    page = html(as_manager.get(f"/rentals/{rental.pk}/"))
    assert page.count(sentence) == 1
    assert " ".join(parse(page).find(data_testid="price-limits").text.split()) == (
        "1.000 ₫ the team's max price then 9.000 ₫ the order's max price"
    )
    [row] = exports.rows(Rental.objects.all(), access_for(User.objects.get(username="boss")), None)
    assert sentence in row


def test_the_timeline_of_a_refused_order_names_the_price_and_the_limit_that_held(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    prices = {"agreed_price": 800, "team_max_price": 1000}
    rental = make_rental(
        Status.QUEUED, team=team, token=token, service=service, person=None, queued_at=timezone.now(), **prices
    )
    Team.objects.update(max_price=2000)
    rental.team.refresh_from_db()
    lifecycle.refuse_for_price(rental, reason=reasons.TEAM_PRICE)
    page = parse(html(as_manager.get(f"/rentals/{rental.pk}/")))
    timeline = " ".join(page.find(**{"class": "timeline"}).text.split())
    assert "It cost 3.000 ₫ then. The team's max price was 2.000 ₫." in timeline
    assert " ".join(page.find(data_testid="price-limits").text.split()) == "2.000 ₫ the team's max price then"
    assert page.find(data_testid="price-shown").text == "800 ₫"


def test_a_shown_price_is_no_max_price(as_manager: Client, team: Team, token: Token, service: Service) -> None:
    prices = {"price": 9900, "agreed_price": 2800}
    rental = make_rental(Status.RECEIVED, team=team, token=token, service=service, person=None, **prices)
    page = parse(html(as_manager.get(f"/rentals/{rental.pk}/")))
    assert page.find(data_testid="price-shown").text == "2.800 ₫"
    assert not page.find_all(data_testid="price-limits")


@pytest.mark.parametrize(
    ("own", "of_team", "sentence"),
    [
        (2000, None, "3.000 ₫ now: above your max price of 2.000 ₫"),
        (None, 1000, "3.000 ₫ now: above your team's max price of 1.000 ₫"),
        (3000, 3000, ""),
    ],
)
def test_what_the_same_limit_would_refuse_is_not_offered(
    as_manager: Client, team: Team, token: Token, service: Service, own: int | None, of_team: int | None, sentence: str
) -> None:
    Team.objects.update(max_price=of_team)
    fields = {"reason": reasons.PRICE_ROSE, "max_price": own, "agreed_price": 800, "ended_at": timezone.now()}
    rental = make_rental(Status.REFUSED, team=team, token=token, service=service, person=None, **fields)
    page = parse(html(as_manager.get("/")))
    assert [one.text for one in page.find_all(data_testid="too-dear")] == ([sentence] if sentence else [])
    assert len(page.find_all(id=f"like-{rental.pk}")) == (not sentence)


def test_a_number_above_the_teams_limit_is_not_offered_again(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    Team.objects.update(max_price=1000)
    now = timezone.now()
    fields = {"received_at": now, "ended_at": now, "upstream_key": "7", "price": 800, "agreed_price": 800}
    rental = make_rental(Status.RECEIVED, team=team, token=token, service=service, person=None, **fields)
    page = parse(html(as_manager.get("/")))
    assert page.find(data_testid="too-dear").text == "3.000 ₫ now: above your team's max price of 1.000 ₫"
    assert not page.find_all(id=f"again-{rental.pk}")
    assert f"{rental.pk}/again/" not in html(as_manager.get("/rentals/"))


def test_rows_over_a_limit_cost_no_query_each(
    team: Team, token: Token, service: Service, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        prices = {"price": 5000, "agreed_price": 800, "max_price": 900}
        make_rental(Status.RECEIVED, team=team, token=token, service=service, person=None, **prices)
    with django_assert_num_queries(2):
        sentences = {dearer_sentence(rental) for rental in Rental.objects.for_rows()}
    assert len(sentences) == 1


def test_each_button_that_orders_says_its_price_and_asks_where_it_rose(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    person = User.objects.get(username="boss")
    earlier = make_rental(
        Status.REFUSED, team=team, person=person, token=token, service=service, reason=reasons.OUT_OF_STOCK
    )
    page = parse(html(as_manager.get("/")))
    assert page.find(id=f"keep-{earlier.pk}").text == "Keep trying for 10 min · 3.000 ₫"
    form = page.find("form", action=f"/rentals/{earlier.pk}/same/")
    now_costs(service, 45_000)
    asked = as_manager.post(f"/rentals/{earlier.pk}/same/", {**form.values(), "keep_trying": "10"}, headers=HTMX)
    assert "The price is 45.000 ₫ now, it was 3.000 ₫." in html(asked)
    assert "Keep trying for 10 min · 45.000 ₫" in parse(html(asked)).text
    assert Rental.objects.get() == earlier
