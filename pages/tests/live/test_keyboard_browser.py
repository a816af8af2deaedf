"""The desk by the keyboard and with a screen reader: few keys, no trap, no lost focus, each outcome announced once."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route, expect

from accounts.models import Team
from pages.tests.live.conftest import Browser
from pages.tests.live.test_live_browser import Site, card, expect_live, operator, receive, site
from rentals import lifecycle
from rentals.models import Message, Network, Prefix, Rental, Status
from rentals.tests.factories import make_service, make_token

__all__ = ["operator", "site"]  # the fixtures
pytestmark = pytest.mark.browser


class Keys:
    """Presses keys one by one, and counts them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1


@pytest.fixture
def desk(page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team, settings: object) -> Page:
    make_service(name="Viber", sv="02", upstream_id="97")
    make_service(name="Zalo", sv="02", upstream_id="98")
    make_token(team)
    for name, digits in (("VIETTEL", "96"), ("MOBI", "90"), ("VINA", "91")):
        network = Network.objects.update_or_create(name=name, defaults={"active": True})[0]
        Prefix.objects.get_or_create(digits=digits, defaults={"network": network})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    page.goto(site.url)
    expect_live(page)
    return page


def give_number(rental: Rental) -> None:
    ends = timezone.now() + timedelta(minutes=5)
    fields = {"upstream_key": "7", "upstream_id": "7.02", "phone": "+84852220000", "expires_at": ends}
    Rental.objects.filter(pk=rental.pk).update(status=Status.WAITING, **fields)
    rental.refresh_from_db()
    rental.announce()


def announced(page: Page) -> list[str]:
    return page.locator("#announce > p").all_text_contents()


def ordered(page: Page) -> Rental:
    expect(page.locator("#board > [data-rental-id]").first).to_be_focused()
    return Rental.objects.latest("pk")


@pytest.mark.parametrize("single_keys", [True, False])
def test_from_the_start_of_the_page_to_the_copied_code_in_eleven_keys(
    desk: Page, operator: Browser, single_keys: bool
) -> None:
    if not single_keys:
        operator.person.single_keys = False
        operator.person.save()
        desk.reload()
        expect_live(desk)
    keys = Keys(desk)
    if single_keys:
        keys.press("/", "v", "i", "Enter", "Enter")
    else:
        keys.press("Tab", "Enter", "Tab", "v", "i", "Enter", "Enter")
    rental = ordered(desk)
    give_number(rental)
    expect(card(desk, rental)).to_have_attribute("data-status", "waiting")
    expect(card(desk, rental)).to_be_focused()
    receive(rental, "529310")
    expect(card(desk, rental).get_by_test_id("code")).to_have_text("529310")
    expect(card(desk, rental)).to_be_focused()
    keys.press(*(["c"] if single_keys else ["Tab", "Tab", "Tab", "Enter"]))
    expect(desk.locator("#toasts")).to_contain_text("529310")
    assert desk.evaluate("navigator.clipboard.readText()") == "529310"
    assert keys.pressed == (6 if single_keys else 11)
    assert [text.split(" ")[0:2] for text in announced(desk)] == [["Number", "rented"], ["New", "code"]]


def test_a_group_is_one_tab_stop_with_arrows_inside(desk: Page) -> None:
    desk.locator(".rent-go").focus()
    stops = []
    for _ in range(10):
        desk.keyboard.press("Tab")
        is_help = desk.evaluate("document.activeElement.matches('.term-help > summary')")
        stop = desk.evaluate("document.activeElement.name || document.activeElement.className || 'idea'")
        stops.append("?" if is_help else stop)
        if stops[-1] == "purpose":
            break
    assert stops == ["networks", "?", "prefixes", "idea", "exclude_prefixes", "idea", "?", "purpose"]
    desk.locator("[name=networks]").first.focus()
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("Space")
    second = desk.locator("[name=networks]").nth(1)
    expect(second).to_be_focused()
    expect(second).to_be_checked()
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("End")
    desk.keyboard.press("ArrowRight")
    expect(desk.locator("[name=networks]").first).to_be_focused()
    desk.keyboard.press("Shift+Tab")
    expect(desk.locator("[name=networks]:focus")).to_have_count(0)


def test_escape_leaves_the_field_and_the_single_keys_work(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team, person=operator.person, code="529310", status=Status.RECEIVED)
    rental.announce()
    expect(card(desk, rental)).to_be_visible()
    desk.keyboard.press("/")
    desk.keyboard.type("vi")
    desk.keyboard.press("Escape")  # the list
    desk.keyboard.press("Escape")  # the field
    expect(card(desk, rental)).to_be_focused()
    assert desk.input_value("#service") == "Viber"  # the one that fits stays chosen
    desk.keyboard.press("c")
    expect(desk.locator("#toasts")).to_contain_text("529310")


def test_the_focus_is_never_lost_when_a_card_changes_under_it(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    queued = make_rental(team, person=operator.person, status=Status.QUEUED, phone="", upstream_key="")
    queued.announce()
    card(desk, queued).get_by_role("button", name="Cancel").focus()
    desk.keyboard.press("Enter")
    expect(card(desk, queued)).to_have_attribute("data-status", "cancelled")
    expect(card(desk, queued)).to_be_focused()
    expect(desk.locator("#toasts")).to_contain_text("Cancelled")
    assert announced(desk) == []  # the toast has told it
    desk.locator(".view > summary").focus()
    desk.keyboard.press("Enter")
    desk.keyboard.press("Escape")
    expect(desk.locator(".view > summary")).to_be_focused()
    desk.keyboard.press("?")
    desk.get_by_role("switch", name="Single-key shortcuts").press("Enter")
    expect(desk.locator("#preferences")).to_have_attribute("data-keys", "off")
    desk.keyboard.press("Escape")
    expect(desk.locator("#keys")).to_be_hidden()
    assert desk.evaluate("document.activeElement !== document.body")


def test_a_cancelled_card_that_the_stream_brings_before_the_answer_is_told_once_and_keeps_the_focus(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    def answer_late(route: Route) -> None:
        answer = route.fetch()
        time.sleep(1)
        route.fulfill(response=answer)

    queued = make_rental(team, person=operator.person, status=Status.QUEUED, phone="", upstream_key="")
    queued.announce()
    desk.route("**/cancel/", answer_late)
    card(desk, queued).get_by_role("button", name="Cancel").focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("#toasts")).to_contain_text("Cancelled")
    assert announced(desk) == []  # the toast has told it
    desk.wait_for_timeout(200)
    expect(card(desk, queued)).to_be_focused()
    queued.announce()  # the card comes again
    desk.wait_for_timeout(500)
    expect(card(desk, queued)).to_be_focused()


def test_escape_gives_the_focus_back_to_the_question_mark_that_was_opened(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    make_rental(team, person=operator.person).announce()
    expect(desk.locator("#board > [data-rental-id]")).to_have_count(1)
    desk.locator("#rent details:not(.term-help)").evaluate_all("all => all.forEach(more => more.open = true)")
    marks = desk.locator(".term-help > summary:visible")
    assert marks.count() >= 3
    for number in range(marks.count()):
        marks.nth(number).focus()
        desk.keyboard.press("Enter")
        expect(desk.locator(".term-help[open]")).to_have_count(1)
        desk.keyboard.press("Escape")
        expect(desk.locator(".term-help[open]")).to_have_count(0)
        expect(marks.nth(number)).to_be_focused()


@pytest.mark.parametrize("button", ["again", "like"])
def test_a_button_whose_order_is_refused_keeps_the_focus(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental], button: str
) -> None:
    status = Status.EXPIRED if button == "like" else Status.RECEIVED
    rental = make_rental(team, person=operator.person, status=status, upstream_id="7.02", ended_at=timezone.now())
    team.tokens.add(rental.token)
    team.budget_day = 1
    team.save()
    rental.announce()
    pressed = card(desk, rental).locator(f"#{button}-{rental.pk}")
    pressed.focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("#toasts")).to_contain_text("budget")
    desk.wait_for_timeout(200)
    expect(pressed).to_be_focused()
    rental.announce()  # the card comes again
    desk.wait_for_timeout(500)
    expect(pressed).to_be_focused()


def test_each_outcome_of_ones_own_orders_is_announced_once(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    first, second, third = (
        make_rental(team, person=operator.person, status=Status.QUEUED, phone="", upstream_key="") for _ in range(3)
    )
    colleagues = make_rental(team, status=Status.QUEUED, phone="", upstream_key="")
    for rental in (first, second, third, colleagues):
        rental.announce()
        expect(card(desk, rental)).to_be_visible()
    assert announced(desk) == []
    lifecycle.refuse(first, reason="out_of_stock")
    expect(card(desk, first)).to_have_attribute("data-status", "refused")
    give_number(second)
    expect(card(desk, second)).to_have_attribute("data-status", "waiting")
    Rental.objects.filter(pk=second.pk).update(status=Status.EXPIRED, reason="no_code", ended_at=timezone.now())
    second.announce()
    expect(card(desk, second)).to_have_attribute("data-status", "expired")
    Rental.objects.filter(pk__in=[third.pk, colleagues.pk]).update(status=Status.CANCELLED, ended_at=timezone.now())
    for rental in (third, colleagues):
        rental.announce()
        expect(card(desk, rental)).to_have_attribute("data-status", "cancelled")
    desk.evaluate("dispatchEvent(new Event('online'))")  # the whole board comes again
    desk.wait_for_timeout(1500)
    said = announced(desk)
    assert [text.partition(",")[0].partition(":")[0] for text in said] == [
        "Not rented", "Number rented for Viber", "Expired without a code", "Cancelled",
    ]  # fmt: skip


def test_what_a_number_cost_beyond_the_price_shown_is_announced_with_it(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(
        team, person=operator.person, status=Status.QUEUED, phone="", upstream_key="", agreed_price=500, price=2500
    )
    rental.announce()
    expect(card(desk, rental)).to_be_visible()
    give_number(rental)
    expect(card(desk, rental)).to_have_attribute("data-status", "waiting")
    expect(desk.locator("#announce > p")).to_have_count(1)
    [said] = announced(desk)
    assert said.startswith("Number rented for Viber")
    assert re.search(r"It cost .*: more than the 500 ₫ shown at the order", said)


def test_a_screen_reader_reads_a_new_line_alone(desk: Page) -> None:
    # A status is atomic unless it says otherwise: each line would be read with all that came within the minute.
    assert desk.locator("#announce, #toasts").evaluate_all("all => all.map((each) => each.ariaAtomic)") == ["false"] * 2


def test_a_browser_whose_notifications_throw_says_so_at_the_switch(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    desk.add_init_script(
        "window.Notification = class { static permission = 'granted'; constructor() { throw new TypeError('Illegal') } }"
    )
    operator.person.notifies = True
    operator.person.save()
    desk.reload()
    expect_live(desk)
    desk.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    rentals = [make_rental(team, person=operator.person) for _ in range(2)]
    for number, rental in enumerate(rentals):
        rental.announce()
        receive(rental, f"52931{number}")
    for number, rental in enumerate(rentals):
        expect(card(desk, rental).get_by_test_id("code")).to_have_text(f"52931{number}")
    expect(desk.locator("#announce > p", has_text="New code")).to_have_count(2)  # the second is told as well
    switch = desk.locator("#notify-switch")
    expect(switch).to_have_attribute("title", re.compile("This browser cannot show notifications"))


def test_a_sound_that_cannot_be_heard_yet_is_told(desk: Page, operator: Browser) -> None:
    expect(desk.locator("#sound-hint")).to_be_hidden()
    operator.person.sounds = True
    operator.person.save()
    desk.reload()
    expect(desk.locator("#sound-hint")).to_have_text("Click once to hear codes.")
    desk.locator("h2").first.click(force=True)
    expect(desk.locator("#sound-hint")).to_be_hidden()


TWO_CODES = "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512. Moi ma dung 1 lan"


@pytest.fixture
def two_codes(desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]) -> Rental:
    """A number with a message of two codes, on the open desk, below one that has no code."""
    now = timezone.now()
    rental = make_rental(team, person=operator.person, status=Status.RECEIVED, received_at=now, ended_at=now)
    make_rental(team, person=operator.person)
    Message.objects.create(rental=rental, at=now, text=TWO_CODES, source="poll", fingerprint="two")
    desk.reload()
    expect_live(desk)
    desk.evaluate("navigator.clipboard.writeText('before')")
    desk.locator("#main").focus()
    return rental


def copied(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


@pytest.mark.parametrize("path", ["", "rentals/", "rentals/{}/"])
def test_of_two_codes_none_is_copied_before_one_is_chosen(desk: Page, two_codes: Rental, path: str) -> None:
    desk.goto(desk.url + path.format(two_codes.pk))
    codes = desk.locator("[data-rental-id] [data-equal]")
    expect(codes).to_have_count(2)
    for _ in range(2):  # also where the key is pressed twice
        desk.keyboard.press("c")
        expect(codes.first).to_be_focused()
        expect(desk.locator("#toasts > p").last).to_have_text(
            "Viber, 0852 220 000 has 2 codes. Press the number of one, or Enter on it, to copy it."
        )
    assert copied(desk) == "before"
    desk.keyboard.press("2")
    expect(codes.last).to_be_focused()
    expect(desk.locator("#toasts > p").last).to_have_text("Copied 884512 · Viber, 0852 220 000")
    assert copied(desk) == "884512"
    desk.keyboard.press("Shift+Tab")
    desk.keyboard.press("Enter")
    expect(desk.locator("#toasts > p").last).to_have_text("Copied 119020 · Viber, 0852 220 000")
    assert copied(desk) == "119020"


def test_the_choice_stays_where_the_card_is_drawn_anew(desk: Page, two_codes: Rental) -> None:
    desk.keyboard.press("c")
    desk.keyboard.press("Tab")
    codes = card(desk, two_codes).locator("[data-equal]")
    expect(codes.last).to_be_focused()
    Rental.objects.filter(pk=two_codes.pk).update(purpose="Shop A")
    two_codes.announce()
    expect(card(desk, two_codes)).to_contain_text("Shop A")
    expect(codes.last).to_be_focused()
    desk.keyboard.press("1")
    expect(desk.locator("#toasts > p").last).to_contain_text("Copied 119020")


def test_two_codes_out_of_sight_are_chosen_in_the_tray(desk: Page, two_codes: Rental) -> None:
    desk.set_viewport_size({"width": 1280, "height": 200})
    codes = desk.locator("#tray .tray-code")
    expect(codes.first).to_be_visible()
    desk.keyboard.press("c")
    expect(codes.first).to_be_focused()
    desk.keyboard.press("2")
    expect(desk.locator("#toasts > p").last).to_contain_text("Copied 884512")
    assert copied(desk) == "884512"


def test_the_row_with_the_focus_and_no_code_copies_no_other_ones(desk: Page, two_codes: Rental) -> None:
    desk.goto(desk.url + "rentals/")
    desk.locator("[data-rental-id]").first.get_by_role("link").first.focus()
    desk.keyboard.press("c")
    expect(desk.locator("#toasts")).to_contain_text("There is no code to copy yet.")
    assert copied(desk) == "before"


def test_a_number_that_may_be_no_code_is_copied_by_a_click_alone(desk: Page, two_codes: Rental) -> None:
    Message.objects.filter(rental=two_codes).update(text="Uu dai 2026", second_code="2026")
    for path in ("", "rentals/", f"rentals/{two_codes.pk}/"):
        desk.goto(desk.url.partition("rentals")[0] + path)
        expect(desk.locator("[data-copy]").first).to_be_visible()
        desk.keyboard.press("c")
        expect(desk.locator("#toasts")).to_contain_text("There is no code to copy yet.")
    assert copied(desk) == "before"
