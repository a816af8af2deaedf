"""The error page for developers prints no token and no secret field of a form."""

import sys
from typing import Any

from django.http import HttpRequest
from django.test import RequestFactory
from django.views.decorators.debug import sensitive_post_parameters

from thuesim_site.error_reports import MAX_CHARACTERS, CautiousReport

TOKEN = "7-0123456789abcdef0123456789abcdef"


class Unprintable:
    def __repr__(self) -> str:
        raise AttributeError(TOKEN)


def printed(request: HttpRequest, **values: Any) -> dict[str, str]:
    """Return the variables of a frame that has `values`, as the error page prints them."""

    def raises() -> None:
        shown = values
        raise RuntimeError(shown.keys())

    try:
        raises()
    except RuntimeError:
        traceback = sys.exc_info()[2]
        assert traceback is not None
        assert traceback.tb_next is not None
        frame = traceback.tb_next.tb_frame
    variables = CautiousReport().get_traceback_frame_variables(request, frame)
    return {name: repr(value) for name, value in variables}


def test_a_token_is_redacted_in_every_variable() -> None:
    shown = printed(RequestFactory().get("/"), url=f"https://thuesim.example/api?token={TOKEN}")["shown"]
    assert "thuesim.example" in shown
    assert TOKEN not in shown


def test_the_value_of_a_secret_field_is_redacted_and_of_another_field_is_not() -> None:
    request = RequestFactory().post("/", {"password": "nine tall trees", "name": "linh"})
    sensitive_post_parameters("password")(lambda request: None)(request)
    shown = printed(request, typed="nine tall trees", name="linh")["shown"]
    assert "nine tall trees" not in shown
    assert "linh" in shown


def test_all_fields_are_redacted_where_the_view_marks_them_all() -> None:
    request = RequestFactory().post("/", {"name": "linh-of-support"})
    sensitive_post_parameters()(lambda request: None)(request)
    assert "linh-of-support" not in printed(request, name="linh-of-support")["shown"]


def test_a_long_variable_is_cut() -> None:
    assert len(printed(RequestFactory().get("/"), text="x" * (2 * MAX_CHARACTERS))["shown"]) <= MAX_CHARACTERS


def test_a_variable_that_cannot_be_printed_names_its_error_alone() -> None:
    assert printed(RequestFactory().get("/"), broken=Unprintable())["shown"] == "(AttributeError while it was printed)"


def test_the_filter_is_active_with_debug_too() -> None:
    assert CautiousReport().is_active(None)
