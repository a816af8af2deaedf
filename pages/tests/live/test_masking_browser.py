"""What a browser is told of a code that its person may not read: nothing, anywhere; and codes fade without a reload."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Playwright, expect

from accounts.models import AuditRecord, Role, Team, User
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import SignIn
from rentals.jobs.upkeep import retention
from rentals.models import Message, Rental, Status
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.browser

CODE = "749216"
# Everything that the page hands to scripts, the system or other windows is kept here.
EAVESDROP = """
window.heard = [];
window.shown = new Set();
class Told extends EventTarget {
  constructor(title, options) { super(); heard.push(`${title} ${JSON.stringify(options)}`); shown.add(this); }
  close() { shown.delete(this); }
}
Told.permission = "granted";
Told.requestPermission = async () => "granted";
window.Notification = Told;
window.addEventListener("message", (event) => heard.push(JSON.stringify(event.data)));
const shallow = (name, value) => (value instanceof Node || value instanceof XMLHttpRequest ? undefined : value);
const { dispatchEvent } = EventTarget.prototype;
EventTarget.prototype.dispatchEvent = function (event) {
  heard.push(`${event.type} ${JSON.stringify(event.detail, shallow)}`);
  return dispatchEvent.call(this, event);
};
const changes = { subtree: true, childList: true, characterData: true };
new MutationObserver(() => heard.push(document.title)).observe(document, changes);
Object.defineProperty(document, "hidden", { value: true, configurable: true });
"""


@pytest.fixture
def look(browser: Chromium, site: str) -> Iterator[Callable[..., Page]]:
    """Opens the desk for a person who is told of codes in every way; keeps what the stream brings."""
    contexts = []

    def do(person: Any) -> Page:
        context = browser.new_context(locale="en")
        contexts.append(context)
        context.add_init_script(EAVESDROP)
        return open_desk(context, site, person)

    yield do
    for context in contexts:
        context.close()


def everything(page: Page) -> str:
    """All that the page shows, holds and told."""
    return f"{page.content()} {page.title()} {page.evaluate('heard')} {page.evaluate('JSON.stringify(localStorage)')}"


@pytest.fixture
def came(team: Team, make_rental: Callable[..., Rental]) -> Callable[[User], Rental]:
    """A number waits; then its code comes, as the stream tells it."""

    def come(person: User) -> Rental:
        rental = make_rental(team, person=person)
        rental.announce()
        now = timezone.now()
        Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=now, ended_at=now)
        Message.objects.create(
            rental=rental, at=now, code=CODE, text=f"Zebra {CODE}", source="poll", fingerprint="x", is_call=True
        )
        return Rental.objects.get(pk=rental.pk)

    return come


def wants_everything(person: User) -> None:
    for name in ("sounds", "notifies", "counts_in_title"):
        if hasattr(person, name):
            setattr(person, name, True)
    person.save()


def test_a_masked_code_is_nowhere_in_the_browser_of_who_may_not_read_it(
    look: Callable[..., Page], team: Team, sign_in: SignIn, came: Callable[[User], Rental]
) -> None:
    owner, colleague, viewer = sign_in(team), sign_in(team), sign_in(team, Role.VIEWER)
    for each in (owner, colleague, viewer):
        wants_everything(each.person)
    pages_of = {"owner": look(owner), "colleague": look(colleague), "viewer": look(viewer)}
    rental = came(owner.person)
    rental.announce()
    for who, page in pages_of.items():
        card = page.locator(f"#rental-{rental.pk}")
        expect(card).to_have_attribute("data-status", "received")
        expect(card.get_by_test_id("code")).to_have_text(CODE if who == "owner" else "••••")
        page.wait_for_timeout(300)  # for what is told a moment later
        found = everything(page)
        assert (CODE in found, "Zebra" in found) == ((True, True) if who == "owner" else (False, False)), who
    reveal = pages_of["colleague"].get_by_role("button", name="Reveal")
    expect(reveal).to_have_count(1)
    expect(pages_of["viewer"].get_by_role("button", name="Reveal")).to_have_count(0)


def has_servers_time(page: Page) -> bool:
    now: float = page.evaluate("import('/static/js/server-clock.js').then(({ serverTime }) => serverTime())")
    return abs(now / 1000 - time.time()) < 5


def test_a_code_fades_on_open_screens_for_all_but_its_owner(
    look: Callable[..., Page], team: Team, sign_in: SignIn, came: Callable[[User], Rental]
) -> None:
    Team.objects.filter(pk=team.pk).update(codes_fade_minutes=5)
    owner, manager = sign_in(team), sign_in(team, Role.MANAGER)
    theirs, managers = look(owner), look(manager)
    managers.clock.install()
    rental = came(owner.person)
    rental.announce()
    for page in (theirs, managers):
        page.evaluate("window.reloaded = false")
        expect(page.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text(CODE)
    Rental.objects.filter(pk=rental.pk).update(received_at=timezone.now() - timedelta(minutes=5, seconds=1))
    assert retention.fade() == 1  # as beat does, each quarter of a minute
    expect(managers.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text("••••")
    assert CODE not in managers.content()
    expect(managers.locator("#announce > p")).to_have_count(1)  # the code was news; that it faded is none
    managers.clock.fast_forward(60_000)
    expect(managers.locator("#announce > p")).to_have_count(0)
    assert " ".join(CODE) not in managers.content()
    wait_until(lambda: has_servers_time(managers), "a beat has put the page's clock right: else what is revealed fades")
    managers.get_by_role("button", name="Reveal").click()
    expect(managers.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text(CODE)
    expect(managers.locator("#announce > p")).to_have_count(0)
    expect(theirs.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text(CODE)
    assert [page.evaluate("window.reloaded") for page in (theirs, managers)] == [False, False]


@pytest.fixture
def about_to_fade(team: Team, came: Callable[[User], Rental]) -> Callable[[User, float], Rental]:
    """A code that fades after so many seconds for all but its owner."""

    def do(person: User, seconds: float) -> Rental:
        Team.objects.filter(pk=team.pk).update(codes_fade_minutes=1)
        rental = came(person)
        Rental.objects.filter(pk=rental.pk).update(received_at=timezone.now() - timedelta(seconds=60 - seconds))
        return Rental.objects.get(pk=rental.pk)

    return do


def holds_code(page: Page) -> bool:
    content = page.content()
    return CODE in content or " ".join(CODE) in content


def test_a_revealed_code_stays_while_the_board_is_read_anew(
    look: Callable[..., Page], team: Team, sign_in: SignIn, came: Callable[[User], Rental]
) -> None:
    owner, colleague = sign_in(team), sign_in(team)
    page = look(colleague)
    rental = came(owner.person)
    rental.announce()
    card = page.locator(f"#rental-{rental.pk}")
    card.get_by_role("button", name="Reveal").click()
    expect(card.get_by_test_id("code")).to_have_text(CODE)
    read_the_board = "import('/static/js/stream.js').then(({ readPart }) => readPart())"
    page.evaluate(read_the_board)
    expect(card.get_by_test_id("code")).to_have_text(CODE)
    Message.objects.create(
        rental=rental,
        at=timezone.now() + timedelta(seconds=1),
        code="550011",
        text="550011",
        source="poll",
        fingerprint="y",
    )
    page.evaluate(read_the_board)
    expect(card.get_by_test_id("code")).to_have_text("••••")
    assert not holds_code(page)


@pytest.mark.parametrize("path", ["/rentals/", "/rentals/{pk}/"])
def test_a_code_fades_on_an_open_page_that_no_stream_keeps(
    path: str,
    look: Callable[..., Page],
    site: str,
    team: Team,
    sign_in: SignIn,
    about_to_fade: Callable[[User, float], Rental],
) -> None:
    owner, manager = sign_in(team), sign_in(team, Role.MANAGER)
    theirs, managers = look(owner), look(manager)
    rental = about_to_fade(owner.person, 50)
    managers.clock.install()
    for page in (theirs, managers):
        page.goto(site + path.format(pk=rental.pk))
        assert holds_code(page)
    managers.get_by_title("Copy the code").first.click()
    expect(managers.locator("#toasts > p", has_text=CODE)).to_have_count(1)
    managers.context.set_offline(True)  # nothing can be asked any more
    managers.clock.fast_forward(60_000)
    expect(managers.get_by_test_id("code").first).to_have_text("••••")
    assert not holds_code(managers)
    assert managers.locator("[data-copy]").count() == 0
    assert managers.locator("audio").count() == 0
    assert holds_code(theirs)


def test_a_faded_code_leaves_the_announcer_the_card_and_the_notification(
    look: Callable[..., Page], team: Team, sign_in: SignIn, about_to_fade: Callable[[User, float], Rental]
) -> None:
    owner, manager = sign_in(team), sign_in(team, Role.MANAGER)
    wants_everything(manager.person)
    page = look(manager)
    page.clock.install()
    page.reload()
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    rental = about_to_fade(owner.person, 50)
    rental.announce()
    expect(page.locator("#announce > p")).to_contain_text(" ".join(CODE))
    page.wait_for_function("shown.size === 1")
    # A page that was silent for a minute may read its board again, and the desk's clock is not moved with it.
    Rental.objects.filter(pk=rental.pk).update(received_at=timezone.now() - timedelta(minutes=1))
    page.clock.fast_forward(60_000)
    expect(page.locator("#announce > p")).to_have_count(0)
    expect(page.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text("••••")
    assert not holds_code(page)
    page.wait_for_function("shown.size === 0")


def test_a_page_that_the_back_button_brings_shows_no_faded_code(
    playwright: Playwright,
    browser_type_launch_args: dict[str, Any],
    site: str,
    team: Team,
    sign_in: SignIn,
    about_to_fade: Callable[[User, float], Rental],
) -> None:
    owner, manager = sign_in(team), sign_in(team, Role.MANAGER)
    keeping = playwright.chromium.launch(
        **browser_type_launch_args, ignore_default_args=["--disable-back-forward-cache"]
    )
    page = open_desk(keeping.new_context(locale="en"), site, manager)
    rental = about_to_fade(owner.person, 50)
    page.add_init_script(
        "window.atShow = [];"
        "addEventListener('pageshow', (event) => atShow.push([event.persisted, document.body.innerText]))"
    )
    page.goto(f"{site}/rentals/")
    assert holds_code(page)
    page.goto(f"{site}/services/")
    Rental.objects.filter(pk=rental.pk).update(received_at=timezone.now() - timedelta(minutes=1))
    page.go_back()
    expect(page.locator(f"#rental-{rental.pk}").get_by_test_id("code")).to_have_text("••••")
    assert not holds_code(page)
    persisted, text = page.evaluate("atShow.at(-1)")
    assert (persisted, CODE in text) == (False, False), "no-store keeps the page out of the cache"
    keeping.close()


def test_a_revealed_call_is_played(
    look: Callable[..., Page],
    site: str,
    team: Team,
    sign_in: SignIn,
    came: Callable[[User], Rental],
    settings: Any,
    tmp_path: Any,
) -> None:
    settings.MEDIA_ROOT = tmp_path
    owner, colleague = sign_in(team), sign_in(team)
    rental = came(owner.person)
    rental.messages.get().audio.save("call.wav", ContentFile(b"RIFF"))
    page = look(colleague)
    card = page.locator(f"#rental-{rental.pk}")
    expect(card.locator("audio")).to_have_count(0)
    address = f"{site}{reverse('recording', args=[rental.pk])}"
    assert page.request.get(address).status == 404
    card.get_by_role("button", name="Reveal").click()
    expect(card.get_by_test_id("code")).to_have_text(CODE)
    expect(card.locator("audio")).to_have_count(1)
    assert page.request.get(address).status == 200
    assert AuditRecord.objects.filter(action="reveal", person=colleague.person).count() == 1
