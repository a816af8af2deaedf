"""Take the pictures of every page: start a desk of its own on the sandbox, fill it, and drive Chromium through it.

    python scripts/screenshots.py                             what the guides show, and the films, into docs/pictures/
    python scripts/screenshots.py --all --out /tmp/pictures   every page

A picture is taken in each language and theme, of a computer and of a phone.

Needs the development requirements and a Chromium on PATH. Nothing leaves the machine.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

BASE_DIR = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BASE_DIR))

from scripts import film  # noqa: E402
from thuesim_site.testing import RunningDesk, find_chromium, wait_until  # noqa: E402

View = tuple[str, str, int]  # language, theme, width
VIEWS: list[View] = list(product(("en", "vi"), ("light", "dark"), (1440, 390)))
GUIDES_PAGES = frozenset({"desk", "history", "rental", "team", "spend", "system", "admin-token", "setup"})
EVERY_PAGE = GUIDES_PAGES | {
    "sign-in", "desk-services", "services", "service", "person", "audit", "help", "background", "account", "password",
    "two-factor", "sessions", "not-found",
}  # fmt: skip
# Taken last: they add tokens to the desk, which no other picture shall show.
LAST = frozenset({"setup"})
HEIGHTS = {1440: 900, 390: 844}
PHONE = 390
TEAM_NAMES = {"en": "Support", "vi": "CSKH"}

# Service, text typed for it, purpose. The last ones keep waiting.
ANSWERED = [("Facebook", "Tạo trang bán hàng"), ("Zalo", "Khách 0912"), ("Shopee", "Kiểm thử đăng ký"), ("Momo", "")]
WAITING = [("Facebook", "Trang thứ hai"), ("Telegram", "CSKH")]


def write_past(desk: RunningDesk) -> None:
    """Give the running desk a month of rentals to look back at, and people who have had their tour of it."""
    # Playwright's event loop runs in this thread, which says nothing about the database.
    os.environ |= desk.environment | {"DJANGO_ALLOW_ASYNC_UNSAFE": "1"}
    import django

    django.setup()
    from django.core.management import call_command

    from accounts.models import User
    from pages.presenters.tour import TOURS
    from rentals.models import Service

    wait_until(lambda: Service.objects.exists(), "the catalog is read", 60)
    call_command("demo_data")
    User.objects.update(tours_seen=list(TOURS))


def name_team(language: str) -> None:
    """Name the desk's team in the language of a picture. The desk itself names it once, in that of its settings."""
    from accounts.models import Team

    Team.objects.update(name=TEAM_NAMES[language])


def order(page: Page, desk: RunningDesk, service: str, purpose: str = "", **wishes: str) -> None:
    """Order one number through the form."""
    page.goto(f"{desk.base_url}/")
    page.fill("#service", service)
    page.locator("#purpose").evaluate("(field, value) => field.value = value", purpose)
    for name, value in wishes.items():
        page.locator(f"#rent [name={name}]").evaluate("(field, value) => field.value = value", value)
    page.click(".rent-go")
    page.wait_for_timeout(700)


def fill(page: Page, desk: RunningDesk) -> None:
    """Fill the desk as on a working morning."""
    page.locator("#no-services").wait_for(state="detached", timeout=60_000)
    page.goto(f"{desk.base_url}/system/")
    page.locator("form[action$='/import/'] button").first.click()  # background work to be seen
    for service in ("Zalo", "Grab"):
        star(page, desk, service)
    for service, purpose in ANSWERED:
        order(page, desk, service, purpose)
    wait_for(page, desk, "received", len(ANSWERED))
    desk.sandbox("settings", message_after=None)
    for service, purpose in WAITING:
        order(page, desk, service, purpose)
    wait_for(page, desk, "waiting", len(WAITING))
    desk.sandbox("stock", count=0)
    order(page, desk, "Grab", prefixes="96", keep_trying="10")
    order(page, desk, "Lazada")
    wait_for(page, desk, "refused", 1)


def wait_for(page: Page, desk: RunningDesk, status: str, count: int) -> None:
    """Wait until so many numbers have a status; the sandbox is slow on purpose."""
    end = time.monotonic() + 90
    while page.locator(f"[data-status={status}]").count() < count:
        if time.monotonic() > end:
            raise TimeoutError(f"not {count} {status}")
        page.wait_for_timeout(500)


def show_codes(page: Page) -> None:
    """Close the tray of new codes, which covers a part of the board until it was seen. On a phone, go to the codes."""
    page.click("#tray [data-dismiss-all]")
    if page.viewport_size and page.viewport_size["width"] == PHONE:
        page.locator("[data-status=received]").first.evaluate("card => card.scrollIntoView()")


def open_service_list(page: Page) -> None:
    page.click("#service")


def star(page: Page, desk: RunningDesk, service: str) -> None:
    """Star a service, so that it stands first."""
    page.goto(f"{desk.base_url}/services/?q={service}&show=all")
    page.locator(".star button").first.click()
    page.wait_for_timeout(500)


def add_token(page: Page, desk: RunningDesk) -> None:
    """Add a token that the sandbox takes, so that its answer is on the page; hide the one of the picture before."""
    from rentals.models import Token

    for token in Token.objects.filter(name="ThueSim"):
        token.teams.clear()
        Token.objects.filter(pk=token.pk).update(name=f"Token {token.pk}")
    page.reload()
    page.fill("[name=new_value]", desk.sandbox("tokens")["token"])
    page.click(".token-form button")
    page.get_by_test_id("answer").wait_for()


def pages(desk: RunningDesk, page: Page) -> list[tuple[str, str, Callable[[Page], Any]]]:
    """Return each page's name, its path, and what is done before its picture."""
    nothing: Callable[[Page], Any] = lambda page: None  # noqa: E731

    def first_link(path: str, links: str) -> str:
        """The address that the first of these links on a page leads to."""
        page.goto(desk.base_url + path)
        return page.locator(links).first.get_attribute("href") or ""

    rental = first_link("/rentals/?status=received", "[data-testid=rental] a").strip("/")
    return [
        ("desk", "/", show_codes),
        ("desk-services", "/", open_service_list),
        ("history", "/rentals/", nothing),
        ("rental", f"/rentals/{rental}/", nothing),
        ("services", "/services/", nothing),
        ("service", first_link("/services/?q=Facebook", "main td a, main tbody a"), nothing),
        ("spend", "/spend/", nothing),
        ("team", "/team/", nothing),
        ("person", first_link("/team/", "main a[href*='/team/people/']"), nothing),
        ("audit", "/team/audit/", nothing),
        ("system", "/system/", nothing),
        ("help", "/help/operator/", nothing),
        ("background", "/background/", nothing),
        ("account", "/account/", nothing),
        ("password", "/accounts/password/change/", nothing),
        ("two-factor", "/accounts/2fa/", nothing),
        ("sessions", "/accounts/sessions/", nothing),
        ("not-found", "/rentals/999999/", nothing),
        ("admin-token", "/admin/rentals/token/1/change/", nothing),
        ("setup", "/setup/token/", lambda page: add_token(page, desk)),
    ]


def take(browser: Browser, desk: RunningDesk, out: Path, titles: frozenset[str]) -> None:
    """Save these pages in every view."""
    for language, theme, width in VIEWS:
        name_team(language)
        with browser.new_context(
            viewport={"width": width, "height": HEIGHTS[width]},
            color_scheme=theme,  # type: ignore[arg-type]
            locale=language,
            is_mobile=width == PHONE,
            has_touch=width == PHONE,
            device_scale_factor=2 if width == PHONE else 1,
        ) as context:
            page, encoder = context.new_page(), context.new_page()
            page.bring_to_front()
            page.goto(f"{desk.base_url}/accounts/login/")
            view = f"{language}-{theme}-{width}"
            if "sign-in" in titles:
                save(page, encoder, out / f"sign-in-{view}.webp")
            sign_in(page, desk, "admin")
            for title, path, prepare in pages(desk, page):
                if title in titles:
                    page.goto(desk.base_url + path)
                    page.wait_for_timeout(800)
                    prepare(page)
                    page.wait_for_timeout(200)
                    save(page, encoder, out / f"{title}-{view}.webp")


def save(page: Page, encoder: Page, file: Path) -> None:
    """Save what a page shows."""
    file.write_bytes(film.webp(encoder, page.screenshot()))
    print(file.name)


def film_renting(browser: Browser, desk: RunningDesk, out: Path) -> None:
    """Save an animated picture of renting in each language. Each person's own board is empty at its beginning."""
    desk.sandbox("settings", message_after=[7, 8])
    for language, person in (("en", "admin"), ("vi", "linh")):
        name_team(language)
        with browser.new_context(viewport=film.SIZE, color_scheme="light", locale=language) as context:
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=desk.base_url)
            page = context.new_page()
            sign_in(page, desk, person)
            page.locator("#no-services").wait_for(state="detached", timeout=60_000)
            page.goto(f"{desk.base_url}/?mine=1")
            film.take(page, out / f"renting-{language}.webp")
            print(f"renting-{language}.webp")
    desk.sandbox("settings", message_after=[1, 3])


def sign_in(page: Page, desk: RunningDesk, person: str) -> None:
    page.goto(f"{desk.base_url}/accounts/login/")
    page.fill("[name=login]", person)
    page.fill("[name=password]", desk.passwords[person])
    page.click("button[type=submit]")
    page.wait_for_url(f"{desk.base_url}/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every page, not only those that the guides show; no films")
    parser.add_argument("--out", type=Path, default=BASE_DIR / "docs" / "pictures", help="where the pictures go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        desk = RunningDesk(Path(folder), THUESIM_RENT_GAP="5.0")
        desk.start(seconds=120)
        try:
            desk.sandbox("settings", gap=0.0, message_after=[1, 3])
            write_past(desk)
            browser = playwright.chromium.launch(
                executable_path=find_chromium(),
                args=["--no-sandbox"] if os.getuid() == 0 else [],
            )
            if not options.all:
                film_renting(browser, desk, options.out)
            with browser.new_context(locale="en") as context:
                page = context.new_page()
                sign_in(page, desk, "admin")
                fill(page, desk)
            titles = EVERY_PAGE if options.all else GUIDES_PAGES
            take(browser, desk, options.out, frozenset({"desk"}))  # its numbers wait for five minutes
            take(browser, desk, options.out, titles - {"desk"} - LAST)
            take(browser, desk, options.out, titles & LAST)
            browser.close()
        finally:
            desk.stop()


if __name__ == "__main__":
    main()
