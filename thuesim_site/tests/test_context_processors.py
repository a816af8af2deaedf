"""The variables of every template."""

from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from thuesim_site.context_processors import desk


def test_the_page_on_the_screen_is_the_address_of_a_get() -> None:
    assert desk(RequestFactory().get("/rentals/?q=1"))["here"] == "/rentals/?q=1"
    assert desk(RequestFactory().post("/rent/"))["here"] == "/"


@pytest.mark.parametrize(("current", "here"), [("/rentals/?q=1", "/rentals/?q=1"), (None, "/")])
def test_the_page_on_the_screen_is_the_page_around_a_fragment(current: str | None, here: str) -> None:
    request = RequestFactory().post("/rent/")
    request.htmx = SimpleNamespace(current_url_abs_path=current)  # type: ignore[attr-defined]
    assert desk(request)["here"] == here


@pytest.mark.parametrize(("demo", "address"), [(True, "http://127.0.0.1:8001/"), (False, "")])
def test_the_page_of_the_sandbox_is_there_in_the_demo_alone(settings: Settings, demo: bool, address: str) -> None:
    settings.DEMO, settings.THUESIM_BASE_URL = demo, "http://127.0.0.1:8001"
    variables = desk(RequestFactory().get("/"))
    assert (variables["demo"], variables["sandbox_url"]) == (demo, address)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("localhost:8000", True), ("127.0.0.1", True), ("[::1]:8000", True), ("desk.example.com", False)],
)
def test_a_browser_that_is_elsewhere_is_told_apart(host: str, is_here: bool) -> None:
    assert desk(RequestFactory().get("/", headers={"Host": host}))["is_here"] is is_here


def test_before_sign_in_there_is_no_access() -> None:
    assert desk(RequestFactory().get("/"))["access"] is None
