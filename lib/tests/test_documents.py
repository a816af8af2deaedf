"""Documents in Markdown: HTML in them is text, headings have the same ids in both languages, links lead to pages."""

from pathlib import Path

import pytest

from lib import documents
from lib.documents import Document


@pytest.fixture(autouse=True)
def _read_anew() -> None:
    documents.anchors.cache_clear()


def render(folder: Path, text: str, name: str = "guide.md") -> Document:
    path = folder / name
    path.write_text(text)
    return documents.render(
        path,
        address=lambda to: f"/pages/{to.stem}/" if to.exists() else "",
        picture=lambda to, text: f'<img src="{to.name}" alt="{text}">',
    )


def test_html_is_text_and_a_script_is_no_link(tmp_path: Path) -> None:
    body = render(tmp_path, "# Guide\n\n<script>alert(1)</script> <b>bold</b> [here](javascript:alert(1))").body
    assert "<script" not in body
    assert "<b>" not in body
    assert "href" not in body


def test_a_heading_has_the_id_of_the_english_one(tmp_path: Path) -> None:
    render(tmp_path, "# Guide\n\n## Masked\n\n## A `code`, and more")
    vietnamese = render(tmp_path, "# Hướng dẫn\n\n## Mã bị che\n\n## Một `mã`, và hơn nữa", "guide.vi.md")
    assert [part.id for part in vietnamese.contents] == ["masked", "a-code-and-more"]
    assert '<h2 id="masked">Mã bị che</h2>' in vietnamese.body


def test_a_heading_too_few_is_an_error(tmp_path: Path) -> None:
    render(tmp_path, "# Guide\n\n## Masked")
    with pytest.raises(ValueError, match="longer"):
        render(tmp_path, "# Hướng dẫn", "guide.vi.md")


def test_headings_that_come_again_are_numbered(tmp_path: Path) -> None:
    assert [part.id for part in render(tmp_path, "# Guide\n\n## Errors\n\n## Errors").contents] == [
        "errors",
        "errors-1",
    ]


def test_links_lead_to_pages_and_to_the_ids_of_headings(tmp_path: Path) -> None:
    for language, title in (("en", "Money"), ("vi", "Tiền bạc")):
        (tmp_path / language).mkdir()
        (tmp_path / language / "manager.md").write_text(f"# {language}\n\n## {title}")
    (tmp_path / "en" / "guide.md").write_text("# Guide\n\n## Here")
    text = (
        "# Hướng dẫn\n\n## Ở đây\n\n[tiền](manager.md#tiền-bạc) [đây](#ở-đây) [x](https://example.com/) "
        "[nowhere](../missing.md)\n\n![A picture](../pictures/desk.png)"
    )
    body = render(tmp_path / "vi", text, "guide.md").body
    assert 'href="/pages/manager/#money"' in body
    assert 'href="#here"' in body
    assert 'href="https://example.com/"' in body
    assert "nowhere" in body
    assert body.count("<a ") == body.count("</a>") == 3
    assert '<img src="desk.png" alt="A picture">' in body
    with pytest.raises(KeyError):
        render(tmp_path / "vi", "# Hướng dẫn\n\n## Ở đây\n\n[x](manager.md#missing)", "guide.md")


def test_code_can_be_copied_and_scrolled_by_the_keyboard(tmp_path: Path) -> None:
    body = render(tmp_path, "# Guide\n\n```sh\necho '<hi>'\n```").body
    assert '<pre tabindex="0"><code>echo &#x27;&lt;hi&gt;&#x27;\n</code></pre>' in body
    assert 'data-copy="echo &#x27;&lt;hi&gt;&#x27;"' in body


def test_a_section_has_its_texts_without_marks(tmp_path: Path) -> None:
    table = "| a | b |\n|---|---|\n| `c` | [d](guide.md) |"
    text = f"# Guide\n\nOne **bold**\nline.\n\n## Table\n\n{table}\n\n- item\n\n```sh\nls\n```"
    first, second = render(tmp_path, text).sections
    assert first.texts == ("One bold line.",)
    assert second.texts == ("a · b", "c · d", "item", "ls\n")
