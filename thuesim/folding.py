"""Vietnamese text made comparable: without accents and case."""

import unicodedata


def without_accents(text: str) -> str:
    """Return `text` in small letters without accents: `"DỊCH VỤ Đỏ"` becomes `"dich vu do"`."""
    decomposed = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def fold(text: str) -> str:
    """Return `text` without accents and with single spaces: `"Số  dư"` and `"SO DU"` both become `"so du"`."""
    return " ".join(without_accents(text).split())
