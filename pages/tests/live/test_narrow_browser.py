"""On a narrow phone nothing covers what is beside it, and all of a message can be read."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, expect

from accounts.models import Team
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import SignIn
from rentals.models import Message, Rental, Status

pytestmark = pytest.mark.browser


def covers(one: Locator, other: Locator) -> bool:
    first, second = one.bounding_box(), other.bounding_box()
    assert first
    assert second
    return (
        first["x"] < second["x"] + second["width"]
        and second["x"] < first["x"] + first["width"]
        and first["y"] < second["y"] + second["height"]
        and second["y"] < first["y"] + first["height"]
    )


def test_in_the_history_the_icon_of_a_long_status_leaves_the_number_free(
    browser: Chromium, site: str, team: Team, sign_in: SignIn, make_rental: Callable[..., Rental]
) -> None:
    owner = sign_in(team)
    rental = make_rental(team, person=owner.person)
    now = timezone.now()
    Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=now, ended_at=now)
    Message.objects.create(rental=rental, at=now, code="", text="Khuyen mai", source="poll", fingerprint="x")
    with browser.new_context(
        locale="en", viewport={"width": 360, "height": 800}, has_touch=True, is_mobile=True
    ) as context:
        page = open_desk(context, site, owner)
        page.goto(f"{site}/rentals/")
        status = page.locator(".row-status .status")
        assert "no code recognised" in status.inner_text()
        assert not covers(status.locator(".icon"), page.locator(".row .phone"))


@pytest.mark.parametrize("width", [320, 360])
def test_at_the_sign_in_the_choice_of_colours_leaves_the_name_free(browser: Chromium, site: str, width: int) -> None:
    with browser.new_context(
        locale="vi", viewport={"width": width, "height": 640}, has_touch=True, is_mobile=True
    ) as context:
        page = context.new_page()
        page.goto(f"{site}/accounts/login/")
        switches = page.locator(".top-end > .switch")
        assert switches.count() == 2
        assert not any(covers(each, page.locator(".brand")) for each in switches.all())


@pytest.mark.parametrize("touch", [False, True])
def test_a_narrow_card_opens_its_message_by_a_click_and_by_the_keyboard(
    browser: Chromium, site: str, team: Team, sign_in: SignIn, make_rental: Callable[..., Rental], touch: bool
) -> None:
    owner = sign_in(team)
    rental = make_rental(team, person=owner.person, code="486460")
    now = timezone.now()
    Rental.objects.filter(pk=rental.pk).update(status=Status.RECEIVED, received_at=now, ended_at=now)
    words = "Ma xac nhan cua ban la 486460, khong chia se ma nay voi bat ky ai. " * 3
    Message.objects.filter(rental=rental).update(  # a call, whose recording is to be fetched once more
        text=words, is_call=True, audio="call.wav", audio_url="http://127.0.0.1:9/call.wav"
    )
    with browser.new_context(locale="en", viewport={"width": 390, "height": 800}, has_touch=touch) as context:
        page = open_desk(context, site, owner)
        message = page.get_by_test_id("sms")
        expect(page.locator(".audio")).to_be_visible()
        is_cut = "each => each.scrollHeight > each.clientHeight"
        assert message.evaluate(is_cut)
        (message.tap if touch else message.click)()
        assert not message.evaluate(is_cut)
        Rental.objects.filter(pk=rental.pk).update(purpose="Shop A")
        rental.announce()
        expect(page.locator(".rental")).to_contain_text("Shop A")
        expect(message).to_be_focused()
        assert not message.evaluate(is_cut)
        page.locator(".code").focus()
        assert message.evaluate(is_cut)
        page.keyboard.press("Tab")
        assert not message.evaluate(is_cut)
