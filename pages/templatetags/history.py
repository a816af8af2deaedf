"""The history's rows and its filters' choices, rendered by Jinja2: hundreds of small things, for which a Django template
takes longer than the database takes to find fifty rows among a million."""

from collections.abc import Collection, Iterable
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.policy import Access
from lib.formats import dong
from pages.presenters.cards import card_for
from pages.presenters.rental import deleted_sentence
from pages.templatetags.desk import clock, epoch, icon, moment
from rentals.models import Rental
from rentals.queries.warnings import dearer_sentence

register = template.Library()


@register.simple_tag
def options(choices: Iterable[tuple[str, str]], chosen: str | Collection[str]) -> SafeString:
    """Render the `<option>`s of a list: pairs of value and label. `chosen` is a value, or several."""
    return _rendered("options.html", {"choices": choices, "chosen": {chosen} if isinstance(chosen, str) else chosen})


@register.simple_tag
def history_rows(rentals: Iterable[Rental], access: Access) -> SafeString:
    """Render a row for each rental that comes from `for_rows()`. Reads nothing more from the database."""
    words = {
        "rental": _("Rental"),
        "copy_number": _("Copy the number"),
        "copy_code": _("Copy the code"),
        "hidden": _("Code hidden"),
        "again": _("Rent again"),
        "you": _("you"),
        "refunded": _("%(amount)s refunded"),
        "imported": _("imported"),
        "key": _("key %(name)s"),
        "ordered_by": _("ordered by %(person)s"),
    }
    cards = (card_for(rental, access) for rental in rentals)
    return _rendered("history_rows.html", {"cards": cards, "words": words, **_FUNCTIONS})


def messages_sentence(count: int) -> str:
    return ngettext("%(n)s message", "%(n)s messages", count) % {"n": count}


_FUNCTIONS = {
    "clock": clock,
    "dearer_sentence": dearer_sentence,
    "deleted_sentence": deleted_sentence,
    "dong": dong,
    "epoch": epoch,
    "icon": icon,
    "messages_sentence": messages_sentence,
    "moment": moment,
}


def _rendered(name: str, context: dict[str, Any]) -> SafeString:
    # The backend escapes what is not HTML, but returns a plain text, which the page around it would escape again.
    return SafeString(render_to_string(name, context, using="jinja2"))
