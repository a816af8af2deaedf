"""Icons: one has one meaning, and what a template names is there."""

import re
from pathlib import Path

from django.conf import settings

from pages.presenters import cards
from scripts.assets import SPRITE

_USED = re.compile(r"""(?<=icon[ (]")[a-z-]+(?=")|(?<=")[a-z-]+(?="\|icon)""")
TEMPLATES: Path = settings.BASE_DIR / "templates"


def test_no_drawing_has_two_names_and_each_name_is_drawn_and_used() -> None:
    assert len(set(SPRITE.values())) == len(SPRITE)
    sprite = (settings.BASE_DIR / "static" / "icons.svg").read_text()
    assert set(re.findall(r'<symbol id="([a-z-]+)"', sprite)) == set(SPRITE)
    used = {name for path in TEMPLATES.rglob("*.html") for name in _USED.findall(path.read_text())}
    of_statuses = {*cards._ICONS.values(), "message"}
    assert used | of_statuses == set(SPRITE)
