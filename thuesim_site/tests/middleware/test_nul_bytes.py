"""A NUL in an address or a form is refused before a view sees it."""

import pytest
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views.decorators.csrf import csrf_exempt

from thuesim_site.middleware.nul_bytes import NulBytesMiddleware


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@csrf_exempt
def callback(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


middleware = NulBytesMiddleware(view)
requests = RequestFactory()


@pytest.mark.parametrize(
    "fields", [{"q": "a\0b"}, {"a\0b": "q"}, {"q": ["fine", "\0"]}], ids=["value", "name", "second"]
)
def test_a_nul_is_refused_in_an_address_and_in_a_form(fields: dict[str, str | list[str]]) -> None:
    for request in (requests.get("/", fields), requests.post("/", fields)):
        with pytest.raises(BadRequest):
            middleware.process_view(request, view, (), {})


def test_what_has_no_nul_reaches_the_view() -> None:
    request = requests.post("/?q=số", {"q": "số\r\n"})
    middleware.process_view(request, view, (), {})
    assert middleware(request).status_code == 200


def test_the_body_of_a_view_without_csrf_check_is_not_read() -> None:
    middleware.process_view(requests.post("/", {"q": "\0"}), callback, (), {})
    with pytest.raises(BadRequest):
        middleware.process_view(requests.post("/?q=%00"), callback, (), {})
