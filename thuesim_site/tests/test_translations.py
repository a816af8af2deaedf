"""The translations: every text of the code in Vietnamese, no placeholder lost, in step with what they were compiled to."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.contrib.auth.password_validation import MinimumLengthValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as translated  # not by a name that makemessages collects
from django.utils.translation import override

VIETNAMESE = settings.BASE_DIR / "locale/vi/LC_MESSAGES/django.po"
TRANSLATIONS = sorted(settings.BASE_DIR.glob("locale*/*/LC_MESSAGES/django.po"))
# As CONTRIBUTING.md has it.
MAKEMESSAGES = ["makemessages", "-l", "vi", "--no-wrap", "--add-location", "file", "--no-obsolete"]
SOURCES = {".py", ".html", ".txt"}

each_translation = pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: "-".join(path.parts[-4:-2]))


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[sd]|%[sd]|\{\w+\}", text))


def _all_but_sources(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if Path(folder, name).is_file() and Path(name).suffix not in SOURCES}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every text that the code and the templates mark for translation, collected by Django from a copy of them."""
    root = tmp_path_factory.mktemp("sources")
    for folder in settings.BASE_DIR.iterdir():
        if folder.is_dir() and folder.name not in {".venv", ".git", "var"}:
            shutil.copytree(folder, root / folder.name, ignore=_all_but_sources)
    shutil.copy(settings.BASE_DIR / "manage.py", root)
    (root / "locale").mkdir(exist_ok=True)
    environment = os.environ | {"DESK_DATA_DIR": str(root / "var")}
    subprocess.run([sys.executable, "manage.py", *MAKEMESSAGES], cwd=root, env=environment, check=True, timeout=120)
    return {entry.msgid for entry in polib.pofile(str(root / "locale/vi/LC_MESSAGES/django.po"))}


def test_every_text_of_the_code_is_in_the_translation(extracted: set[str]) -> None:
    assert len(extracted) > 500
    missing = extracted - {entry.msgid for entry in polib.pofile(str(VIETNAMESE))}
    assert missing == set(), "without Vietnamese; CONTRIBUTING.md says how a text is translated"


def test_the_translation_has_no_text_that_the_code_has_not(extracted: set[str]) -> None:
    assert {entry.msgid for entry in polib.pofile(str(VIETNAMESE))} - extracted == set()


def test_each_reference_names_a_file_that_is_there() -> None:
    named = {file for entry in polib.pofile(str(VIETNAMESE)) for file, _line in entry.occurrences}
    gone = [file for file in sorted(named) if not (settings.BASE_DIR / file).is_file()]
    assert gone == [], "moved or deleted: correct the `#:` lines, or run makemessages as CONTRIBUTING.md says"


@each_translation
def test_every_entry_is_translated(path: Path) -> None:
    entries = polib.pofile(str(path))
    assert [entry.msgid for entry in entries if not entry.translated() or entry.fuzzy or entry.obsolete] == []


@each_translation
def test_no_placeholder_is_lost(path: Path) -> None:
    for entry in polib.pofile(str(path)):
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert placeholders(text) in (placeholders(entry.msgid), placeholders(entry.msgid_plural)), entry.msgid


@each_translation
def test_the_compiled_translation_is_in_step(path: Path) -> None:
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    source = polib.pofile(str(path))
    assert {e.msgid: (e.msgstr, e.msgstr_plural) for e in compiled} == {
        e.msgid: (e.msgstr, e.msgstr_plural) for e in source
    }


def test_what_libraries_say_is_in_the_words_of_the_desk() -> None:
    with override("vi"), pytest.raises(ValidationError, match="Hãy dùng ít nhất 10 ký tự"):
        MinimumLengthValidator(10).validate("short")
    with override("vi"):
        assert translated("Incorrect password.") == "Mật khẩu không đúng."
    with override("en"):
        assert translated("Security key added.") == "Passkey added."
