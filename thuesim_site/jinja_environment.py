"""The functions of the Jinja2 templates, the same as those of the Django templates."""

from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from jinja2 import Environment

from lib.formats import dong, grouped, span
from lib.web import confirmation
from pages.templatetags.charts import seconds, share_bar, steps
from pages.templatetags.desk import clock, epoch, exact, form_key, icon, is_long, moment
from pages.templatetags.help import term_help


def environment(**options: Any) -> Environment:
    """Return the environment of the templates in `templates/jinja2/`."""
    jinja = Environment(**options)  # noqa: S701 - Django's backend sets autoescape
    jinja.globals |= {
        "_": _translated,
        "capfirst": capfirst,
        "clock": clock,
        "confirm": confirmation.field,
        "dong": dong,
        "epoch": epoch,
        "exact": exact,
        "term_help": term_help,
        "form_key": form_key,
        "grouped": grouped,
        "icon": icon,
        "is_long": is_long,
        "moment": moment,
        "share_bar": share_bar,
        "steps": steps,
        "url": reverse,
    }
    # Called without a context, which takes half of the time of a function; of a constant, once: `"alert"|icon`.
    jinja.filters |= {
        "clock": clock,
        "dong": dong,
        "epoch": epoch,
        "exact": exact,
        "grouped": grouped,
        "icon": icon,
        "moment": moment,
        "seconds": seconds,
        "span": span,
    }
    return jinja


def _translated(text: str) -> SafeString:
    """Return a text of the template's own in the active language. As by `{% translate %}`, it may be HTML."""
    return SafeString(gettext(text))
