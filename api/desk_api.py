"""The API itself: its calls, its error handlers, and its OpenAPI document."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.renderers import JSONRenderer

from api.calls import catalog, events, rentals, waiting
from api.problems import CONTENT_TYPE, Problem, of_validation

DESCRIPTION = """Rent one-time Vietnamese numbers, and wait for their codes, as a person of a team does on the pages: the
same queue, budgets, rights and audit log. Send a key, made on the page “API keys”, as `Authorization: Bearer desk_…`. Times
are RFC 3339, money is whole đồng. Errors are problem documents with a stable `code`."""


class BodyParser(Parser):
    """Takes JSON alone, and says what is wrong with a body that is none."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise Problem(415)
        try:
            return json.loads(request.body, object_pairs_hook=_without_duplicates)
        except (ValueError, RecursionError) as error:
            sentence = _("This is no JSON.")
            if isinstance(error, json.JSONDecodeError):
                sentence = _("This is no JSON: line %(line)s, column %(column)s.") % {
                    "line": error.lineno,
                    "column": error.colno,
                }
            raise Problem(400, errors=[("body", sentence)]) from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises `Problem` for a field that is there twice: which of the two was meant?"""
    names = dict(pairs)
    if len(names) < len(pairs):
        twice = next(name for number, (name, _value) in enumerate(pairs) if name in dict(pairs[:number]))
        raise Problem(422, errors=[(twice, _("This field is there twice."))])
    return names


class Renderer(JSONRenderer):
    """JSON in UTF-8, so that people read Vietnamese in it."""

    json_dumps_params: Mapping[str, Any] = {"ensure_ascii": False}


desk_api = NinjaAPI(
    title="ThueSim Desk",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    docs_url=None,
    openapi_url=None,
    parser=BodyParser(),
    renderer=Renderer(),
)
for subject in (catalog, rentals, waiting, events):
    desk_api.add_router("", subject.router)


@desk_api.exception_handler(Problem)
def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return error.response()


@desk_api.exception_handler(ValidationError)
def _validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return of_validation(error.errors).response()


@desk_api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, Problem):  # of `BodyParser`
        return error.__cause__.response()
    return Problem(error.status_code).response()


@desk_api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return Problem(404).response()


@desk_api.exception_handler(Exception)
def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    raise error  # Django logs it and answers; `ApiMiddleware` makes a problem of that


def patterns() -> list[URLPattern]:
    """Return the addresses of the calls. Each checks its key itself, so none asks for a sign-in."""
    calls = [pattern for pattern in desk_api.urls[0] if isinstance(pattern, URLPattern) and pattern.name != "api-root"]
    for pattern in calls:
        pattern.callback.login_required = False  # type: ignore[attr-defined]
    return calls


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document: ninja's, with the media types of what is no JSON, and the headers of each answer."""
    document: dict[str, Any] = json.loads(json.dumps(desk_api.get_openapi_schema(path_prefix="api/v1/")))
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key of the page “API keys”."}
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["operationId"] = operation["operationId"].removeprefix("api_calls_")
            operation["security"] = [{"key": []}]
            for status, answer in operation["responses"].items():
                _describe(path, int(status), answer)
    return document


def _describe(path: str, status: int, answer: dict[str, Any]) -> None:
    """Give an answer its media type and its headers."""
    if status >= 400:
        answer["content"] = {CONTENT_TYPE: answer["content"]["application/json"]}
    elif path.endswith("/audio"):
        answer["content"] = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}
    elif path.endswith("/events"):
        answer["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    names = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] if status not in {401, 500, 503} else []
    names += ["Retry-After"] if status == 429 else []
    headers: dict[str, Any] = {name: {"schema": {"type": "integer"}} for name in names}
    if status == 201:
        headers["Idempotency-Replayed"] = {"schema": {"type": "string", "enum": ["true"]}}
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    if headers:
        answer["headers"] = headers
