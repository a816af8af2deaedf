"""Charts as SVG, styled by the style sheets. Numbers in attributes are never localised."""

from html import escape

from django import template
from django.template.defaultfilters import floatformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from lib.charts import HEIGHT, WIDTH, Bar, BarChart, StepChart, share
from lib.formats import dong
from lib.web.jinja import rendered

register = template.Library()

_BOX = f"0 0 {WIDTH:g} {HEIGHT:g}"
# As a format, since a page of spending has 75, and what fills it is a number.
_SHARE_BAR = (
    '<svg class="chart-share" aria-hidden="true"><rect class="chart-ground" width="100%%" height="100%%"/>'
    '<rect class="chart-kept" width="%s%%" height="100%%"/></svg>'
)


@register.simple_tag
def bars(chart: BarChart, label: str) -> SafeString:
    """Draw bars of money. `label` says what the chart shows; each bar says its own value on hover."""
    partly_refunded = escape(_("%(day)s: %(charged)s charged, %(refunded)s refunded"))

    def drawn(bar: Bar) -> tuple[object, ...]:
        # Its fields at once: a year has 366 bars, and to fetch each by its name takes longer.
        day, value, kept, x, _width, y, height, kept_y, kept_height = bar
        if value == kept:
            words = f"{escape(day)}: {dong(value)}"
        else:
            amounts = {"charged": dong(value), "refunded": dong(value - kept)}
            words = partly_refunded % {"day": escape(day), **amounts}
        left = str(x)
        return words, left, left, kept_y, kept_height, left, y, height

    return rendered(
        "bars.html",
        chart=chart,
        label=label,
        bars=[drawn(bar) for bar in chart.bars],
        bar_width=chart.bars[0].width if chart.bars else 0,
        width=f"{WIDTH:g}",
        height=f"{HEIGHT:g}",
    )


@register.simple_tag
def steps(chart: StepChart, label: str, css: str = "") -> SafeString:
    """Draw the history of a price."""
    return format_html(
        '<svg class="chart-steps {}" viewBox="{}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polygon class="chart-surface" points="{}"/><polyline class="chart-line" points="{}"/></svg>',
        css,
        _BOX,
        label,
        chart.surface,
        chart.points,
    )


@register.simple_tag
def share_bar(part: float | None, whole: float) -> SafeString | str:
    """Draw the share of `part` in `whole`, beside the number that says the same."""
    if part is None:
        return ""
    return SafeString(_SHARE_BAR % share(round(part), round(whole)))


@register.filter
def seconds(duration: float) -> str:
    """Write a short time in seconds, by which people compare services: `8.4 s`, `72 s`."""
    return f"{floatformat(duration, 1 if duration < 10 else 0)} s"
