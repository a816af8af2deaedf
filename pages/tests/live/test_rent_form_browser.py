"""The rent form in a real browser: Enter chooses and the button buys, at the price that it says; what is set is seen."""

from collections.abc import Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import SignIn
from pages.tests.live.server import pages
from rentals.models import Network, Rental, Service, ServiceFigure, Token
from rentals.models.catalog import searchable
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.browser


@pytest.fixture
def services(team: Team) -> None:
    team.tokens.add(Token.objects.create(name="Main", value="1-" + "0" * 32))
    Network.objects.bulk_create([Network(name="WINTEL"), Network(name="VIETTEL")], ignore_conflicts=True)
    Network.objects.update(active=True)
    for n, name in enumerate(
        ["Vibe", "Viber", *(f"Ngân hàng TMCP Sài Gòn Thương Tín chi nhánh số {n}" for n in range(1, 101))]
    ):
        Service.objects.create(sv="02", upstream_id=str(n), name=name, price=2500 + n, search_name=searchable(name))


@pytest.fixture
def figures(team: Team, services: None) -> None:
    """Viber's codes cost the team least on WINTEL's 055."""
    viber = Service.objects.get(name="Viber")
    for network, prefix, received, spent in (
        ("", "", 30, 90_000), ("WINTEL", "", 11, 28_000), ("WINTEL", "55", 10, 20_000), ("VIETTEL", "", 19, 62_000)
    ):  # fmt: skip
        ServiceFigure.objects.create(
            team=team, service=viber, network=network, prefix=prefix, rented=40, ended=40, received=received,
            spent=spent, at=timezone.now(),
        )  # fmt: skip


@pytest.fixture
def desk(
    real_redis: RedisServer, team: Team, services: None, sign_in: SignIn, context: BrowserContext
) -> Iterator[Page]:
    with pages(real_redis) as site:
        yield open_desk(context, site, sign_in(team))


def test_enter_chooses_and_the_button_buys_at_the_price_that_it_says(desk: Page) -> None:
    for typed in ("viber", "vibe", "vib"):
        desk.fill("#service", typed)
        desk.locator("#service").press("Enter")
        expect(desk.locator("#rent-go")).to_be_focused()
        assert not Rental.objects.exists()
    expect(desk.locator("#rent-go")).to_have_text("Rent · 2.500 ₫")
    desk.keyboard.press("Enter")
    expect(desk.get_by_test_id("rental")).to_have_count(1)
    expect(desk.get_by_test_id("rental")).to_be_focused()
    desk.keyboard.press("Enter")  # a habitual one more buys nothing: the focus is on the card
    desk.wait_for_timeout(500)
    assert Rental.objects.count() == 1


def test_enter_on_nothing_or_on_no_service_buys_nothing(desk: Page) -> None:
    for typed in ("", "zzzz"):
        desk.fill("#service", typed)
        desk.locator("#service").press("Enter")
        expect(desk.locator("#service")).to_be_focused()
    desk.fill("#service", "viber")
    desk.fill("#prefixes", "96")
    desk.locator("#prefixes").press("Enter")
    expect(desk.locator(".prefix")).to_have_text("096")
    assert not Rental.objects.exists()


def test_a_dearer_service_is_asked_about_and_rented_at_the_second_click(desk: Page) -> None:
    desk.fill("#service", "viber")
    expect(desk.locator("#rent-go")).to_have_text("Rent · 2.501 ₫")
    Service.objects.filter(name="Viber").update(price=45_000)
    desk.click("#rent-go")
    expect(desk.get_by_role("alert")).to_contain_text("The price is 45.000 ₫ now, it was 2.501 ₫.")
    expect(desk.locator("#rent-go")).to_have_text("Rent · 45.000 ₫")
    assert not Rental.objects.exists()
    desk.click("#rent-go")
    expect(desk.get_by_test_id("rental")).to_have_count(1)
    assert Rental.objects.get().agreed_price == 45_000


def test_what_is_set_is_seen_beside_the_button_and_taken_away_there(desk: Page) -> None:
    desk.set_viewport_size({"width": 390, "height": 844})
    desk.reload()
    desk.locator(".wishes > summary").click()
    desk.locator("label.chip", has_text="WINTEL").click()
    desk.fill("#prefixes", "055,")
    desk.fill("#exclude_prefixes", "96,")
    desk.fill("#purpose", "QA")
    desk.select_option("#keep_trying", "5")
    desk.fill("#max_price", "9.000")
    desk.fill("#service", "viber")
    desk.click("#rent-go")
    expect(desk.get_by_test_id("rental")).to_have_count(1)
    chips = desk.locator(".wish-chip")
    # The section is closed again; what it holds for the next order is in sight, but for the cap of the last one.
    expect(desk.locator("#prefixes")).to_be_hidden()
    expect(chips).to_have_text(["WINTEL", "055…", "not 096…", "QA", "keep trying for 5 min"])
    desk.get_by_role("button", name="Remove WINTEL").click()
    desk.get_by_role("button", name="Remove not 096…").click()
    desk.get_by_role("button", name="Remove keep trying for 5 min").click()
    expect(chips).to_have_text(["055…", "QA"])
    desk.fill("#service", "vib")
    desk.locator("#service").press("Enter")
    desk.click("#rent-go")
    expect(desk.get_by_test_id("rental")).to_have_count(2)
    rental = Rental.objects.latest("pk")
    assert (rental.networks, rental.prefixes, rental.exclude_prefixes) == ([], ["55"], [])
    assert (rental.purpose, rental.keep_trying_until) == ("QA", None)


def test_services_that_look_alike_are_told_apart(desk: Page) -> None:
    desk.fill("#service", "sai gon")
    options = desk.get_by_role("option").locator(".picker-name")
    expect(options).to_have_count(80)
    assert [text.rpartition(" ")[2] for text in options.all_text_contents()] == [str(n) for n in range(1, 81)]
    expect(desk.locator("#service-list")).to_contain_text("20 more. Type more of the name.")
    cut = "names => names.filter(name => name.scrollWidth > name.clientWidth + 1).length"
    assert options.evaluate_all(cut) == 0
    desk.locator("#service").press("Enter")
    expect(desk.locator("#service-chosen")).to_contain_text("chi nhánh số 1 ·")


def test_the_best_choice_is_said_and_wished_for_by_a_click_alone(figures: None, desk: Page) -> None:
    advice, chips = desk.locator("best-choice"), desk.locator("wish-chips button")
    expect(advice).to_be_hidden()
    desk.fill("#service", "nhánh số 77")
    desk.locator("#service").press("Enter")
    expect(advice).to_be_hidden()  # nothing is known of it
    desk.fill("#service", "viber")
    desk.locator("#service").press("Enter")
    expect(advice).to_contain_text("WINTEL 055, 2.000 ₫ a code instead of 3.000 ₫ (10 of 40 gave one")
    expect(chips).to_have_count(0)  # it chooses nothing by itself
    desk.keyboard.press("Tab")
    expect(advice.locator("button")).to_be_focused()
    desk.keyboard.press("Enter")
    expect(chips).to_have_text(["WINTEL", "055…"])
    expect(desk.locator("#rent-go")).to_be_focused()
    expect(advice.locator("button")).to_be_hidden()
    desk.keyboard.press("Enter")
    expect(desk.get_by_test_id("rental")).to_have_count(1)
    order = Rental.objects.get()
    assert (order.networks, order.prefixes) == (["WINTEL"], ["55"])


def test_of_very_many_services_each_is_found_by_a_few_keys(
    services: None, real_redis: RedisServer, team: Team, sign_in: SignIn, context: BrowserContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("pages.forms.MAX_OFFERS", 5)
    with pages(real_redis) as site:
        desk = open_desk(context, site, sign_in(team))
        field, options = desk.locator("#service"), desk.get_by_role("option").locator(".picker-name")
        field.click()
        expect(options).to_have_count(5)
        expect(desk.locator("#service-list")).to_contain_text("97 more. Type more of the name.")
        field.type("sai gon")
        expect(options).to_have_count(80)
        expect(desk.locator("#service-list")).to_contain_text("20 more. Type more of the name.")
        field.fill("vib")
        field.press("Enter")  # before the desk has answered
        expect(desk.locator("#rent-go")).to_have_text("Rent · 2.500 ₫")
        expect(desk.locator("#rent-go")).to_be_focused()
        field.fill("zzzz")
        expect(desk.locator("#service-chosen")).to_have_text("No service has this name. Try fewer letters.")
        assert not Rental.objects.exists()
        field.fill("viber")
        desk.click("#rent-go")
        expect(desk.get_by_test_id("rental")).to_have_count(1)
        assert Rental.objects.get().service.name == "Viber"
