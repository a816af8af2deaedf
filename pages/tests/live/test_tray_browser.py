"""A code is never out of sight: the tray of new codes, dense rows, and the order of the board."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, Page, ViewportSize, expect

from accounts.models import Team
from pages.presenters.board import MAX_ENDED
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import Browser, SignIn
from rentals.models import Message, Rental, Status

pytestmark = pytest.mark.browser
# No card fits into it, so each code is in the tray.
TOO_LOW: ViewportSize = {"width": 1280, "height": 120}
WIDTHS = pytest.mark.parametrize("width", [1440, 390])


@pytest.fixture
def operator(team: Team, sign_in: SignIn) -> Browser:
    Team.objects.update(shares_codes=True)
    return sign_in(team)


@pytest.fixture
def sixty(team: Team, operator: Browser, make_rental: Callable[..., Rental]) -> list[Rental]:
    """Sixty numbers that wait, the newest first, all of the operator."""
    now = timezone.now()
    newest = make_rental(team, person=operator.person)
    shared = {field: getattr(newest, field) for field in ("team", "person", "token", "service", "status")}
    others = [
        Rental(**shared, upstream_key=f"{age}", phone=f"+8485222{age:04}", queued_at=now - timedelta(seconds=10 * age))
        for age in range(1, 60)
    ]
    rentals = [newest, *Rental.objects.bulk_create(others)]
    Rental.objects.update(expires_at=now + timedelta(minutes=10))
    return rentals


def receive(rental: Rental, code: str) -> None:
    now = timezone.now()
    Message.objects.create(rental=rental, at=now, code=code, text=f"Code {code}", source="poll", fingerprint=code)
    Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=now, ended_at=now)
    rental.announce()


def ids_on(page: Page) -> list[int]:
    ids: list[str] = page.eval_on_selector_all("#board > [data-rental-id]", "all => all.map(x => x.dataset.rentalId)")
    return [int(pk) for pk in ids]


def entries(page: Page) -> Locator:
    return page.locator("#tray li")


@WIDTHS
def test_the_code_of_the_last_of_sixty_cards_is_in_view(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental], width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}, locale="en") as context:
        page = open_desk(context, site, operator)
        assert ids_on(page) == [rental.pk for rental in sixty]
        receive(sixty[-1], "529310")
        expect(entries(page).locator(".tray-code")).to_have_text("529310")
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)
        expect(page.locator(f"#rental-{sixty[-1].pk}").get_by_test_id("code")).not_to_be_in_viewport()
        expect(page.locator("#announce > p")).to_have_count(1)
        entries(page).get_by_role("link").click()
        page.mouse.move(1, 1)
        card = page.locator(f"#rental-{sixty[-1].pk}")
        expect(card).to_be_focused()
        expect(card.get_by_test_id("code")).to_be_in_viewport()
        expect(page.locator("#tray")).to_be_hidden()  # while its card is in sight
        page.reload()  # nobody has copied or dismissed it
        page.wait_for_function("scrollY > 0")  # the browser goes back to where it was
        page.evaluate("scrollTo(0, 0)")
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)
        page.get_by_role("button", name="Dismiss all").click()
        expect(page.locator("#tray")).to_be_hidden()
        assert page.evaluate("document.activeElement.id") == "main"
        page.reload()
        expect(page.locator("#tray")).to_be_hidden()


def test_own_codes_come_first_and_a_copied_one_goes(
    browser: Chromium, site: str, operator: Browser, team: Team, sign_in: SignIn, make_rental: Callable[..., Rental]
) -> None:
    own, colleagues = make_rental(team, person=operator.person), make_rental(team, person=sign_in(team).person)
    with browser.new_context(viewport=TOO_LOW, locale="en") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
        page = open_desk(context, site, operator)
        receive(own, "111111")
        expect(entries(page)).to_have_count(1)
        receive(colleagues, "222222")
        expect(entries(page).locator(".tray-code")).to_have_text(["111111", "222222"])
        entries(page).locator(".tray-code").last.click()
        assert page.evaluate("navigator.clipboard.readText()") == "222222"
        expect(entries(page).locator(".tray-code")).to_have_text(["111111"])


def test_a_masked_code_is_in_no_tray_and_one_that_is_masked_leaves_it(
    browser: Chromium, site: str, operator: Browser, team: Team, sign_in: SignIn, make_rental: Callable[..., Rental]
) -> None:
    colleagues = make_rental(team, person=sign_in(team).person)
    with browser.new_context(viewport=TOO_LOW, locale="en") as context:
        page = open_desk(context, site, operator)
        receive(colleagues, "333333")
        expect(entries(page).locator(".tray-code:visible")).to_have_text("333333")
        Team.objects.update(shares_codes=False)
        colleagues.announce()
        expect(page.locator("#tray")).to_be_hidden()
        assert "333333" not in page.content()


def test_a_code_whose_card_is_in_sight_is_in_no_tray_until_it_is_scrolled_away(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental]
) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 800}, locale="en") as context:
        page = open_desk(context, site, operator)
        receive(sixty[0], "529310")
        expect(page.locator(f"#rental-{sixty[0].pk}").get_by_test_id("code")).to_have_text("529310")
        page.wait_for_timeout(1500)
        expect(page.locator("#tray")).to_be_hidden()
        page.evaluate("scrollTo(0, 2000)")
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator("#tray")).to_be_hidden()


def test_a_code_that_comes_while_the_page_is_hidden_is_in_the_tray_when_it_is_seen(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental]
) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 800}, locale="en") as context:
        page = open_desk(context, site, operator)
        page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        receive(sixty[0], "529310")
        expect(page.locator(f"#rental-{sixty[0].pk}").get_by_test_id("code")).to_have_text("529310")
        page.wait_for_timeout(2500)
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)
        expect(page.locator("#tray")).to_be_hidden()


@pytest.mark.parametrize("dense", [False, True])
def test_a_card_under_something_else_is_not_in_sight(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental], dense: bool
) -> None:
    operator.person.dense_board = dense
    operator.person.save()
    with browser.new_context(viewport={"width": 1440, "height": 800}, locale="en") as context:
        page = open_desk(context, site, operator)
        receive(sixty[0], "529310")
        expect(page.locator(f"#rental-{sixty[0].pk}").get_by_test_id("code")).to_have_text("529310")
        page.wait_for_timeout(1500)
        expect(page.locator("#tray")).to_be_hidden()
        page.evaluate(
            """() => {
                const bar = document.body.appendChild(Object.assign(document.createElement("p"), { id: "bar" }));
                Object.assign(bar.style, { position: "fixed", inset: "0 0 50%" });
            }"""
        )
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)
        page.locator("#bar").evaluate("bar => bar.remove()")
        expect(page.locator("#tray")).to_be_hidden()


def test_a_card_under_the_tray_is_not_in_sight(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental]
) -> None:
    with browser.new_context(viewport={"width": 700, "height": 800}, locale="en") as context:
        page = open_desk(context, site, operator)
        receive(sixty[-1], "111111")
        expect(entries(page).locator(".tray-code:visible")).to_have_text(["111111"])
        receive(sixty[3], "222222")
        expect(page.locator(f"#code-{sixty[3].pk}")).to_be_visible()
        page.locator(f"#rental-{sixty[3].pk}").evaluate(
            "card => scrollBy(0, card.getBoundingClientRect().bottom - innerHeight)"
        )
        receive(sixty[2], "333333")
        expect(page.locator(f"#code-{sixty[2].pk}")).to_be_visible()
        expect(entries(page).locator(".tray-code:visible")).to_have_text(["222222", "111111"])
        page.wait_for_timeout(1500)
        drawn = page.evaluate(
            """() => new Promise((resolve) => {
                const drawn = new Set();
                const look = (n) => {
                  drawn.add([...document.querySelectorAll("#tray li:not([hidden])")].map((entry) => entry.innerText).join());
                  n ? requestAnimationFrame(() => look(n - 1)) : resolve(drawn.size);
                };
                look(150);
            })"""
        )
        assert drawn == 1  # it does not flicker


def test_a_code_that_was_copied_on_its_card_leaves_the_tray_for_good(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental]
) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 800}, locale="en") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
        page = open_desk(context, site, operator)
        receive(sixty[-1], "FB-31902")
        expect(entries(page).locator(".tray-code")).to_have_text(["FB-31902"])
        page.locator(f"#code-{sixty[-1].pk}").click()
        expect(entries(page)).to_have_count(0)
        page.reload()
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(1500)
        expect(page.locator("#tray")).to_be_hidden()


def test_dense_rows_and_codes_first_are_switched_without_a_reload(
    browser: Chromium, site: str, operator: Browser, sixty: list[Rental]
) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 800}, locale="en") as context:
        page = open_desk(context, site, operator)
        height = page.locator("#board").bounding_box()["height"]  # type: ignore[index]
        page.locator(".view > summary").click()
        page.get_by_role("switch", name="Dense rows").click()
        expect(page.locator("#board")).to_have_class("board is-dense")
        expect(page.get_by_role("switch", name="Dense rows")).to_be_focused()
        assert page.locator("#board").bounding_box()["height"] < 0.65 * height  # type: ignore[index]
        page.get_by_role("switch", name="Newest codes first").click()
        expect(page.get_by_role("switch", name="Newest codes first")).to_have_attribute("aria-checked", "true")
        page.keyboard.press("Escape")
        for n in (40, 59):
            receive(sixty[n], f"52931{n}")
            expect(page.locator(f"#rental-{sixty[n].pk}").get_by_test_id("code")).to_be_in_viewport()
        assert ids_on(page)[:3] == [sixty[59].pk, sixty[40].pk, sixty[0].pk]
        page.reload()
        expect(page.locator("#board")).to_have_class("board is-dense")
        assert ids_on(page)[:3] == [sixty[59].pk, sixty[40].pk, sixty[0].pk]


def test_an_open_rental_is_on_the_board_however_many_ended_after_it(
    browser: Chromium, site: str, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    number = make_rental(team, person=operator.person)
    for n in range(MAX_ENDED + 30):
        make_rental(team, status=Status.EXPIRED, upstream_key=f"x{n}", ended_at=timezone.now())
    with browser.new_context(viewport=TOO_LOW, locale="en") as context:
        page = open_desk(context, site, operator)
        assert len(ids_on(page)) == MAX_ENDED + 1
        expect(page.locator("#board-more")).to_contain_text("And 30 more")
        receive(number, "529310")
        expect(page.locator(f"#rental-{number.pk}").get_by_test_id("code")).to_have_text("529310")
        expect(entries(page).locator(".tray-code")).to_be_in_viewport(ratio=1)


def say(rental: Rental, text: str, code: str = "", *, minutes_ago: float = 0) -> None:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    Message.objects.create(rental=rental, at=at, code=code, text=text, source="poll", fingerprint=text)
    Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=at, ended_at=at)
    rental.announce()


def test_a_code_that_is_taken_back_is_struck_out_and_not_copied_by_its_key(
    browser: Chromium, site: str, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team, person=operator.person)
    with browser.new_context(viewport=TOO_LOW, locale="en") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
        page = open_desk(context, site, operator)
        page.evaluate("navigator.clipboard.writeText('nothing')")
        say(rental, "ZaloPay: Ma OTP 551208 de thanh toan", "551208", minutes_ago=3)
        expect(entries(page).locator(".tray-code")).to_have_text("551208")
        expect(entries(page).locator(".tray-age")).to_have_text("3 min. ago")
        expect(entries(page).locator(".tray-note")).to_be_hidden()
        say(rental, "khong chac 771203/889012", minutes_ago=2)
        expect(entries(page).locator(".tray-note")).to_contain_text("A newer message came at")
        say(rental, "ZaloPay: Ma OTP 551208 da het han. Vui long yeu cau ma moi")
        sentence = "ThueSim's sender says that this code no longer holds."
        expect(entries(page).locator(".tray-note")).to_have_text(sentence)
        expect(entries(page).locator(".tray-code.is-void")).to_have_text("551208")
        expect(page.locator("#announce", has_text=sentence)).to_have_count(1)
        assert page.locator("#announce").inner_text().count(sentence) == 1
        page.keyboard.press("c")
        expect(page.locator("#toasts")).to_contain_text(sentence)
        assert page.evaluate("navigator.clipboard.readText()") == "nothing"
        page.reload()
        expect(page.locator("[data-testid=caution]")).to_have_text(sentence)
        expect(page.locator("#tray")).to_be_hidden()


@WIDTHS
def test_two_codes_of_a_message_are_one_row_with_the_words_of_each(
    browser: Chromium, site: str, operator: Browser, team: Team, make_rental: Callable[..., Rental], width: int
) -> None:
    rental = make_rental(team, person=operator.person)
    with browser.new_context(viewport={"width": width, "height": 420}, locale="en") as context:
        page = open_desk(context, site, operator)
        page.evaluate("document.body.style.paddingBlockStart = '100vh'")  # the card is out of sight
        say(rental, "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512")
        expect(entries(page)).to_have_count(1)
        expect(entries(page).locator(".tray-code")).to_have_text(["119020", "884512"])
        expect(entries(page).locator(".tray-words")).to_have_text(["Ma OTP dang ky the", "Ma OTP kich hoat"])
        expect(entries(page).locator(".tray-jump")).to_contain_text(rental.service.name)
        expect(entries(page).locator(".tray-age")).to_have_text("now")
        expect(entries(page).get_by_role("button", name="Dismiss")).to_have_count(1)
