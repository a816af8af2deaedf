"""The documents of the API are true and whole, in both languages, and the pages show them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Scope
from api import problems
from api.docs import EXAMPLE, document, guide_of
from rentals import orders
from rentals.lifecycle import reasons
from rentals.models import OutgoingEvent, reason_code
from rentals.tests.factories import make_person, make_team

FOLDER = Path(settings.BASE_DIR) / "docs"
NAMES = ("api", "events")
LANGUAGES = ("en", "vi")


def _text(name: str, language: str) -> str:
    return (FOLDER / (f"{name}.md" if language == "en" else f"{name}.{language}.md")).read_text()


def _code(text: str) -> list[str]:
    """Return the blocks of code, without their comments."""
    blocks = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"(#|//) .*|(?<=print\().*", "", block) for block in blocks]


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_parts_tables_and_code(name: str) -> None:
    english, vietnamese = (_text(name, language) for language in LANGUAGES)

    def shape(text: str) -> list[str]:
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        rows = re.findall(r"^(?:#+ |\| `[^|]*)", prose, re.MULTILINE)
        return [row.strip() for row in rows]

    assert shape(english) == shape(vietnamese)
    assert _code(english) == _code(vietnamese)
    assert len(_code(english)) > 3


def _calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.removeprefix("/api/v1/"), operation


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_call_with_its_parameters_is_described(language: str) -> None:
    parts = re.split(r"^##+ .*$", _text("api", language), flags=re.MULTILINE)
    schemas = document()["components"]["schemas"]
    for method, path, operation in _calls():
        part = next(part for part in parts if f"`{method} {path}`" in part)
        assert "curl " in part, path
        assert "```python" in part, path
        names = {parameter["name"] for parameter in operation["parameters"]} - {"rental_id", "service_id"}
        if method == "POST" and path == "rentals":
            names |= set(schemas["Order"]["properties"])
        if path.endswith("/again"):
            names |= set(schemas["Again"]["properties"])
        assert not {name for name in names if f"`{name}`" not in part}, path


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("schema", ["Rental", "Message", "Service", "Token", "Budget", "Me", "Waited"])
def test_every_field_of_an_answer_is_described(language: str, schema: str) -> None:
    text = _text("api", language)
    fields = document()["components"]["schemas"][schema]["properties"]
    obvious = {"role", "scopes", "key", "person", "team", "label", "prefixes"}
    assert not {name for name in fields if f"`{name}`" not in text} - obvious


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_an_error_and_every_reason_is_listed(language: str) -> None:
    text = _text("api", language)
    codes = {reason_code(reason) for reason in (*reasons.SENTENCES, orders.DISK_FULL)}
    codes |= {code for code, _sentence in problems._BY_STATUS.values()} | {
        "internal",
        "idempotency_mismatch",
        "too_late",
    }
    assert not {code for code in codes if f"`{code}`" not in text}
    assert not {scope for scope in Scope.values if f"| `{scope}` |" not in text}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_outgoing_event_is_listed(language: str) -> None:
    assert not {event for event in OutgoingEvent.values if f"`{event}`" not in _text("events", language)}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_the_links_of_a_page_lead_somewhere(name: str, language: str) -> None:
    guide = guide_of(name, language)
    ids = set(re.findall(r'id="([^"]+)"', guide.body))
    assert {part.id for part in guide.contents} <= ids
    links = re.findall(r'<a href="([^"]+)"', guide.body)
    assert links
    for link in links:
        assert link.startswith(("/api/v1/", "https://")) or link.removeprefix("#") in ids, link


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["docs", "docs/events"])
def test_the_pages_are_in_the_persons_language_and_name_this_desk(name: str) -> None:
    person = make_person(make_team("QA"))
    client = Client()
    client.force_login(person)
    for language, word in (("en", "Outgoing events"), ("vi", "Sự kiện gửi đi")):
        page = client.get(f"/api/v1/{name}", headers={"Accept-Language": language}).content.decode()
        assert f'<html lang="{language}"' in page
        assert word in page
        assert EXAMPLE not in page
    assert ("THUESIM_DESK_URL=http://testserver" in page) is (name == "docs")
