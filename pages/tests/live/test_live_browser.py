"""The board in a real browser, kept live by a real server and a real Redis."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Membership, Team, User
from lib import announce
from pages.live.hub import Hub
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.server import serving, static_files
from rentals.models import Hold, Message, Rental, Service, Status, Token
from thuesim_site.asgi import web
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.testing import RedisServer, wait_until

pytestmark = pytest.mark.browser


class Site:
    """The pages and the stream on a port of their own, and the hub behind them."""

    def __init__(self, hub: Hub, url: str) -> None:
        self.hub, self.url = hub, url


@pytest.fixture
def site(real_redis: RedisServer, transactional_db: None) -> Iterator[Site]:
    hub = Hub(real_redis.url)
    with serving(web(hub, Pages(WSGIHandler()), static_files()), hub) as port:
        yield Site(hub, f"http://127.0.0.1:{port}")


@pytest.fixture
def operator(team: Team, sign_in: SignIn, site: Site, context: BrowserContext) -> Browser:
    browser = sign_in(team)
    context.add_cookies([{"name": "sessionid", "value": browser.cookies["sessionid"].value, "url": site.url}])
    return browser


@pytest.fixture
def desk(page: Page, site: Site, operator: Browser) -> Iterator[Page]:
    """The desk, open and live. Whatever the page says in its console fails the test, but for answers 409 and none."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(site.url)
    expect_live(page)
    yield page
    assert [line for line in errors if "net::ERR" not in line and "409 (Conflict)" not in line] == []


def expect_live(page: Page) -> None:
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")


def expect_announced_once(page: Page, code: str) -> None:
    """What a screen reader is given to read out: one line, with the code character by character."""
    lines = page.locator("#announce > p")
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text(f"New code for TEST, 0852 220 000: {' '.join(code)}")


def card(page: Page, rental: Rental) -> Any:
    return page.locator(f"#rental-{rental.pk}")


def receive(rental: Rental, code: str) -> None:
    """What the watch does when a message comes."""
    Message.objects.create(
        rental=rental, at=rental.queued_at, code=code, text=f"Code {code}", source="poll", fingerprint=code
    )
    Rental.objects.filter(pk=rental.pk).update(
        status=Status.RECEIVED, received_at=rental.queued_at, ended_at=rental.queued_at
    )
    rental.announce()


def test_a_code_appears_with_nothing_touched(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team, person=operator.person)
    rental.announce()
    expect(card(desk, rental)).to_have_attribute("data-status", "waiting")
    receive(rental, "059809")
    expect(card(desk, rental).get_by_test_id("code")).to_have_text("059809")
    expect_announced_once(desk, "059809")


def test_new_cards_stand_newest_first(desk: Page, team: Team, make_rental: Callable[..., Rental]) -> None:
    rentals = [make_rental(team) for _ in range(3)]
    for rental in (rentals[1], rentals[2], rentals[0]):
        rental.announce()
    expect(desk.locator("#board > [data-rental-id]")).to_have_count(3)
    ids = desk.locator("#board > [data-rental-id]").evaluate_all("cards => cards.map(card => card.dataset.rentalId)")
    assert ids == [str(rental.pk) for rental in reversed(rentals)]


def test_a_place_in_the_queue_moves_on_by_itself(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    first, second = (
        make_rental(team, person=operator.person, status=Status.QUEUED, phone="", upstream_key="") for _ in range(2)
    )
    for rental in (first, second):
        rental.announce()
    expect(card(desk, second)).to_contain_text("Place 2 in the queue")
    Rental.objects.filter(pk=first.pk).update(status=Status.CANCELLED)
    first.announce()  # nothing is said about the second
    expect(card(desk, second)).to_contain_text("Place 1 in the queue")


def test_focus_stays_where_it_is_when_its_card_changes(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team, person=operator.person)
    rental.announce()
    card(desk, rental).get_by_role("link").first.focus()
    receive(rental, "111222")
    expect(card(desk, rental)).to_have_attribute("data-status", "received")
    expect(card(desk, rental).get_by_role("link").first).to_be_focused()
    card(desk, rental).get_by_test_id("phone").focus()
    rental.announce()
    receive(rental, "333444")
    expect(card(desk, rental).get_by_test_id("code")).to_have_text("333444")
    expect(card(desk, rental).get_by_test_id("phone")).to_be_focused()


def test_what_was_missed_is_read_after_the_connection_broke(
    desk: Page, team: Team, operator: Browser, make_rental: Callable[..., Rental], site: Site, real_redis: RedisServer
) -> None:
    rental = make_rental(team, person=operator.person)
    rental.announce()
    expect(card(desk, rental)).to_be_visible()
    real_redis.stop()
    expect(desk.locator("#live-state")).to_have_attribute("data-state", "polling")
    receive(rental, "529310")  # no screen is told
    expect(card(desk, rental).get_by_test_id("code")).to_have_text("529310")
    real_redis.start()
    expect_live(desk)
    expect_announced_once(desk, "529310")


def test_a_page_whose_stream_ends_comes_back_by_itself(
    desk: Page, team: Team, make_rental: Callable[..., Rental], site: Site
) -> None:
    site.hub.end_streams()
    expect(desk.locator("#live-state")).not_to_have_attribute("data-state", "live")
    missed = make_rental(team)
    expect_live(desk)
    expect(card(desk, missed)).to_be_visible()


def test_a_blocked_stream_is_made_up_for_by_asking(
    page: Page, context: BrowserContext, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    page.add_init_script("delete window.SharedWorker; delete window.Worker")
    page.goto(site.url)
    expect(page.locator("#live-state")).to_have_attribute("data-state", "polling")
    rental = make_rental(team)
    expect(card(page, rental)).to_be_visible()


def test_who_signs_out_elsewhere_is_taken_to_the_sign_in_page(desk: Page, operator: Browser, team: Team) -> None:
    operator.logout()
    announce.person(operator.person.pk)
    desk.wait_for_url("**/accounts/login/**")


def test_twelve_tabs_share_one_stream(
    desk: Page, context: BrowserContext, site: Site, team: Team, make_rental: Callable[..., Rental]
) -> None:
    tabs = [desk]
    for _ in range(11):
        tabs.append(context.new_page())
        tabs[-1].goto(site.url)
        expect_live(tabs[-1])
    wait_until(lambda: site.hub.open_streams == 1, "all have one stream")  # one that was lost is opened anew
    rental = make_rental(team)
    rental.announce()
    for tab in tabs:
        expect(card(tab, rental)).to_be_visible()


def test_a_browser_without_shared_workers_is_live_too(
    page: Page, site: Site, operator: Browser, team: Team, make_rental: Callable[..., Rental]
) -> None:
    page.add_init_script("delete window.SharedWorker")
    page.goto(site.url)
    expect_live(page)
    rental = make_rental(team)
    rental.announce()
    expect(card(page, rental)).to_be_visible()


def in_both(operator: Browser, team: Team, other_team: Team) -> None:
    """Let them work in `team`, and be in the other one too."""
    User.objects.filter(pk=operator.person.pk).update(team=team)
    Membership.objects.create(user=operator.person, team=other_team, role="operator")


def test_a_desk_of_the_former_team_says_so_orders_nothing_and_comes_back(
    desk: Page, site: Site, operator: Browser, team: Team, other_team: Team
) -> None:
    in_both(operator, team, other_team)
    service = Service.objects.create(sv="02", upstream_id="97", name="TEST", price=1450)
    for each in (team, other_team):
        each.tokens.add(Token.objects.create(name=f"token of {each}", value=f"{each.pk}-" + "0" * 32))
    desk.reload()
    expect_live(desk)
    operator.post("/team/switch/", {"team": other_team.pk})  # in another window
    expect(desk.locator("#live-state")).to_have_attribute("data-state", "teamSwitched")
    expect(desk.locator("#live-state")).to_contain_text("Not live: another team")
    expect(desk.get_by_role("alert")).to_contain_text("You switched to Back in another window")
    desk.locator("#service").fill(service.name)
    desk.locator(".rent-go").click()
    expect(desk.get_by_role("alert")).to_contain_text("Nothing was ordered or changed.")
    expect(desk.locator("#service")).to_have_value(service.name)
    assert not Rental.objects.exists()
    desk.get_by_role("button", name="Back to Front").click()
    expect_live(desk)
    expect(desk.get_by_role("alert")).to_have_count(0)


def test_a_desk_goes_on_by_itself_when_its_person_is_back_in_its_team(
    desk: Page, operator: Browser, team: Team, other_team: Team
) -> None:
    in_both(operator, team, other_team)
    operator.post("/team/switch/", {"team": other_team.pk})
    expect(desk.locator("#live-state")).to_have_attribute("data-state", "teamSwitched")
    operator.post("/team/switch/", {"team": team.pk})
    expect_live(desk)
    expect(desk.get_by_role("alert")).to_have_count(0)


NOTES = """
  window.notes = [];
  const property = Object.getOwnPropertyDescriptor(AudioParam.prototype, "value");
  Object.defineProperty(AudioParam.prototype, "value", {
    ...property,
    set(value) { if (value > 100) window.notes.push(value); property.set.call(this, value); },
  });
"""


def test_an_advert_does_not_sound_like_a_code_and_takes_none_away(
    page: Page, site: Site, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    page.add_init_script(NOTES)
    operator.post("/preferences/", {"sounds": "true"})
    page.goto(site.url)
    expect_live(page)
    rental = make_rental(team, person=operator.person)
    rental.announce()
    expect(card(page, rental)).to_have_attribute("data-status", "waiting")
    Message.objects.create(rental=rental, at=rental.queued_at, text="Uu dai 50%", source="poll", fingerprint="advert")
    Rental.objects.filter(pk=rental.pk).update(
        status=Status.RECEIVED, received_at=rental.queued_at, ended_at=rental.queued_at
    )
    rental.announce()
    expect(card(page, rental)).to_contain_text("no code recognised: read the message")
    expect(page.locator("#announce > p")).to_have_text("TEST, 0852 220 000: no code recognised: read the message")
    page.wait_for_timeout(1600)  # sounds that are closer together are one
    Message.objects.create(
        rental=rental,
        at=rental.queued_at + timedelta(seconds=1),
        code="G-195829",
        text="G-195829",
        source="poll",
        fingerprint="code",
    )
    rental.announce()
    expect(card(page, rental).get_by_test_id("code")).to_have_text("G-195829")
    expect(card(page, rental)).to_contain_text("code received")
    page.wait_for_function("notes.length > 2")
    assert page.evaluate("notes") == [440, 880, 1318.5]


def test_the_key_copies_ones_own_code_before_a_colleagues_and_says_whose_it_is(
    page: Page, site: Site, team: Team, operator: Browser, sign_in: SignIn, make_rental: Callable[..., Rental]
) -> None:
    colleague = sign_in(team)
    mine = make_rental(team, person=operator.person, status=Status.RECEIVED, code="G-195829")
    make_rental(team, person=colleague.person, status=Status.RECEIVED, code="444444")
    Rental.objects.update(received_at=mine.queued_at, ended_at=mine.queued_at)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    page.goto(site.url)
    expect_live(page)
    page.locator("#main").focus()
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Copied 195829 · TEST, 0852 220 000")
    assert page.evaluate("navigator.clipboard.readText()") == "195829"


def test_two_codes_of_one_message_are_both_announced_and_each_has_a_button_in_the_tray(
    page: Page, site: Site, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    page.goto(site.url)
    expect_live(page)
    rental = make_rental(team, person=operator.person)
    rental.announce()
    expect(card(page, rental)).to_have_attribute("data-status", "waiting")
    Message.objects.create(
        rental=rental,
        at=rental.queued_at,
        text="Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512. Moi ma dung 1 lan",
        source="poll",
        fingerprint="two",
    )
    Rental.objects.filter(pk=rental.pk).update(
        status=Status.RECEIVED, received_at=rental.queued_at, ended_at=rental.queued_at
    )
    rental.announce()
    expect(card(page, rental).get_by_test_id("equal-code")).to_have_text(["119020", "884512"])
    expect(page.locator("#announce > p")).to_contain_text("1 1 9 0 2 0   /   8 8 4 5 1 2")
    for buttons in (card(page, rental).locator(".code"), page.locator("#tray .tray-code:visible")):
        # Both in one frame: a code that has just come grows for a moment.
        first, second = buttons.evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
        assert (first["x"], round(first["height"])) == (second["x"], round(second["height"]))
        assert first["y"] + first["height"] <= second["y"]
        page.set_viewport_size({"width": 1280, "height": 200})  # the card is out of sight
        expect(page.locator("#tray .tray-code:visible")).to_have_text(["119020", "884512"])


def test_an_outage_is_told_at_the_top_once_when_it_begins_and_once_when_it_ends(
    page: Page, site: Site, team: Team, operator: Browser, make_rental: Callable[..., Rental]
) -> None:
    rental = make_rental(team, person=operator.person)
    token = rental.token
    token.teams.add(team)
    page.goto(site.url)
    expect_live(page)
    outage, announced = page.get_by_test_id("outage"), page.locator("#announce > p")
    expect(outage).to_be_hidden()
    sentence = "ThueSim does not answer: new orders wait, and codes may come late."
    for _ in range(2):  # the hold is put on again at each failure
        Token.objects.filter(pk=token.pk).update(hold=Hold.DOWN, hold_until=timezone.now() + timedelta(seconds=10))
        token.announce()
        expect(outage).to_have_text(sentence)
    expect(outage).to_be_in_viewport()
    expect(announced).to_have_text([sentence])
    Token.objects.filter(pk=token.pk).update(hold=Hold.NONE, hold_until=None)
    token.announce()
    expect(outage).to_be_hidden()
    expect(announced).to_have_text([sentence, "ThueSim answers again."])
