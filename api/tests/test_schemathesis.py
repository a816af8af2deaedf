"""Requests made of the OpenAPI document, right and wrong ones: no call fails, and each answers as it declares."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.docs import document
from api.rate_limits import counter
from api.tests.conftest import Program

CALLS = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]
REQUESTS_PER_CALL = 6
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A request through WSGI does not close the database connection that the test has."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_call_answers_as_it_declares(program: Program, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application(), headers=_headers(program))

    @hypothesis.settings(
        max_examples=REQUESTS_PER_CALL, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(case=schema[path][method].as_strategy())
    def ask(case: Any) -> None:
        counter.forget()
        case.call_and_validate(headers=_headers(program), checks=CHECKS)

    ask()


def _headers(program: Program) -> dict[str, str]:
    return {"Authorization": f"Bearer {program.secret}"}
