"""HTML entities, as PHP programs leave them in their replies."""

import html
import re
from typing import Final

# With the semicolon alone: the address "/?a=1&copy=2" has no entity.
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def without_entities(text: str) -> str:
    """Return the text with its entities decoded, once: `"Tiki &amp; Sendo"` becomes `"Tiki & Sendo"`."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text) if "&" in text else text
