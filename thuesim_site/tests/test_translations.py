"""The Vietnamese catalogue: whole, in step with what it was compiled to, and with every placeholder in its place."""

import re

import polib
from django.conf import settings

CATALOGUE = settings.BASE_DIR / "locale/vi/LC_MESSAGES/django.po"


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[sd]|%[sd]|\{\w+\}", text))


def test_every_text_has_its_vietnamese() -> None:
    catalogue = polib.pofile(str(CATALOGUE))
    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy or entry.obsolete] == []


def test_no_placeholder_is_lost() -> None:
    for entry in polib.pofile(str(CATALOGUE)):
        translated = entry.msgstr_plural[0] if entry.msgid_plural else entry.msgstr
        assert placeholders(translated) in (placeholders(entry.msgid), placeholders(entry.msgid_plural)), entry.msgid


def test_the_compiled_catalogue_is_in_step() -> None:
    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    source = polib.pofile(str(CATALOGUE))
    assert {e.msgid: (e.msgstr, e.msgstr_plural) for e in compiled} == {
        e.msgid: (e.msgstr, e.msgstr_plural) for e in source
    }
