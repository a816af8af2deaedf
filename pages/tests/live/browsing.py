"""The pages and the stream in this process, for a real browser: quicker than the whole desk, and with its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from playwright.sync_api import BrowserContext, Page, expect
from whitenoise.middleware import WhiteNoiseMiddleware

from pages.live.hub import Hub
from pages.tests.live.conftest import Browser, serving
from thuesim_site.asgi import web
from thuesim_site.serving.static_responses import StaticFiles
from thuesim_site.serving.wsgi_threads import Pages
from thuesim_site.testing import RedisServer


@cache
def static_files() -> StaticFiles:
    """The files beside the pages, from the event loop as the desk sends them; nothing has been collected for the tests."""
    with override_settings(WHITENOISE_USE_FINDERS=True):
        return StaticFiles(WhiteNoiseMiddleware(None).files)


@contextmanager
def pages(redis: RedisServer) -> Iterator[str]:
    """Serve them; yields the address."""
    hub = Hub(redis.url)
    with serving(web(hub, Pages(WSGIHandler()), static_files()), hub) as port:
        yield f"http://127.0.0.1:{port}"


def signed_in(context: BrowserContext, site: str, person: Browser) -> Page:
    """A page of a person's browser, at the desk, with its stream open."""
    context.add_cookies([{"name": "sessionid", "value": person.cookies["sessionid"].value, "url": site}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(site)
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    return page
