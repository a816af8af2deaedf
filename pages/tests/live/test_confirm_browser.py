"""What destroys or buys from one click asks first; Esc and “Leave it” change nothing."""

from collections.abc import Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Invitation, Membership, Role, Team, User
from pages.tests.live.browsing import open_desk
from pages.tests.live.conftest import Browser, SignIn
from pages.tests.live.server import pages
from rentals.models import Rental, Service, Status, Token
from rentals.tests.factories import make_rental
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.browser


@pytest.fixture
def as_manager(team: Team, sign_in: SignIn) -> Browser:
    return sign_in(team, Role.MANAGER)


@pytest.fixture
def page_of_manager(
    real_redis: RedisServer, as_manager: Browser, context: BrowserContext
) -> Iterator[tuple[Page, str]]:
    with pages(real_redis) as site:
        yield open_desk(context, site, as_manager), site


def test_a_number_is_rented_again_from_the_history_after_a_yes(
    page_of_manager: tuple[Page, str], as_manager: Browser, team: Team
) -> None:
    page, site = page_of_manager
    token = Token.objects.create(name="Main", value="1-" + "0" * 32)
    team.tokens.add(token)
    service = Service.objects.create(sv="02", upstream_id="97", name="Zalo", price=2500)
    make_rental(
        Status.RECEIVED, team=team, person=as_manager.person, token=token, service=service, ended_at=timezone.now()
    )
    page.goto(f"{site}/rentals/")
    again = page.get_by_role("button", name="Rent again")
    for leave in ("Escape", "Enter"):  # Enter is on “Leave it”
        again.click()
        expect(page.get_by_role("dialog")).to_contain_text("again for Zalo, at 2.500 ₫?")
        expect(page.get_by_role("dialog")).to_contain_text("Your team rented this number once; codes came: 1.")
        expect(page.get_by_role("button", name="Leave it")).to_be_focused()
        page.keyboard.press(leave)
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(again).to_be_focused()
    assert Rental.objects.count() == 1
    again.click()
    page.get_by_role("dialog").get_by_role("button", name="Rent again").click()
    expect(page.locator(".notice.is-good")).to_contain_text("Ordered again")
    assert Rental.objects.latest("pk").agreed_price == 2500


def test_a_person_is_deactivated_removed_and_uninvited_after_a_yes(
    page_of_manager: tuple[Page, str], sign_in: SignIn, team: Team, as_manager: Browser
) -> None:
    page, site = page_of_manager
    person = sign_in(team).person
    page.goto(f"{site}/team/people/{person.pk}/")
    for name, question in [
        ("Deactivate the account", f"Deactivate {person}?"),
        ("Remove from the team", f"Remove {person} from {team}?"),
        ("Sign out everywhere", f"Sign {person} out of every browser now?"),
    ]:
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_contain_text(question)
        page.keyboard.press("Escape")
    assert User.objects.get(pk=person.pk).is_active
    page.get_by_role("button", name="Deactivate the account").click()
    page.get_by_role("dialog").get_by_role("button", name="Deactivate the account").click()
    expect(page.get_by_role("button", name="Activate the account")).to_be_visible()
    page.get_by_role("button", name="Activate the account").click()  # undone at once, without a question
    expect(page.get_by_role("button", name="Deactivate the account")).to_be_visible()
    page.get_by_role("button", name="Remove from the team").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove from the team").click()
    page.wait_for_url(f"{site}/team/")
    assert not Membership.objects.filter(user=person).exists()
    page.get_by_role("button", name="Make a link").click()
    page.goto(f"{site}/team/")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its link stops working for good.")
    assert Invitation.objects.get().revoked_at is None
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator(".notice.is-good")).to_contain_text("revoked")
