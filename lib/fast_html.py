"""HTML written in Python, for pages with so many rows that a template would take longer than the database."""

from html import escape

from django.utils.safestring import SafeString


def draw(markup: str, *texts: object, **named: object) -> SafeString:
    """Return `markup` with the texts filled in, escaped unless they are safe: what Django's `format_html` does, in half its
    time."""
    return SafeString(markup.format(*map(_escaped, texts), **{name: _escaped(text) for name, text in named.items()}))


def _escaped(text: object) -> str:
    return text if isinstance(text, SafeString) else escape(str(text))
