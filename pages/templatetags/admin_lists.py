"""What the lists of the Django admin show."""

from itertools import zip_longest
from typing import Any

from django import template
from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.text import capfirst

register = template.Library()


@register.simple_tag
def labelled(cells: list[str], headers: list[dict[str, Any]]) -> SafeString:
    """Draw the cells of a row. Each value has the name of its column as `data-label`; a checkbox has none."""
    names = [capfirst(strip_tags(str(header["text"])).strip()) for header in headers]
    return SafeString("".join(_labelled(cell, name) for cell, name in zip_longest(cells, names, fillvalue="")))


def _labelled(cell: str, name: str) -> str:
    if not name or not cell.startswith("<td"):
        return cell
    return format_html('<td data-label="{}"{}', name, SafeString(cell.removeprefix("<td")))
