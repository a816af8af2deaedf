"""Vietnamese text made comparable: without accents and case."""

import unicodedata


def without_accents(text: str) -> str:
    """Return `text` in small letters without accents: `"DỊCH VỤ Đỏ"` becomes `"dich vu do"`."""
    decomposed = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def fold(text: str) -> str:
    """Return `text` without accents and with single spaces: `"Số  dư"` and `"SO DU"` both become `"so du"`."""
    return " ".join(without_accents(text).split())


def without_marks(text: str) -> str:
    """Return `text` in plain letters, without accents, invisible and control characters but "\n" and "\t".

    The case stays. `"Mã １２３"` becomes `"Ma 123"`.
    """
    decomposed = unicodedata.normalize("NFKD", text)[: 3 * len(text)]
    kept = (c for c in decomposed if c in "\n\t" or unicodedata.category(c) not in {"Mn", "Me", "Cf", "Cc"})
    return unicodedata.normalize("NFC", "".join(kept)).replace("đ", "d").replace("Đ", "D")
