"""The functions of the Jinja2 templates, the same as those of the Django templates."""

from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from jinja2 import Environment

from lib import confirmation
from lib.formats import dong
from pages.templatetags.desk import clock, epoch, exact, form_key, icon, is_long, moment


def environment(**options: Any) -> Environment:
    """Return the environment of the templates in `templates/jinja2/`."""
    jinja = Environment(**options)  # noqa: S701 - Django's backend sets autoescape
    jinja.globals |= {
        "_": _translated,
        "clock": clock,
        "confirm": confirmation.field,
        "dong": dong,
        "epoch": epoch,
        "exact": exact,
        "form_key": form_key,
        "icon": icon,
        "is_long": is_long,
        "moment": moment,
        "url": reverse,
    }
    return jinja


def _translated(text: str) -> SafeString:
    """Return a text of the template's own in the active language. As by `{% translate %}`, it may be HTML."""
    return SafeString(gettext(text))
