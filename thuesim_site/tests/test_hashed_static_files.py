"""What `collectstatic` makes of our scripts: modules whose imports are hashed names too."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.finders import get_finder
from django.core.management import call_command

from thuesim_site import settings as production
from thuesim_site.start import prepare


def test_every_import_of_a_script_names_a_hashed_file_that_is_there(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = production.STORAGES
    call_command("collectstatic", interactive=False, verbosity=0)
    names: dict[str, str] = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    hashed = {(tmp_path / name).resolve() for name in names.values()}
    imported = {
        (tmp_path / name).parent.joinpath(path).resolve()
        for plain, name in names.items()
        if plain.startswith("js/")
        for path in re.findall(r"""\b(?:from|import)\b ?\(?["'](\..+?)["']""", (tmp_path / name).read_text())
    }
    # What a page preloads is what its stylesheet asks for: else the browser would fetch it twice.
    fonts = re.findall(r'url\("\.\./(fonts/[^"]+)"\)', (tmp_path / names["css/fonts.css"]).read_text())
    assert set(fonts) == {names[plain] for plain in names if plain.endswith(".woff2")}
    assert tmp_path / names["js/toasts.js"] in imported
    assert imported <= hashed
    assert all(file.is_file() for file in imported)


@pytest.fixture
def releases(tmp_path: Path, settings: Any) -> Iterator[Callable[[str], set[str]]]:
    """Release a version of one script, and return all the files that browsers can ask for afterwards."""
    settings.STATIC_ROOT, settings.STATICFILES_DIRS = tmp_path / "collected", [tmp_path / "source"]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = production.STORAGES
    _forget_finders()
    (tmp_path / "source").mkdir()

    def release(text: str) -> set[str]:
        (tmp_path / "source" / "desk.css").write_text(text)
        prepare._collect_static()
        return {path.name for path in (tmp_path / "collected").glob("desk.*.css*")}

    yield release
    _forget_finders()


def _forget_finders() -> None:
    get_finder.cache_clear()  # type: ignore[attr-defined]  # it is a cached function


def test_the_files_of_the_version_before_stay_and_older_ones_go(releases: Callable[[str], set[str]]) -> None:
    versions = [f"p {{ margin: {number}px; }} /* {'long ' * 100} */" for number in range(3)]
    first = releases(versions[0])
    assert len(first) == 2  # itself, and compressed
    second = releases(versions[1])
    assert first < second
    third = releases(versions[2])
    assert len(third) == 4
    assert not third & first
    assert releases(versions[2]) == third  # another start changes nothing
