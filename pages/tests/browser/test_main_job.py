"""The main job in a browser, against the whole desk: sign in, rent, see the code arrive."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from thuesim_site.testing import RunningDesk

pytestmark = pytest.mark.browser
SignIn = Callable[..., None]


def choose_service(page: Page, text: str = "khac") -> None:
    page.keyboard.press("/")
    page.keyboard.type(text)
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")


def rentals(page: Page) -> list[str]:
    """The ids on the board, from the top."""
    ids: list[str] = page.eval_on_selector_all(
        "[data-testid=rental]", "cards => cards.map(card => card.dataset.rentalId)"
    )
    return ids


def rent(page: Page, text: str = "khac") -> str:
    """Rent by the keyboard alone; return the new rental's id."""
    before = rentals(page)
    choose_service(page, text)
    page.keyboard.press("Enter")
    page.wait_for_function("n => document.querySelectorAll('[data-testid=rental]').length > n", arg=len(before))
    return rentals(page)[0]


def test_tests_of_the_running_desk_are_begun_before_all_others(request: pytest.FixtureRequest) -> None:
    browser_tests = [item for item in request.session.items if item.get_closest_marker("browser")]
    use_it = ["running_desk" in getattr(item, "fixturenames", ()) for item in browser_tests]
    assert use_it == sorted(use_it, reverse=True)  # one process takes them all, and would end last


def test_a_code_appears_by_itself_for_the_whole_team(
    page: Page, browser: Browser, running_desk: RunningDesk, sign_in: SignIn
) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    sign_in(page)
    expect(page.locator("#live-state")).to_contain_text("Live")
    with browser.new_context(locale="en") as other_context:
        other = other_context.new_page()
        sign_in(other, "admin")
        expect(other.locator("#live-state")).to_contain_text("Live")
        rental = rent(page)
        card = page.locator(f"#rental-{rental}")
        code = card.get_by_test_id("code")
        expect(code).to_be_visible()
        assert card.get_attribute("data-status") == "received"
        assert (code.text_content() or "") in (card.get_by_test_id("sms").text_content() or "")
        assert re.fullmatch(r"0\d{3} \d{3} \d{3}", card.get_by_test_id("phone").text_content() or "")
        expect(page.locator("#announce")).to_contain_text("New code")
        expect(other.locator(f"#rental-{rental}").get_by_test_id("code")).to_have_text(code.text_content() or "-")
    assert hosts == {urlsplit(running_desk.base_url).netloc}
    expect(page.locator(f"#rental-{rental}")).to_be_focused()  # from where Tab leads to the code


def test_the_newest_code_is_copied_by_a_key(page: Page, running_desk: RunningDesk, sign_in: SignIn) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=running_desk.base_url)
    sign_in(page)
    card = page.locator(f"#rental-{rent(page)}")
    expect(card.get_by_test_id("code")).to_be_visible()
    page.locator("#main").focus()
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == card.get_by_test_id("code").text_content()
    before = page.locator("#copy-as").input_value()
    page.select_option("#copy-as", "international")
    expect(page.locator("#preferences")).to_have_attribute("data-copy-as", "international")
    card.get_by_test_id("phone").click()
    expect(page.locator("#toasts")).to_contain_text("+84")
    phone = (card.get_by_test_id("phone").text_content() or "").replace(" ", "")
    assert page.evaluate("navigator.clipboard.readText()") == "+84" + phone[1:]
    page.goto(f"{running_desk.base_url}/rentals/")  # and so on every page
    page.get_by_test_id("phone").first.click()
    expect(page.locator("#toasts")).to_contain_text("+84")
    page.goto(f"{running_desk.base_url}/")  # the desk is one for all tests
    page.select_option("#copy-as", before)
    expect(page.locator("#preferences")).to_have_attribute("data-copy-as", before)


def test_what_is_wrong_is_said_at_the_field_and_nothing_is_lost(page: Page, sign_in: SignIn) -> None:
    sign_in(page)
    before = rentals(page)
    page.fill("input#service", "zzzz")
    page.locator("label.chip", has_text="VIETTEL").click()
    page.fill("#prefixes", "96,")
    page.fill("#purpose", "Kiểm thử")
    page.keyboard.press("Enter")
    expect(page.locator("#id_service_error")).to_contain_text("There is no service “zzzz”")
    assert page.input_value("#service") == "zzzz"
    assert page.input_value("#purpose") == "Kiểm thử"
    assert page.locator("[name=networks][value=VIETTEL]").is_checked()
    expect(page.locator(".prefix")).to_have_text("096")
    assert rentals(page) == before


def test_the_combobox_is_worked_by_the_keyboard(page: Page, sign_in: SignIn) -> None:
    sign_in(page)
    field = page.get_by_role("combobox", name="Service")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("KHÁC")
    expect(field).to_have_attribute("aria-expanded", "true")
    options = page.locator("#service-list [role=option]")
    first = options.first
    expect(first).to_have_attribute("aria-selected", "true")
    assert field.get_attribute("aria-activedescendant") == first.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.keyboard.press("Control+a")
    page.keyboard.type("02.97")  # a whole key needs no choosing
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(page.locator("#service-chosen")).not_to_be_empty()


def test_keys_can_be_read_and_switched_off(page: Page, sign_in: SignIn) -> None:
    sign_in(page)
    expect(page.locator("#live-state")).to_contain_text("Live")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    switch = page.get_by_role("switch", name="Single-key shortcuts")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#service")).not_to_be_focused()
    page.locator(".keys-button").click()
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")


def test_what_one_switches_on_is_on_in_another_browser(
    page: Page, browser: Browser, running_desk: RunningDesk, sign_in: SignIn
) -> None:
    sign_in(page)
    for switch in ("#sound-switch", "#count-switch"):
        before = page.get_attribute(switch, "aria-pressed")
        page.locator(switch).click()
        expect(page.locator(switch)).not_to_have_attribute("aria-pressed", before or "")
        expect(page.locator(switch)).to_be_focused()
    with browser.new_context(locale="en") as elsewhere:
        other = elsewhere.new_page()
        sign_in(other)
        for switch in ("#sound-switch", "#count-switch"):
            assert other.get_attribute(switch, "aria-pressed") == page.get_attribute(switch, "aria-pressed")
    for switch, default in (("#sound-switch", "false"), ("#count-switch", "true")):  # the desk is one for all tests
        page.locator(switch).click()
        expect(page.locator(switch)).to_have_attribute("aria-pressed", default)


def test_notifications_want_the_browsers_leave_too(page: Page, running_desk: RunningDesk, sign_in: SignIn) -> None:
    page.context.clear_permissions()
    sign_in(page)
    page.evaluate("Notification.requestPermission = async () => 'denied'")
    page.locator("#notify-switch").click()
    expect(page.locator("#toasts")).to_contain_text("blocks notifications")
    expect(page.locator("#notify-switch")).to_have_attribute("aria-pressed", "false")
    page.evaluate("Notification.requestPermission = async () => 'granted'")
    page.locator("#notify-switch").click()
    expect(page.locator("#notify-switch")).to_have_attribute("aria-pressed", "true")
    page.locator("#notify-switch").click()
    expect(page.locator("#notify-switch")).to_have_attribute("aria-pressed", "false")


def test_filters_live_in_the_address(page: Page, running_desk: RunningDesk, sign_in: SignIn) -> None:
    sign_in(page)
    rental = rent(page)
    page.get_by_role("link", name="Mine").click()
    page.wait_for_url(f"{running_desk.base_url}/?mine=1")
    expect(page.locator(f"#rental-{rental}")).to_be_visible()
    page.locator("details.filter > summary").click()
    page.select_option("#filter-status", "cancelled")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(f"{running_desk.base_url}/?mine=1&status=cancelled")
    expect(page.locator(f"#rental-{rental}")).to_have_count(0)
    before = rentals(page)
    page.fill("input#service", "khac")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("The filter hides it")  # ordered, and said so
    assert rentals(page) == before
    page.locator(".filter-chip").click()
    page.wait_for_url(f"{running_desk.base_url}/?mine=1")


def test_who_is_signed_out_meanwhile_is_led_to_the_sign_in_and_back(
    page: Page, running_desk: RunningDesk, sign_in: SignIn
) -> None:
    def sign_out_before_it_is_sent(route: Route) -> None:
        page.context.clear_cookies(name="sessionid")
        route.continue_()

    sign_in(page)
    page.goto(f"{running_desk.base_url}/?mine=1")
    expect(page.locator("#live-state")).to_contain_text("Live")
    page.route("**/rent/", sign_out_before_it_is_sent)
    page.fill("input#service", "khac")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    # By the answer to the order, or by what the page reads by itself in the meantime, which says `ended`.
    page.wait_for_url(re.compile(rf"{running_desk.base_url}/accounts/login/\?(next=/|ended=1&next=%2F)%3Fmine%3D1$"))
    page.fill("[name=login]", "linh")
    page.fill("[name=password]", running_desk.passwords["linh"])
    page.click("button[type=submit]")
    page.wait_for_url(f"{running_desk.base_url}/?mine=1")


def test_all_that_one_does_with_a_card_leaves_the_console_empty(
    page: Page, running_desk: RunningDesk, sign_in: SignIn
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    blocked = "Service Worker registration blocked by Playwright"  # as conftest.py asks
    sign_in(page)
    card = page.locator(f"#rental-{rent(page)}")
    expect(card.get_by_test_id("code")).to_be_visible()
    before = rentals(page)
    card.get_by_role("button", name="Rent again").click()
    expect(page.locator("#toasts")).to_contain_text("Ordered again")
    page.wait_for_function("n => document.querySelectorAll('[data-testid=rental]').length > n", arg=len(before))
    # As long as that one waits for its code, the number is not rented once more.
    expect(page.locator(f"#rental-{rentals(page)[0]}").get_by_test_id("code")).to_be_visible()
    page.goto(f"{running_desk.base_url}/rentals/{before[0]}/")
    page.get_by_role("button", name="Rent again").click()
    page.wait_for_url(f"{running_desk.base_url}/")  # where the number will show
    expect(page.locator(".notice.is-good")).to_contain_text("Ordered again")
    running_desk.sandbox("stock", count=0)
    try:
        page.goto(f"{running_desk.base_url}/")
        page.locator("#keep_trying").select_option("10")
        waiting = rent(page)
        waits = page.locator(f"#rental-{waiting}")
        for _ in range(60):  # it is asked for again and again, and cannot be cancelled meanwhile
            # Found and clicked in one step: between two, the card may be drawn anew.
            page.evaluate("id => document.getElementById(id)?.click()", f"cancel-{waiting}")
            page.wait_for_timeout(700)
            if waits.get_attribute("data-status") == "cancelled":
                break
        expect(waits).to_have_attribute("data-status", "cancelled")
    finally:
        running_desk.sandbox("stock", count=None)
    assert [text for text in said if text != blocked] == []


def test_a_code_counts_in_the_title_while_the_page_is_hidden(page: Page, sign_in: SignIn) -> None:
    sign_in(page)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    card = page.locator(f"#rental-{rent(page)}")
    expect(card.get_by_test_id("code")).to_be_visible()
    page.wait_for_function("document.title.startsWith('(1)')")


def test_the_countdown_runs(page: Page, running_desk: RunningDesk, sign_in: SignIn) -> None:
    running_desk.sandbox("settings", message_after=None)
    try:
        sign_in(page)
        left = page.locator(f"#rental-{rent(page)}").get_by_test_id("expires")
        expect(left).to_be_visible()
        before = left.text_content()
        page.wait_for_function(
            "before => document.querySelector('[data-testid=expires]').textContent !== before", arg=before
        )
    finally:
        running_desk.sandbox("settings", message_after=[1, 2])


def test_the_first_view_is_small(page: Page, browser: Browser, running_desk: RunningDesk, sign_in: SignIn) -> None:
    sign_in(page)
    with browser.new_context() as fresh:
        fresh.add_cookies([cookie for cookie in page.context.cookies() if cookie["name"] == "sessionid"])  # type: ignore[misc]
        first = fresh.new_page()
        sizes: list[int] = []
        fonts: list[int] = []
        answered: list[Request] = []
        first.on("requestfinished", lambda request: answered.append(request))
        first.goto(f"{running_desk.base_url}/")
        expect(first.locator("#live-state")).to_have_attribute("data-state", "live")
        for request in answered:
            measured = request.sizes()
            of_kind = fonts if "/static/fonts/" in request.url else sizes
            of_kind.append(measured["responseBodySize"] + measured["responseHeadersSize"])
    print(f"first view: {sum(sizes)} bytes, {len(sizes)} requests; typeface: {sum(fonts)} bytes, {len(fonts)} files")
    assert sum(sizes) < 120_000
    assert sum(fonts) < 90_000


def test_all_but_liveness_works_without_scripts(browser: Browser, running_desk: RunningDesk, sign_in: SignIn) -> None:
    with browser.new_context(java_script_enabled=False, locale="en") as context:
        page = context.new_page()
        sign_in(page)
        page.select_option("select#service", "02.97")
        page.fill("[name=purpose]", "không script")
        page.click(".rent-go")
        expect(page.locator(".notice")).to_contain_text("Ordered: DV KHÁC (TEST)")
        card = page.get_by_test_id("rental").filter(has_text="không script").first
        expect(card).to_be_visible()
        for _ in range(120):
            if card.get_attribute("data-status") == "received":
                break
            page.wait_for_timeout(500)
            page.reload()
        expect(card.get_by_test_id("code")).to_be_visible()
        card.get_by_role("button", name="Rent again").click()
        page.get_by_role("button", name="Yes, do it").click()
        expect(page.locator(".notice")).to_contain_text("Ordered again")
