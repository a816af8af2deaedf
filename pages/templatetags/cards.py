"""The desk's cards on a page."""

from collections.abc import Iterable

from django import template
from django.template import Context
from django.template.backends.utils import csrf_input
from django.utils.safestring import SafeString

from pages.presenters.cards import Card, cards_html
from pages.templatetags.desk import page_team

register = template.Library()


@register.simple_tag(takes_context=True)
def cards(context: Context, shown: Iterable[Card], heading: str = "h3") -> SafeString:
    """Draw cards with the fields that the forms of this page need. `heading` is the tag of a card's name."""
    fields = {"csrf_input": csrf_input(context["request"]), "page_team": page_team(context), "here": context["here"]}
    return cards_html(shown, heading=heading, **fields)


@register.simple_tag(takes_context=True)
def card(context: Context, shown: Card, heading: str = "h3") -> SafeString:
    """Draw one card, as `cards` does."""
    return cards(context, [shown], heading)
