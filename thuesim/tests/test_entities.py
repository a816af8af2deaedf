"""HTML entities are decoded once, and only what surely is one."""

import pytest

from thuesim.entities import without_entities
from thuesim.replies import parse_services


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("Tiki &amp; Sendo", "Tiki & Sendo"),
        ("&quot;529310&quot; &#39;x&#x27; m&atilde;", "\"529310\" 'x' mã"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("https://x.vn/?a=1&copy=2&lt=3", "https://x.vn/?a=1&copy=2&lt=3"),
        ("A & B; C &unknown; &#; &", "A & B; C &unknown; &#; &"),
        ("&#0;&#xD800;", "\ufffd\ufffd"),
    ],
)
def test_what_has_its_semicolon_is_decoded_once(text: str, decoded: str) -> None:
    assert without_entities(text) == decoded


def test_the_name_of_a_service_has_none() -> None:
    body = b'{"ResponseCode":1,"Data":[{"ID":97,"SERVICE_NAME":"Tiki &amp; Sendo"}]}'
    assert parse_services(body)[0].name == "Tiki & Sendo"
