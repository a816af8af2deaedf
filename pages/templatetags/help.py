"""The "?" beside a term."""

from functools import cache

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from pages.presenters import help as presenter

register = template.Library()


@register.simple_tag
def term_help(name: str) -> SafeString:
    """Draw the "?" beside a term, one of `presenter.TERMS`, with its first two sentences and the way to the guide."""
    return _drawn(name, get_language() or "")


@cache
def _drawn(name: str, language: str) -> SafeString:
    """Return the "?" in the active language, `language`: a board may have sixty of them."""
    return SafeString(render_to_string("pages/_term_help.html", {"term": presenter.term(name)}))
