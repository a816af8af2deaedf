import re

from thuesim_site.start.environment import BASE_DIR, version


def test_the_newest_section_of_the_changelog_is_this_release() -> None:
    sections = re.findall(r"^## (\S+)", (BASE_DIR / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert next(section for section in sections if section != "Unreleased") == version()
