"""The tables of the spend page."""

from collections.abc import Sequence
from html import escape

from django import template
from django.utils.safestring import SafeString

from lib.formats import dong, grouped
from lib.web.jinja import rendered
from pages.presenters.spend import Line
from pages.templatetags.charts import share_bar

register = template.Library()


@register.simple_tag
def spend_table(lines: Sequence[Line], label: str, titled: str, whole: int | None = None) -> SafeString:
    """Draw a table of `lines` under the heading `label`; `titled` is the id of its title. With the bar of each line's share
    in the `whole`, where one is given."""
    rows = [(bool(line.query), _texts(line, whole)) for line in lines]
    return rendered("spend_table.html", rows=rows, label=label, titled=titled, have_shares=whole is not None)


def _texts(line: Line, whole: int | None) -> tuple[str, ...]:
    # Its fields at once: a year has 366 lines, and to fetch each by its name takes longer.
    label, rentals, charged, refunded, query, _codes = line
    spent, cost = charged - refunded, line.cost_per_code
    texts = (
        escape(query),
        escape(label),
        grouped(rentals),
        dong(refunded) if refunded else "–",
        dong(spent),
        "–" if cost is None else dong(cost),
    )
    return texts if whole is None else (*texts, share_bar(spent, whole))
