"""axe finds nothing on any page of the product, for those who may open it. The addresses come from the URL configuration."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.test import Client, RequestFactory
from django.utils import timezone, translation
from django.views.defaults import server_error
from playwright.sync_api import Browser, Page, Route

from accounts.models import Role, User
from pages.tests.browser.variants import VARIANT_NAMES, VARIANTS, Variant, in_variant, problems_of
from pages.tests.world import address_of, addresses, furnish
from rentals.lifecycle import reasons
from rentals.models import BackgroundJob, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_team, signed_in
from thuesim_site.csrf_failure import csrf_failure

pytestmark = pytest.mark.browser

# Some that the walk must find; what else there is, it finds by itself.
SURELY = {
    "boss": {
        "desk",
        "history",
        "rental",
        "services",
        "service",
        "spend",
        "system",
        "background",
        "help",
        "team",
        "person",
    },
    "safe": {"mfa_index", "mfa_view_recovery_codes", "mfa_list_webauthn", "mfa_deactivate_totp", "usersessions_list"},
    "visitor": {"account_login", "account_reset_password", "join", "help_guide"},
}
# As a browser sends it when a passkey is made.
PASSKEY = {
    "id": "cGFzc2tleQ",
    "rawId": "cGFzc2tleQ",
    "type": "public-key",
    "clientExtensionResults": {},
    "response": {
        "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiWXciLCJvcmlnaW4iOiJodHRwczovL2xvY2FsaG9zd"
        "CIsImNyb3NzT3JpZ2luIjpmYWxzZX0",
        "attestationObject": "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YViLSZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2NBAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAB3Bhc3NrZXmlAQIDJiABIVggteeGkDAUn3igRnVG6lgN0Lb01NUIvWC-5if6-kRyLx4iWCCTbZ-w4Wom6veb4SPwGp"
        "-qvJEhw9Wle7_Zqi50RjZx1Q",
    },
}


@pytest.fixture
def things(transactional_db: None, settings: Any, tmp_path: Any) -> dict[str, Any]:
    settings.DEMO = True
    settings.MEDIA_ROOT = tmp_path
    return furnish(make_team("Support"), "own")


@pytest.fixture
def clients(things: dict[str, Any]) -> dict[str, Client]:
    """A manager whose background work is in each status, a person with every two-factor method, and a visitor."""
    manager = User.objects.get(username="own-boss")
    _work_in_every_state(manager, things)
    safe = make_person(things["team"], username="safe")
    TOTP.activate(safe, generate_totp_secret())
    RecoveryCodes.activate(safe)
    Authenticator.objects.create(
        user=safe, type=Authenticator.Type.WEBAUTHN, data={"name": "Laptop", "credential": PASSKEY}
    )
    return {"boss": _just_signed_in(manager), "safe": _just_signed_in(safe), "visitor": Client()}


def _just_signed_in(person: User) -> Client:
    """A person whom the two-factor pages do not ask for the password first."""
    client = signed_in(person)
    request = RequestFactory().get("/")
    request.user, request.session = person, client.session
    reauthenticate_by_password(request)
    request.session.save()
    return client


def _work_in_every_state(manager: User, things: dict[str, Any]) -> None:
    kinds, states = BackgroundJob.Kind, BackgroundJob.State
    now = timezone.now()
    for fields in (
        {"kind": kinds.EXPORT_CSV, "state": states.WAITING},
        {"kind": kinds.IMPORT, "state": states.RUNNING, "token": things["token"]},
        {"kind": kinds.EXPORT_XLSX, "state": states.RUNNING, "done": 120_000, "total": 200_000},
        {"kind": kinds.EXPORT_CSV, "state": states.DONE, "done": 200_000, "total": 200_000, "ended_at": now},
        {"kind": kinds.EXPORT_XLSX, "state": states.FAILED, "reason": "too_many", "ended_at": now},
    ):
        BackgroundJob.objects.create(person=manager, team=things["team"], alive_at=now, **fields)


def _pages(desk: str, client: Client, things: dict[str, Any], begins: tuple[str, ...]) -> dict[str, set[str]]:
    """The addresses at which this person gets a whole page, by the view's name, which begins so."""
    found: dict[str, set[str]] = {}
    cookies = {name: cookie.value for name, cookie in client.cookies.items()}
    for name, patterns in addresses().items():
        if name.startswith("admin:") or not name.startswith(begins):
            continue
        for address in {address_of(pattern, name, things, things["rental"]) for pattern in patterns}:
            # Not by the client: Playwright's event loop, which runs in this thread, lets it make no request.
            answer = requests.get(desk + address, cookies=cookies, allow_redirects=False, timeout=60)
            if answer.ok and "<html" in answer.text:
                found.setdefault(name, set()).add(address)
    return found


@pytest.mark.long
@pytest.mark.parametrize("who", SURELY)
def test_every_page(
    browser: Browser, live_server: Any, things: dict[str, Any], clients: dict[str, Client], who: str
) -> None:
    # Of who is safe, what two-factor sign-in changes; all else is checked as the manager.
    begins = ("mfa_", "usersessions_", "account_page", "account_reauthenticate") if who == "safe" else ("",)
    pages = _pages(live_server.url, clients[who], things, begins)
    assert pages.keys() >= SURELY[who]
    problems = []
    for variant in VARIANTS:
        with in_variant(browser, variant, live_server.url, clients[who] if who != "visitor" else None) as context:
            page = context.new_page()
            for name, paths in pages.items():
                for path in paths:
                    page.goto(live_server.url + path)
                    problems += problems_of(page, f"{name} {path}, {variant}")
    assert not problems


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_NAMES)
def test_a_rental_in_every_state(browser: Browser, live_server: Any, things: dict[str, Any], variant: Variant) -> None:
    person: User = things["user"]
    why = {
        Status.REFUSED: reasons.OUT_OF_STOCK,
        Status.EXPIRED: reasons.NO_CODE,
        Status.UNCONFIRMED: reasons.LOST,
    }
    received = timezone.now() - timedelta(days=200)
    shown: list[Rental] = [
        make_rental(status, team=things["team"], person=person, token=things["token"], reason=why.get(status, ""))
        for status in Status
    ]
    shown.append(make_rental(Status.RECEIVED, team=things["team"], person=person, received_at=received))
    for rental in shown:
        rental.events.create(at=timezone.now(), kind="ordered", after="queued", person=person)
    problems = []
    with in_variant(browser, variant, live_server.url, signed_in(person)) as context:
        page = context.new_page()
        for rental in shown:
            page.goto(f"{live_server.url}/rentals/{rental.pk}/")
            problems += problems_of(page, f"rental {rental.status}")
    assert not problems


def _broken(page: Page, language: str) -> None:
    """The page of an error of ours, which a test cannot have otherwise."""
    _show(page, language, lambda: server_error(RequestFactory().get("/")).content)


def _without_csrf(page: Page, language: str) -> None:
    _show(page, language, lambda: csrf_failure(RequestFactory().post("/"), REASON_NO_CSRF_COOKIE).content)


def _show(page: Page, language: str, body: Callable[[], bytes]) -> None:
    with translation.override(language):
        drawn = body().decode()

    def answer(route: Route) -> None:
        route.fulfill(body=drawn, content_type="text/html; charset=utf-8")

    page.route("**/drawn-here/", answer)
    page.goto(f"{page.url.split('/rentals')[0]}/drawn-here/")
    page.unroute("**/drawn-here/", answer)


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANT_NAMES)
def test_pages_that_say_no(browser: Browser, live_server: Any, things: dict[str, Any], variant: Variant) -> None:
    viewer = make_person(things["team"], Role.VIEWER)
    problems = []
    with in_variant(browser, variant, live_server.url, signed_in(viewer)) as context:
        page = context.new_page()
        for path in ("/spend/", "/rentals/999999/", "/rentals/?q=%00", "/nowhere/"):
            answer = page.goto(live_server.url + path)
            assert answer is not None
            assert answer.status in {400, 403, 404}
            problems += problems_of(page, path)
        page.goto(f"{live_server.url}/rentals/")
        for draw in (_broken, _without_csrf):
            draw(page, variant[0])
            problems += problems_of(page, draw.__name__)
            page.goto(f"{live_server.url}/rentals/")
    assert not problems
