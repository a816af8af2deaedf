"""The tour of the desk in a real browser: by the keyboard, left at any step, found again, and in nobody's way."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Role, Team, User
from pages.presenters.tour import TOURS
from pages.tests.browser.variants import VARIANT_NAMES, VARIANTS, Variant, in_variant, problems_of
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.test_live_browser import Site, card, expect_live, receive, site
from rentals.models import Rental, Status
from rentals.tests.factories import make_service, make_token

__all__ = ["site"]  # the fixture
pytestmark = pytest.mark.browser

OVERLAPS = """panel => [...document.querySelectorAll("[data-testid=code], [data-testid=phone], #rent-go, #service")]
    .filter((part) => part.checkVisibility()).filter((part) => {
        const [a, b] = [panel.getBoundingClientRect(), part.getBoundingClientRect()];
        return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    }).map((part) => part.outerHTML)"""
# What has moved down or up in the page itself since it began to arrive, without a click.
MOVED = """() => new Promise((resolve) => {
    const moved = [];
    const add = (list) => {
        for (const { hadRecentInput, sources } of list.getEntries()) {
            for (const { node, previousRect, currentRect } of hadRecentInput ? [] : sources) {
                if (node?.closest?.("main") && previousRect.y !== currentRect.y) moved.push(node.outerHTML.slice(0, 200));
            }
        }
    };
    new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(moved), 300);
})"""


@pytest.fixture
def newcomer(team: Team, sign_in: SignIn, site: Site) -> Browser:
    make_service(name="Viber", sv="02", upstream_id="97")
    make_token(team)
    return sign_in(team, tours_seen=[])


@pytest.fixture
def desk(page: Page, context: BrowserContext, site: Site, newcomer: Browser) -> Page:
    return opened(page, context, site, newcomer)


def opened(page: Page, context: BrowserContext, site: Site, browser: Browser) -> Page:
    context.add_cookies([{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": site.url}])
    page.goto(site.url)
    expect_live(page)
    return page


def seen(browser: Browser) -> list[str]:
    tours: list[str] = User.objects.get(pk=browser.person.pk).tours_seen
    return tours


def expect_step(page: Page, number: int, count: int, title: str) -> None:
    panel = page.get_by_role("region", name="Tour of the desk", exact=True)
    expect(panel.locator("#tour-title")).to_have_text(title)
    expect(panel.locator(".tour-count")).to_have_text(f"{number} / {count}")
    expect(page.locator(".is-pointed-at")).to_have_count(1)
    expect(page.locator(".is-pointed-at")).to_be_in_viewport()


def test_a_newcomer_goes_through_it_by_the_keyboard_and_never_sees_it_again(desk: Page, newcomer: Browser) -> None:
    steps = TOURS["operator"]
    for number, step in enumerate(steps, start=1):
        expect_step(desk, number, len(steps), str(step.title))
        expect(desk.locator("#tour")).to_be_focused()  # so a screen reader reads the title and the text
        assert desk.locator("#tour").get_attribute("aria-describedby") == "tour-title tour-text tour-count"
        expect(desk.locator("#tour-text")).to_have_text(str(step.text))
        expect(desk.locator(f"[data-tour~={step.part}].is-pointed-at")).to_have_count(1)
        last = number == len(steps)
        button = desk.get_by_role("button", name="Done" if last else "Next", exact=True)
        while not button.evaluate("button => button === document.activeElement"):
            desk.keyboard.press("Tab")
        with desk.expect_response("**/tour/") if last else _nothing():
            desk.keyboard.press("Enter")
    expect(desk.locator("#tour")).to_have_count(0)
    expect(desk.locator("#main")).to_be_focused()
    expect(desk.locator(".is-pointed-at")).to_have_count(0)
    assert seen(newcomer) == ["operator"]
    desk.reload()
    expect_live(desk)
    expect(desk.locator("#tour")).to_have_count(0)


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("language", ["en", "vi"])
def test_on_a_touch_screen_it_speaks_of_no_key(browser: Chromium, site: Site, newcomer: Browser, language: str) -> None:
    User.objects.filter(pk=newcomer.person.pk).update(language=language)
    for has_touch in (True, False):
        with browser.new_context(
            viewport={"width": 844 if has_touch else 1440, "height": 844}, has_touch=has_touch, is_mobile=has_touch
        ) as context:
            page = opened(context.new_page(), context, site, newcomer)
            shown = page.locator("#tour").inner_text()
            for _ in TOURS["operator"][1:]:
                page.locator("[data-tour-next]").click()
                shown += page.locator("#tour").inner_text()
            assert "Enter" not in shown
            assert ("Esc" in shown) != has_touch
            page.evaluate("sessionStorage.clear()")


@pytest.mark.parametrize("steps", [0, 2, 4])
def test_escape_leaves_it_at_any_step(desk: Page, newcomer: Browser, steps: int) -> None:
    for _ in range(steps):
        desk.get_by_role("button", name="Next", exact=True).press("Enter")
    with desk.expect_response("**/tour/"):
        desk.keyboard.press("Escape")
    expect(desk.locator("#tour")).to_have_count(0)
    expect(desk.locator("#main")).to_be_focused()
    assert seen(newcomer) == ["operator"]


def test_escape_closes_what_is_open_first(desk: Page, newcomer: Browser) -> None:
    desk.locator("details.menu > summary").click()
    desk.keyboard.press("Escape")
    expect(desk.locator("details.menu")).not_to_have_attribute("open", "")
    desk.keyboard.press("?")
    expect(desk.locator("#keys")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.locator("#keys")).to_be_hidden()
    desk.keyboard.press("/")
    desk.keyboard.type("vi")
    desk.keyboard.press("Escape")
    expect(desk.locator("#tour")).to_be_visible()
    desk.locator("#tour").get_by_role("button", name="Leave the tour").click()
    expect(desk.locator("#tour")).to_have_count(0)


def test_it_is_found_again_in_the_menu_and_begins_anew(desk: Page, newcomer: Browser) -> None:
    desk.get_by_role("button", name="Next", exact=True).click()
    with desk.expect_response("**/tour/"):
        desk.keyboard.press("Escape")
    desk.locator("details.menu > summary").click()
    desk.locator(".menu-body").get_by_role("button", name="Tour of the desk").click()
    expect_step(desk, 1, 5, "Rent a number")
    with desk.expect_response("**/tour/"):
        desk.keyboard.press("Escape")
    desk.goto(desk.url + "help/")
    desk.locator(".help-side").get_by_role("button", name="Tour of the desk").click()
    expect_step(desk, 1, 5, "Rent a number")


def test_it_goes_on_where_it_was_after_another_page(desk: Page) -> None:
    desk.get_by_role("button", name="Next", exact=True).click()
    desk.get_by_role("button", name="Next", exact=True).click()
    expect_step(desk, 3, 5, "Codes arrive here")
    desk.goto(desk.url + "rentals/")
    desk.goto(desk.url.replace("rentals/", ""))
    expect_step(desk, 3, 5, "Codes arrive here")
    desk.get_by_role("button", name="Back", exact=True).click()
    expect_step(desk, 2, 5, "Only if you need it")


@pytest.mark.parametrize("width", [1440, 390])
def test_an_order_is_made_and_its_code_read_while_it_is_open(
    desk: Page, team: Team, newcomer: Browser, make_rental: Callable[..., Rental], width: int
) -> None:
    desk.set_viewport_size({"width": width, "height": 844})
    desk.reload()
    expect_live(desk)
    count = int(desk.locator(".tour-count").inner_text().split(" / ")[1])
    desk.keyboard.press("/")
    desk.keyboard.type("vib")
    desk.keyboard.press("Enter")
    desk.keyboard.press("Enter")
    expect(desk.locator("#board > [data-rental-id]")).to_have_count(1)
    assert Rental.objects.get().service.name == "Viber"
    expect(desk.locator("#tour")).to_be_visible()
    expect(desk.locator(".is-pointed-at")).to_have_count(1)  # the form was drawn anew
    waiting = make_rental(team, person=newcomer.person)
    waiting.announce()
    expect(card(desk, waiting)).to_be_visible()
    Rental.objects.filter(pk=waiting.pk).update(status=Status.RECEIVED)
    receive(waiting, "529310")
    expect(card(desk, waiting).get_by_test_id("code")).to_have_text("529310")
    for number in range(count):
        assert desk.locator("#tour").evaluate(OVERLAPS) == []
        code = card(desk, waiting).get_by_test_id("code")
        code.scroll_into_view_if_needed()
        assert code.evaluate(
            "code => { const r = code.getBoundingClientRect(); return code.closest('article, [data-rental-id]').contains("
            "document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)); }"
        )
        if number < count - 1:
            desk.locator("[data-tour-next]").click()


@pytest.mark.parametrize("role", ["viewer", "operator", "manager", "admin"])
@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_NAMES)
def test_axe_finds_nothing_at_any_step_and_nothing_moves(
    browser: Chromium, site: Site, team: Team, sign_in: SignIn, role: str, variant: Variant
) -> None:
    make_token(team)
    make_service(name="Viber")
    person = sign_in(team, Role.MANAGER if role == "admin" else Role(role), tours_seen=[], is_staff=role == "admin")
    User.objects.filter(pk=person.person.pk).update(language=variant[0])
    problems: list[str] = []
    with in_variant(browser, variant, site.url, person) as context:
        page = context.new_page()
        page.emulate_media(reduced_motion="reduce")
        page.goto(site.url)
        expect_live(page)
        assert page.evaluate(MOVED) == []
        count = int(page.locator(".tour-count").inner_text().split(" / ")[1])
        assert count >= 3
        for number in range(count):
            # The rest of the page is as it was at the first step.
            parts = ("#tour", ".is-pointed-at") if number else ()
            problems += problems_of(page, f"{role} {number + 1}", parts)
            expect(page.locator(".is-pointed-at")).to_be_in_viewport()
            expect(page.locator("#tour")).to_be_in_viewport(ratio=0.99)
            moving = "document.querySelector('#tour').getAnimations({ subtree: true }).length"
            assert page.evaluate(moving) == 0
            if number < count - 1:
                page.locator("[data-tour-next]").click()
    assert problems == []


def test_without_scripts_there_is_no_tour_and_nothing_is_lost(
    browser: Chromium, site: Site, team: Team, newcomer: Browser
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = opened_without_scripts(context, site, newcomer)
        expect(page.locator("#tour")).to_be_hidden()
        expect(page.locator("#rent-go")).to_be_visible()
        expect(page.get_by_role("button", name="Tour of the desk")).to_have_count(0)


def opened_without_scripts(context: BrowserContext, site: Site, browser: Browser) -> Page:
    context.add_cookies([{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": site.url}])
    page = context.new_page()
    page.goto(site.url)
    return page
