"""The guides and the README: alike in both languages, with links, pictures, labels and commands that exist."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import allauth
import django
import polib
import pytest
from django.conf import settings
from django.core.management import get_commands

from lib.documents import slug
from pages.presenters.help import GUIDES
from thuesim_site.start import demo
from thuesim_site.testing import free_port

BASE_DIR: Path = settings.BASE_DIR
FILES = [*(f"docs/guides/{{language}}/{name}.md" for name in GUIDES), "README.{language}.md"]
LANGUAGES = ("en", "vi")
# Words on the screen that are the same in every language, and so in no translation.
UNTRANSLATED = {"excel"}
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def path_of(file: str, language: str) -> Path:
    return BASE_DIR / file.format(language=language).replace("README.en.md", "README.md")


def prose(path: Path) -> str:
    return _FENCE.sub("", path.read_text())


def headings(path: Path) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.+)$", prose(path), re.MULTILINE)]


def blocks(path: Path) -> list[tuple[str, str]]:
    """Return what stands between fences: the words after the first one, and the lines."""
    return _FENCE.findall(path.read_text())


def translations() -> list[polib.POFile]:
    ours = BASE_DIR.glob("locale*/vi/LC_MESSAGES/django.po")
    folders = [Path(django.__file__).parent, Path(allauth.__file__).parent]
    theirs = [path for folder in folders for path in folder.rglob("locale/vi/LC_MESSAGES/django.po")]
    return [polib.pofile(str(path)) for path in (*ours, *theirs)]


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """What the product may have on the screen, by language, in small letters."""
    entries = [entry for file in translations() for entry in file if not entry.obsolete]
    return {
        "en": {text.casefold() for entry in entries for text in (entry.msgid, entry.msgid_plural)} | UNTRANSLATED,
        "vi": {text.casefold() for entry in entries for text in (entry.msgstr, *entry.msgstr_plural.values())}
        | UNTRANSLATED,
    }


each_file = pytest.mark.parametrize("file", FILES)
each_language = pytest.mark.parametrize("language", LANGUAGES)


def test_both_languages_have_the_same_guides() -> None:
    names = {
        language: {path.name for path in (BASE_DIR / "docs/guides" / language).iterdir()} for language in LANGUAGES
    }
    assert names["en"] == names["vi"] == {f"{name}.md" for name in GUIDES}


@each_file
def test_both_languages_have_the_same_sections_pictures_and_commands(file: str) -> None:
    english, vietnamese = (path_of(file, language) for language in LANGUAGES)
    assert [level for level, _title in headings(english)] == [level for level, _title in headings(vietnamese)]
    assert [fence for fence, _lines in blocks(english)] == [fence for fence, _lines in blocks(vietnamese)]
    assert english.read_text().count("![") == vietnamese.read_text().count("![")


@each_file
@each_language
def test_links_and_pictures_exist(file: str, language: str) -> None:
    path = path_of(file, language)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(path)) + re.findall(r'src(?:set)?="([^"]+)"', prose(path))
    assert targets
    for target in targets:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        to = (path.parent / name).resolve() if name else path
        assert to.exists(), target
        assert not anchor or anchor in {slug(title) for _level, title in headings(to)}, target


@each_file
@each_language
def test_a_word_in_bold_is_a_label_of_the_product(file: str, language: str, labels: dict[str, set[str]]) -> None:
    bold = re.findall(r"\*\*(.+?)\*\*", prose(path_of(file, language)), re.DOTALL)
    unknown = [label for label in bold if " ".join(label.split()).casefold() not in labels[language]]
    assert unknown == []


@each_file
def test_both_languages_name_the_same_labels(file: str) -> None:
    counts = {
        language: len(re.findall(r"\*\*.+?\*\*", prose(path_of(file, language)), re.DOTALL)) for language in LANGUAGES
    }
    assert counts["en"] == counts["vi"]


def commands(kind: str) -> list[str]:
    """Return the commands of the blocks whose fence says `kind`, in the order of the files, each once."""
    lines = [
        line.split(" #")[0].strip()
        for file in FILES
        for language in LANGUAGES
        for fence, text in blocks(path_of(file, language))
        if fence == kind
        for line in text.splitlines()
    ]
    return list(dict.fromkeys(filter(None, lines)))


def test_every_management_command_that_is_named_exists() -> None:
    text = "".join(path_of(file, language).read_text() for file in FILES for language in LANGUAGES)
    named = set(re.findall(r"manage\.py (\w+)", text))
    assert {"backup", "restore", "rotate_keys", "changepassword"} <= named <= set(get_commands())


@pytest.mark.long
@pytest.mark.programs
def test_the_commands_of_the_guides_run(tmp_path: Path, migrated_file: str) -> None:
    """Those in blocks that begin with "sh run", one after the other, as one follows the guide on a desk of its own."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "THUESIM_", "DJANGO_"))},
        "DESK_DATA_DIR": str(tmp_path / "var"),
        "PORT": str(free_port()),
        "SANDBOX_PORT": str(free_port()),
    }
    lines = commands("sh run")
    assert len(lines) >= 5
    folder = tmp_path / "var" / demo.FOLDER
    folder.mkdir(mode=0o700, parents=True)
    if migrated_file:
        shutil.copy(migrated_file, folder / demo.DATABASE)
    else:
        lines = [".venv/bin/python manage.py migrate -v 0", ".venv/bin/python manage.py createcachetable", *lines]
    for line in lines:
        command = (
            line.replace(".venv/bin/python", sys.executable)
            .replace("./run", f"{sys.executable} -m thuesim_site.start.supervise")
            .replace("var/backups", str(tmp_path / "backups"))
        )
        done = subprocess.run(
            ["sh", "-euc", command],
            cwd=BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_addresses_of_the_guides_answer(live_server: str, settings: object) -> None:
    lines = commands("sh desk")
    assert len(lines) == 4
    for line in lines:
        command = line.replace("http://127.0.0.1:8000", str(live_server))
        if "readyz" in line:  # nothing runs here that it could call ready
            command = command.replace("-fsS", "-sS -o /dev/null -w %{http_code}")
        done = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout
