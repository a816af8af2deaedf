"""Passkeys, an authenticator app and recovery codes in Chromium, against the whole desk.

Chromium's virtual authenticator stands in for the device. Passkeys want a name, so the desk is `localhost` here.
"""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from playwright.sync_api import Browser, CDPSession, Page, expect

from thuesim_site.testing import RunningDesk, wait_until

pytestmark = pytest.mark.browser
Person = tuple[str, str]


@pytest.fixture
def where(running_desk: RunningDesk) -> str:
    return running_desk.base_url.replace("127.0.0.1", "localhost")


@pytest.fixture
def admin(running_desk: RunningDesk) -> Person:
    return "admin", running_desk.passwords["admin"]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(locale="en") as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield page


@pytest.fixture
def device(page: Page) -> CDPSession:
    """A laptop with a fingerprint reader, whose owner is always willing."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def sign_in(page: Page, where: str, person: Person) -> None:
    page.goto(f"{where}/accounts/login/")
    page.fill("[name=login]", person[0])
    page.fill("[name=password]", person[1])
    page.locator("form.stack button[type=submit]").click()


def sign_out(page: Page, where: str) -> None:
    page.goto(f"{where}/accounts/logout/")  # half-way through a sign-in this leads back to the two-factor page
    leave = re.compile("^(Sign out|Sign in with another account)$")
    page.locator("main").get_by_role("button", name=leave).click()
    page.wait_for_url(re.compile("/accounts/login/"))


@pytest.fixture
def newcomer(browser: Browser, where: str, admin: Person) -> Callable[[str], Person]:
    """Invites a person and lets them join, so that no test turns two-factor on for the accounts that others use."""

    def join(name: str) -> Person:
        with browser.new_context(locale="en") as managers, browser.new_context(locale="en") as theirs:
            page = managers.new_page()
            sign_in(page, where, admin)
            page.wait_for_url(f"{where}/")
            page.goto(f"{where}/team/")
            page.get_by_role("button", name="Make a link").click()
            link = page.get_by_test_id("link").input_value()
            joining = theirs.new_page()
            joining.goto(link)
            for field, value in {"username": name, "password1": f"{name} climbs trees", "password2": ""}.items():
                joining.fill(f"[name={field}]", value or f"{name} climbs trees")
            joining.get_by_role("button", name="Join the team").click()
            joining.wait_for_url(f"{where}/")
        return name, f"{name} climbs trees"

    return join


def confirm_password(page: Page, person: Person) -> None:
    """The two-factor pages ask for the password again some while after the sign-in."""
    if "/reauthenticate/" in page.url:
        page.fill("[name=password]", person[1])
        page.locator("main form button[type=submit]").first.click()


def add_passkey(page: Page, where: str, person: Person, name: str) -> None:
    page.goto(f"{where}/accounts/2fa/webauthn/add/")
    confirm_password(page, person)
    page.fill("[name=name]", name)
    page.locator("#mfa_webauthn_add").click()
    page.wait_for_url(re.compile(r"/accounts/2fa/(recovery-codes/)?$"))


def test_a_passkey_is_added_signs_in_and_is_removed(
    page: Page, device: CDPSession, where: str, newcomer: Callable[[str], Person]
) -> None:
    person = newcomer("passkey-person")
    sign_in(page, where, person)
    page.wait_for_url(f"{where}/")
    add_passkey(page, where, person, "Laptop")
    sign_out(page, where)

    page.get_by_role("button", name="Sign in with a passkey").click()  # no name, no password
    page.wait_for_url(f"{where}/")
    sign_out(page, where)

    sign_in(page, where, person)  # after the password comes the two-factor page
    page.wait_for_url(re.compile("/accounts/2fa/authenticate/"))
    page.goto(f"{where}/rentals/")
    expect(page).to_have_url(re.compile("/accounts/2fa/authenticate/"))  # in no way round it
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{where}/")

    page.goto(f"{where}/accounts/2fa/webauthn/")
    expect(page.locator(".passkeys")).to_contain_text("Laptop")
    page.get_by_role("link", name="Remove Laptop").click()
    if "/reauthenticate/" in page.url:
        page.goto(f"{where}/accounts/reauthenticate/?next=/accounts/2fa/webauthn/")
        confirm_password(page, person)
        page.get_by_role("link", name="Remove Laptop").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("main")).to_contain_text("You have no passkey yet")
    sign_out(page, where)
    sign_in(page, where, person)
    page.wait_for_url(f"{where}/")


def test_what_goes_wrong_with_a_passkey_is_said(
    page: Page, device: CDPSession, running_desk: RunningDesk, where: str
) -> None:
    page.goto(f"{where}/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()  # the device knows none
    expect(page.get_by_role("alert")).to_contain_text("The passkey was not used")
    page.goto(f"{running_desk.base_url}/accounts/login/")  # an address without a name
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("not by an IP address")


def code_of(secret: str, step: int = 0) -> str:
    """The code that an authenticator app shows, and goes on to show for ten seconds."""
    wait_until(lambda: time.time() % 30 < 20, "a new code")
    counter = next(iter(yield_hotp_counters_from_time())) + step
    code: str = format_hotp_value(hotp_value(secret, counter))
    return code


def test_an_app_and_recovery_codes_let_in_and_each_code_once(
    page: Page, where: str, newcomer: Callable[[str], Person]
) -> None:
    person = newcomer("app-person")
    sign_in(page, where, person)
    page.wait_for_url(f"{where}/")
    page.goto(f"{where}/accounts/2fa/totp/activate/")
    confirm_password(page, person)
    secret = page.locator("input[readonly], input[disabled]").first.input_value()
    page.fill("[name=code]", code_of(secret))
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url(re.compile("/accounts/2fa/(recovery-codes/)?$"))
    page.goto(f"{where}/accounts/2fa/recovery-codes/")
    text = page.locator("main textarea").first.input_value()
    recovery = re.findall(r"\b\d{8}\b", text)
    assert len(set(recovery)) == 10
    for code, lets_in in ((recovery[0], True), (recovery[0], False), ("00000000", False), (recovery[1], True)):
        sign_out(page, where)
        sign_in(page, where, person)
        page.wait_for_url(re.compile("/accounts/2fa/authenticate/"))
        page.fill("[name=code]", code)
        page.locator("main form button[type=submit]").first.click()
        if lets_in:
            page.wait_for_url(f"{where}/")
        else:
            expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("Incorrect code")
