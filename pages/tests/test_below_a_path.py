"""A desk at `https://example.com/desk/`: nothing of a page leads out of the path, whether or not the proxy takes it away."""

import os
import re
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory, override_settings
from django.urls import set_script_prefix
from pytest_django import DjangoDbBlocker

from pages.tests.markup import parse
from pages.tests.world import SETTINGS, FormClient, World, address_of, addresses, make_world
from thuesim_site.middleware.database_outage import disk_full_page, outage_page, server_error
from thuesim_site.start.variables import OWN_ADDRESSES

PUBLIC_URL = "http://testserver/desk"
FROM_PUBLIC_URL = (
    "FORCE_SCRIPT_NAME",
    "PUBLIC_URL",
    "STATIC_URL",
    "SECURE_REDIRECT_EXEMPT",
    "COOKIE_PREFIX",
    *(f"{cookie}_COOKIE_{what}" for cookie in ("SESSION", "CSRF", "LANGUAGE") for what in ("NAME", "PATH")),
)
# A path at the beginning of an attribute, or in quotes in a script: but for `//`, which begins a host or a comment.
OUTSIDE = r"/(?!/|desk(?:[/?#]|$))"
IN_SCRIPT = re.compile(rf"""["'](?:http://testserver)?{OUTSIDE}[a-z]""".replace("$", """["']"""))
TEXT_OF_AN_ADDRESS = re.compile(r"http://testserver(?!/desk\b)")


def settings_of(public_url: str) -> dict[str, Any]:
    """Return all settings, as a start of the desk would have them."""
    with mock.patch.dict(os.environ, DESK_PUBLIC_URL=public_url):
        return runpy.run_path(str(settings.BASE_DIR / "thuesim_site" / "settings.py"))


@contextmanager
def below_the_path(public_url: str = PUBLIC_URL) -> Iterator[dict[str, Any]]:
    """Inside the block, the settings that follow from `DESK_PUBLIC_URL` are those of a desk there."""
    made = settings_of(public_url)
    _forget_addresses()
    set_script_prefix(f"{made['FORCE_SCRIPT_NAME']}/")
    try:
        with override_settings(**{name: made[name] for name in FROM_PUBLIC_URL}):
            yield made
    finally:
        set_script_prefix("/")
        _forget_addresses()


def _forget_addresses() -> None:
    """Empty what pages keep for good: a process has one path."""
    for module in [module for name, module in sys.modules.items() if name.startswith(("api.", "pages."))]:
        for kept in vars(module).values():
            if hasattr(kept, "cache_clear"):
                kept.cache_clear()
    jinja: Any = engines["jinja2"]
    jinja.env.cache.clear()  # the address of an icon is part of a compiled template


class Browser(FormClient):
    """The test client asks below the path; Django sees the rest of the address, as the web process hands it over."""

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        assert path.startswith("/desk/"), path
        return super().generic(method, path.removeprefix("/desk"), *args, **kwargs)


@pytest.fixture(scope="module", name="world")
def world_below_the_path(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with (
        django_db_blocker.unblock(),
        override_settings(**SETTINGS, MEDIA_ROOT=tmp_path_factory.mktemp("media")),
        below_the_path(),
        transaction.atomic(),
    ):
        yield make_world()
        transaction.set_rollback(True)


def strays(response: Any) -> list[str]:
    """Return what of an answer is an address outside the path: in its headers, attributes, scripts and texts."""
    body = b"".join(response) if response.streaming else response.content
    kind = response.headers.get("Content-Type", "")
    found = [response.headers[name] for name in ("Location", "HX-Redirect") if name in response.headers]
    found = [address for address in found if re.match(OUTSIDE, address)]
    found += [
        f"{name}: path {cookie['path']}" for name, cookie in response.cookies.items() if cookie["path"] != "/desk/"
    ]
    found += [name for name in response.cookies if not name.startswith("desk_")]
    text = body.decode(errors="replace") if kind.startswith(("text/", "application/")) and "sheet" not in kind else ""
    found += TEXT_OF_AN_ADDRESS.findall(text.replace("http://testserver/desk", ""))
    if kind.startswith("text/html"):
        page = parse(text)
        found += [
            f"<{element.tag} {name}={value!r}>"
            for element in page.find_all()
            for name, value in element.attributes.items()
            if name not in {"d", "name", "nonce"} and re.match(OUTSIDE, value) and not _is_text(element.tag, name)
        ]
        found += [match for script in page.find_all("script") for match in IN_SCRIPT.findall(script.text)]
    elif "javascript" in kind or "manifest" in kind:
        found += IN_SCRIPT.findall(text)
    return found


def _is_text(tag: str, name: str) -> bool:
    return name in {"title", "placeholder", "alt", "aria-label"} or (tag, name) == ("input", "value")


@pytest.mark.walk
@pytest.mark.django_db
@pytest.mark.parametrize("role", ["visitor", "admin"])
def test_no_page_and_no_answer_leads_out_of_the_path(world: World, role: str) -> None:
    client = Browser(raise_request_exception=False)
    outside, pages = [], 0
    for name, patterns in addresses().items():
        for pattern in patterns:
            for method in ("GET",) if name.startswith("admin:") else ("GET", "POST"):
                with transaction.atomic():
                    world.sign_in(client, role)
                    address = f"/desk{address_of(pattern, name, world.things['own'], world.things['own']['rental'])}"
                    response = (
                        client.generic(method, address) if method == "GET" else client.post(address, world.forms["own"])
                    )
                    pages += response.headers.get("Content-Type", "").startswith("text/html")
                    outside += [(method, name, found) for found in strays(response)]
                    transaction.set_rollback(True)
    assert outside == []
    assert pages > 100


def _form(path: str = "/rent/") -> HttpRequest:
    return RequestFactory().post(path, {"csrfmiddlewaretoken": "x", "purpose": "a purpose"})


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", [outage_page, disk_full_page, server_error])
def test_no_page_of_trouble_leads_out_of_the_path(world: World, trouble: Any) -> None:
    response: HttpResponse = trouble(_form())
    assert strays(response) == []


@pytest.mark.django_db
def test_a_form_that_was_refused_is_sent_again_below_the_path(world: World) -> None:
    client = Browser(enforce_csrf_checks=True, headers={"Origin": "http://testserver"})
    world.sign_in(client, "operator")
    response = client.post("/desk/rent/", {"csrfmiddlewaretoken": "x", "purpose": "a purpose"})
    assert response.status_code == 403
    assert 'action="/desk/rent/"' in response.content.decode()
    assert strays(response) == []


def test_no_path_is_taken_that_the_desk_needs_itself() -> None:
    first = {pattern.split("/")[1].removeprefix("^") for patterns in addresses().values() for pattern in patterns}
    assert first - {""} <= OWN_ADDRESSES, "OWN_ADDRESSES of thuesim_site/start/variables.py lacks one"
    assert OWN_ADDRESSES - first == {"static", "live", "probe"}


@pytest.mark.parametrize(
    ("public_url", "prefix", "origin"),
    [
        ("https://example.com/desk/", "__Secure-desk_", "https://example.com"),
        ("http://example.com:8080/in/two", "in_two_", "http://example.com:8080"),
    ],
)
def test_cookies_below_a_path_have_its_name_and_the_origin_has_no_path(
    public_url: str, prefix: str, origin: str
) -> None:
    """`__Host-` wants the path `/`: another program of the host would be sent the session."""
    made = settings_of(public_url)
    assert made["COOKIE_PREFIX"] == prefix
    assert made["SESSION_COOKIE_NAME"] == f"{prefix}sessionid"
    assert made["SESSION_COOKIE_PATH"] == made["CSRF_COOKIE_PATH"] == f"{made['FORCE_SCRIPT_NAME']}/"
    assert made["CSRF_TRUSTED_ORIGINS"] == [origin]
    assert not made["SECURE_HSTS_INCLUDE_SUBDOMAINS"]
