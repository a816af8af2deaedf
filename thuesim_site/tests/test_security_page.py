"""docs/security.md points at tests and files: each of them must be there."""

import re

from thuesim_site.start.environment import BASE_DIR

PAGE = (BASE_DIR / "docs" / "security.md").read_text()


def test_every_file_that_the_page_names_is_there() -> None:
    named = {name for name in re.findall(r"`([\w./-]+\.(?:py|sh|md|lock|json))`", PAGE) if "/" in name}
    assert len(named) > 40
    assert [name for name in sorted(named) if not (BASE_DIR / name).is_file()] == []


def test_every_open_group_says_what_is_open() -> None:
    rows = re.findall(r"^\| (V\d+\S*) [^|]*\| (met|open) \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) > 40
    assert [group for group, state, text in rows if (state == "open") != ("Open: " in text)] == []
