"""The history's rows and its filters' choices, rendered by Jinja2: hundreds of small things, for which a Django template
takes longer than the database takes to find fifty rows among a million."""

from collections.abc import Collection, Iterable

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.policy import Access
from lib.web.jinja import rendered
from pages.presenters.cards import card_for
from pages.presenters.rental import deleted_sentence
from rentals.models import Rental
from rentals.queries.warnings import dearer_sentence

register = template.Library()


@register.simple_tag
def options(choices: Iterable[tuple[str, str]], chosen: str | Collection[str]) -> SafeString:
    """Render the `<option>`s of a list: pairs of value and label. `chosen` is a value, or several."""
    return rendered("options.html", choices=choices, chosen={chosen} if isinstance(chosen, str) else chosen)


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
    return rendered("history_rows.html", cards=cards, words=words, **_FUNCTIONS)


_FUNCTIONS = {"dearer_sentence": dearer_sentence, "deleted_sentence": deleted_sentence}
