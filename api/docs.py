"""The OpenAPI document, and a page made of it by the desk alone: no script, no other host."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from api.authentication import Bearer
from api.desk_api import openapi
from api.problems import Problem


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return openapi()


@login_not_required
@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """Answer the OpenAPI document, for a person who is signed in, and for a key."""
    if not request.user.is_authenticated:
        try:
            Bearer()(request)
        except Problem as problem:
            return problem.response()
    return JsonResponse(document(), json_dumps_params={"ensure_ascii": False})


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the page shows it: its parameters and the fields of its body as (name, type, description)."""

    method: str
    path: str
    summary: str
    description: str
    fields: list[tuple[str, str, str]]
    curl: str


@login_not_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show all calls."""
    if not request.user.is_authenticated:
        try:
            Bearer()(request)
        except Problem as problem:
            return problem.response() if request.headers.get("Authorization") else redirect_to_login(request.path)
    base = request.build_absolute_uri("/").rstrip("/")
    return render(request, "api/docs.html", {"calls": list(_calls(base)), "about": document()["info"]["description"]})


def _calls(base: str) -> Iterator[Call]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            sent = _body(operation)
            example = path.replace("{rental_id}", "123").replace("{service_id}", "01.2")
            curl = f'curl -H "Authorization: Bearer $DESK_KEY" {base}{example}'
            if method == "post":
                curl = curl.replace("curl ", "curl -X POST ")
            if path == "/api/v1/rentals" and method == "post":
                curl += (
                    ' -H "Content-Type: application/json" -H "Idempotency-Key: $(uuidgen)" -d \'{"service": "01.2"}\''
                )
            yield Call(
                method.upper(),
                path,
                operation["summary"],
                operation.get("description", ""),
                [
                    *((p["name"], _type(p["schema"]), p.get("description", "")) for p in operation["parameters"]),
                    *((name, _type(schema), schema.get("description", "")) for name, schema in sent.items()),
                ],
                curl,
            )


def _body(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a call's body by name."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for part in (schema, *schema.get("anyOf", ())):
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            return dict(document()["components"]["schemas"][name]["properties"])
    return {}


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " | ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return f"{_type(schema['items'])}[]" if "items" in schema else str(schema.get("type", ""))
