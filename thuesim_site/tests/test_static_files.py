"""What `collectstatic` makes of our scripts: modules whose imports are hashed names too."""

import json
import re
from pathlib import Path
from typing import Any

from django.core.management import call_command

from thuesim_site import settings as production


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
