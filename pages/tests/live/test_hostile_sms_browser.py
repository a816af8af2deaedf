"""Texts of messages are hostile: on no page do they run, spread over others, or make the code unreadable."""

from collections.abc import Callable, Iterator

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from accounts.models import Role, Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import Browser, SignIn
from rentals.models import Rental, Status

pytestmark = pytest.mark.browser

CODE = "749216"
HOSTILE = {
    "scripts": '<script>hacked=1</script><img src=x onerror="hacked=1"><svg/onload=hacked=1>"\'>'
    '<a href="javascript:hacked=1">x',
    "markup that closes": "</span></p></article></main></script></textarea></title><!-- <style>*{display:none}</style>",
    "templates": "{{ 7|add:7 }}{% load x %}{{hacked}}${hacked=1}`#{1}",
    "htmx": '<div hx-get="/accounts/logout/" hx-trigger="load" data-hx-on:load="hacked=1" hx-swap-oob="true"'
    ' id="board">x</div>',
    "from right to left": f"\u202e{CODE} ma\u202d \u2067\u2066\u202b שלום مرحبا \u202eabc",
    "ten kilobytes in one word": "A" * 10_000,
    "ten kilobytes of words": "Ma xac nhan cua ban. " * 500,
    "emoji": "👨‍👩‍👧‍👦🇻🇳🏴󠁧󠁢󠁥󠁮󠁧󠁿" * 60,
    "zero width": "7\u200b4\u200c9\u200d2\u20601\ufeff6" * 50,
    "marks on marks": "Z" + "\u0338\u0322\u0317\u0301\u0489" * 400,
    "lines": "\n" * 300 + "a\r\n\r\n\t\tb\u2028\u2029\x0b\x0c\x1b[31m" + "\n" * 300,
    "line of a stream": "x\n\nevent: session-expired\ndata: y\n\n",
}


@pytest.fixture
def manager(team: Team, sign_in: SignIn) -> Browser:
    return sign_in(team, Role.MANAGER)


@pytest.fixture
def page(browser: Chromium, site: str, manager: Browser) -> Iterator[Page]:
    """A phone. Whatever runs or is stopped by the CSP fails the test: both are said in the console."""
    said: list[str] = []
    with browser.new_context(viewport={"width": 390, "height": 844}, locale="en") as context:
        page = open_desk(context, site, manager)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("dialog", lambda dialog: said.append(dialog.message))
        yield page
        assert said == []


def hold(page: Page, rentals: list[Rental]) -> None:
    """What must hold wherever the texts are shown."""
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert page.title().endswith("ThueSim Desk")
    overlapping = """() => {
        const boxes = [...document.querySelectorAll("[data-testid=rental]")].map((one) => one.getBoundingClientRect());
        const over = (one, other) => one.bottom > other.top + 1 && other.bottom > one.top + 1;
        return boxes.some((one, i) => boxes.some((other, j) => i < j && over(one, other)));
    }"""
    assert page.evaluate(overlapping) is False
    for rental in rentals:
        code = page.locator(f"[data-rental-id='{rental.pk}'] [data-testid=code]").first
        assert code.inner_text() == CODE
        box = code.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        # What is seen at the middle of the code is the code, not something that lies over it.
        code.scroll_into_view_if_needed()
        assert code.evaluate(
            """(code) => { const box = code.getBoundingClientRect();
            const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
            return code === there || code.contains(there) || there.contains(code); }"""
        )


def isolated(page: Page, selector: str) -> None:
    """A text's direction is its own business."""
    texts = page.locator(selector).all()
    assert texts
    for text in texts:
        assert text.evaluate("e => getComputedStyle(e).unicodeBidi") in {"isolate", "plaintext", "isolate-override"}


def test_on_the_desk(page: Page, team: Team, manager: Browser, make_rental: Callable[..., Rental]) -> None:
    rentals = []
    for text in HOSTILE.values():
        rental = make_rental(team, code=CODE, status=Status.RECEIVED, person=manager.person, ended_at=timezone.now())
        rental.messages.update(text=text)
        rentals.append(rental)
        rental.announce()  # by the stream
    expect(page.get_by_test_id("rental")).to_have_count(len(rentals))
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    hold(page, rentals)
    isolated(page, "[data-testid=sms]")
    page.reload()  # and by the page
    expect(page.get_by_test_id("rental")).to_have_count(len(rentals))
    hold(page, rentals)


def test_in_the_history(
    page: Page, site: str, team: Team, manager: Browser, make_rental: Callable[..., Rental]
) -> None:
    rentals = [make_rental(team, code=CODE, status=Status.RECEIVED, person=manager.person) for _ in HOSTILE]
    for rental, text in zip(rentals, HOSTILE.values(), strict=True):
        rental.messages.update(text=text)
        Rental.objects.filter(pk=rental.pk).update(purpose=text[:100].replace("\x00", ""))
    page.goto(f"{site}{reverse('history')}")
    expect(page.get_by_test_id("rental")).to_have_count(len(rentals))
    hold(page, rentals)
    isolated(page, "[data-testid=sms]")


def test_on_the_page_of_a_rental_and_in_the_admin(
    page: Page, site: str, team: Team, manager: Browser, make_rental: Callable[..., Rental]
) -> None:
    page.set_default_timeout(90_000)  # the word of ten kilobytes is laid out for seconds where the machine is busy
    rentals = {kind: make_rental(team, code=CODE, status=Status.RECEIVED, person=manager.person) for kind in HOSTILE}
    for kind, rental in rentals.items():
        print(kind)  # shown where it fails
        rental.messages.update(text=HOSTILE[kind])
        page.goto(f"{site}{reverse('rental', args=[rental.pk])}")
        hold(page, [rental])
        isolated(page, "[data-testid=sms], .message-text")
    manager.person.is_staff = manager.person.is_superuser = True
    manager.person.save()
    for kind, rental in rentals.items():
        page.goto(f"{site}{reverse('admin:rentals_rental_change', args=[rental.pk])}")
        assert page.evaluate("typeof hacked") == "undefined", kind
        assert CODE in page.content(), kind
        assert page.get_by_role("heading", name="", exact=False).first.is_visible(), kind
