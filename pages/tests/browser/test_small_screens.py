"""On the narrowest screen, nothing lies over a number or a name, and no page scrolls sideways."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from accounts import invitations
from accounts.models import Role
from pages.tests.browser.variants import in_variant
from rentals.models import Message, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token, signed_in

pytestmark = pytest.mark.browser

NARROWEST = 320  # CSS pixels: WCAG 2.2, 1.4.10 "Reflow"
# Texts are measured by a range: a block is as wide as its column, whatever it says.
COVERED = """() => {
    const textOf = (element) => {
        const range = document.createRange();
        range.selectNodeContents(element);
        return range.getBoundingClientRect();
    };
    const found = [];
    for (const rental of document.querySelectorAll("main [data-testid=rental]")) {
        const status = textOf(rental.querySelector(".status"));
        for (const element of rental.querySelectorAll(".phone, .rental-service a")) {
            const text = textOf(element);
            const side = text.right <= status.left + 1 || status.right <= text.left + 1;
            if (!side && text.top < status.bottom - 2 && status.top < text.bottom - 2) found.push(element.innerText);
            if (element.getBoundingClientRect().width < 30) found.push(`no room: ${element.innerText}`);
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push("wider than the screen");
    return found;
}"""


@pytest.mark.parametrize("language", ["en", "vi"])
def test_no_status_covers_a_number_or_a_name(
    browser: Browser, live_server: Any, transactional_db: None, language: str
) -> None:
    team = make_team("Support")
    person = make_person(team, username="linh")
    service = make_service(name="Facebook", sv="02", upstream_id="97")
    for status in Status:
        make_rental(status, team=team, person=person, service=service)
    advert = make_rental(Status.RECEIVED, team=team, person=person, service=service)
    Message.objects.create(rental=advert, at=timezone.now(), text="Uu dai 50%", source="poll", fingerprint="1")
    assert advert.lacks_code
    with in_variant(browser, (language, "light", NARROWEST), live_server.url, signed_in(person)) as context:
        page = context.new_page()
        for path in ("/", "/rentals/", f"/rentals/{advert.pk}/"):
            page.goto(live_server.url + path)
            page.wait_for_selector("[data-testid=rental]")
            assert page.evaluate(COVERED) == [], path


# Names that are cut or not there, and "?" too small for a finger.
CUT = """() => {
    const found = [];
    for (const name of document.querySelectorAll(".tool .touch-shown, .filter > summary > span, .view > summary > span")) {
        const text = name.getBoundingClientRect();
        const room = name.closest(".panel, main").getBoundingClientRect();
        const whole = text.width > 10 && name.scrollWidth <= name.clientWidth;
        const outside = text.right > room.right || text.left < room.left;
        if (!whole || outside) found.push(`${name.innerText}: ${text.left} to ${text.right}`);
    }
    for (const help of document.querySelectorAll(".term-help > summary")) {
        const size = help.getBoundingClientRect();
        if (size.width && (size.width < 44 || size.height < 44)) found.push(`? of ${size.width} by ${size.height}`);
    }
    return found;
}"""


@pytest.mark.parametrize("width", [NARROWEST, 390])
@pytest.mark.parametrize("language", ["en", "vi"])
def test_by_touch_icons_have_their_whole_names_and_a_finger_hits_the_help(
    browser: Browser, live_server: Any, transactional_db: None, language: str, width: int
) -> None:
    team = make_team("Support")
    person = make_person(team, username="linh")
    make_token(team, name="Main", balance=1_234_500)
    make_rental(
        Status.EXPIRED, team=team, person=person, service=make_service(name="Facebook", sv="02", upstream_id="97")
    )
    with browser.new_context(
        viewport={"width": width, "height": 800},
        has_touch=True,
        is_mobile=True,
        locale=language,
        service_workers="block",
    ) as context:
        session = signed_in(person).cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        for path in ("/", "/rentals/"):
            page.goto(live_server.url + path)
            page.wait_for_selector("[data-testid=rental]")
            page.locator("details:not(.term-help)").evaluate_all("all => all.forEach(one => one.open = true)")
            assert page.locator(".term-help > summary:visible").count() > 0
            assert page.evaluate(CUT) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") == width, path
        assert page.locator(".tool .touch-shown:visible").count() == 1


# Each word of the sign of freshness, with the age of the last answer, on a page that is wider than the screen.
TOO_WIDE = """() => ["live", "reconnecting", "polling", "offline", "teamSwitched"].filter((state) => {
    const sign = document.getElementById("live-state");
    sign.querySelector("[data-live-word]").textContent = sign.dataset[state].replace("{time}", "22:44");
    sign.querySelector("[data-live-age]").textContent = sign.dataset.age.replace("{seconds}", 125);
    return document.documentElement.scrollWidth > innerWidth;
})"""


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_sign_of_freshness_fits_with_the_age_of_the_last_answer(
    browser: Browser, live_server: Any, transactional_db: None, language: str
) -> None:
    person = make_person(make_team("Support"), username="linh")
    person.memberships.create(team=make_team("Tests"), role=Role.OPERATOR)  # so the bar has the choice of the team
    with in_variant(browser, (language, "light", NARROWEST), live_server.url, signed_in(person)) as context:
        page = context.new_page()
        page.goto(live_server.url)
        page.wait_for_selector("#team-choice")
        assert page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("width", [NARROWEST, 390])
def test_what_the_help_found_stands_under_the_search(
    browser: Browser, live_server: Any, transactional_db: None, width: int
) -> None:
    with in_variant(browser, ("en", "light", width), live_server.url) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/help/?q=masked")
        tops = [page.locator(one).bounding_box() for one in (".help-search", ".help-results", ".help-nav")]
        assert [box and round(box["y"]) for box in tops] == sorted(round(box["y"]) for box in tops if box)


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_set_up_of_a_demo_fits(
    browser: Browser, live_server: Any, transactional_db: None, settings: Any, language: str
) -> None:
    settings.DEMO = True
    team = make_team("Support")
    make_token(team, name="Main", balance=1_234_500)
    admin = make_person(team, Role.MANAGER, is_staff=True, is_superuser=True)
    with in_variant(browser, (language, "light", NARROWEST), live_server.url, signed_in(admin)) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/setup/token/")
        page.wait_for_selector(".notice pre")
        assert page.evaluate("document.documentElement.scrollWidth") == NARROWEST


@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("width", [NARROWEST, 390])
def test_the_entrances_name_the_product(
    browser: Browser, live_server: Any, transactional_db: None, language: str, width: int
) -> None:
    team = make_team("Support")
    _invitation, secret = invitations.invite(make_person(team, Role.MANAGER), team, role=Role.OPERATOR)
    for has_touch in (True, False):  # the switches beside it are wider on a touch screen
        with browser.new_context(
            viewport={"width": width, "height": 844}, has_touch=has_touch, is_mobile=has_touch, locale=language
        ) as context:
            page = context.new_page()
            for path in ("/accounts/login/", f"/join/{secret}/"):
                page.goto(live_server.url + path)
                name = page.locator(".brand > span")
                expect(name).to_be_visible()
                assert name.inner_text() == "ThueSim Desk"
                beside = page.locator(".top-end").bounding_box()
                box = page.locator(".brand").bounding_box()
                assert box is not None
                assert beside is not None
                assert box["x"] + box["width"] <= beside["x"] or box["y"] + box["height"] <= beside["y"]
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_on_a_phone_others_codes_wait_until_the_tour_ends(
    browser: Browser, live_server: Any, transactional_db: None
) -> None:
    team = make_team("Support", shares_codes=True)
    person, other = make_person(team, username="linh", tours_seen=[]), make_person(team, username="lan")
    make_token().teams.add(team)
    for each in range(12):
        rental = make_rental(Status.RECEIVED, team=team, person=other, received_at=timezone.now())
        Message.objects.create(
            rental=rental, at=timezone.now(), code=f"12345{each}", text="", source="poll", fingerprint="1"
        )
    with in_variant(browser, ("en", "light", 390), live_server.url, signed_in(person)) as context:
        page = context.new_page()
        page.goto(live_server.url)
        expect(page.locator("#tour")).to_be_visible()
        expect(page.locator("#tray li")).not_to_have_count(0)
        page.wait_for_timeout(1500)  # it is looked at each second
        expect(page.locator("#tray")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(page.locator("#tray")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_buttons_of_a_token_are_in_one_row(
    browser: Browser, live_server: Any, transactional_db: None, language: str
) -> None:
    team = make_team("Support")
    make_token().teams.add(team)
    person = make_person(team, Role.MANAGER, username="root", is_staff=True, is_superuser=True)
    with in_variant(browser, (language, "dark", 390), live_server.url, signed_in(person)) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/system/")
        tops = page.eval_on_selector_all(
            ".token-do .button", "all => all.map((one) => one.getBoundingClientRect().top)"
        )
        assert len(tops) == 2
        assert tops[0] == tops[1]
