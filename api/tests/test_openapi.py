"""The OpenAPI document: as it is checked in, and naming every call of the API."""

import json
from pathlib import Path

from django.conf import settings

from api.desk_api import openapi, patterns
from api.docs import document

CHECKED_IN = Path(settings.BASE_DIR) / "docs" / "openapi.json"


def test_the_document_is_as_checked_in() -> None:
    made = json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"
    hint = "write it anew: .venv/bin/python -m scripts.openapi"
    assert CHECKED_IN.read_text() == made, hint


def test_every_call_says_how_it_fails_and_what_its_fields_mean() -> None:
    calls = document()["paths"]
    assert len(calls) == len({str(pattern.pattern) for pattern in patterns()})
    for path, methods in calls.items():
        for operation in methods.values():
            answers = operation["responses"]
            assert {"401", "403", "422", "429"} <= set(answers), path
            assert operation["description"], path
            assert all(list(answers[s]["content"]) == ["application/problem+json"] for s in answers if s >= "400")
