"""Charts as SVG, styled by the style sheets. Numbers in attributes are never localised."""

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


@register.simple_tag
def bars(chart: BarChart, label: str) -> SafeString:
    """Draw bars of money. `label` says what the chart shows; each bar says its own value on hover."""
    partly_refunded = _("%(day)s: %(charged)s charged, %(refunded)s refunded")

    def words(bar: Bar) -> str:
        if bar.value == bar.kept:
            return f"{bar.label}: {dong(bar.value)}"
        return partly_refunded % {
            "day": bar.label,
            "charged": dong(bar.value),
            "refunded": dong(bar.value - bar.kept),
        }

    titled = [(words(bar), *bar) for bar in chart.bars]
    return rendered("bars.html", chart=chart, label=label, bars=titled, width=f"{WIDTH:g}", height=f"{HEIGHT:g}")


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
    return format_html(
        '<svg class="chart-share" aria-hidden="true"><rect class="chart-ground" width="100%" height="100%"/>'
        '<rect class="chart-kept" width="{}%" height="100%"/></svg>',
        share(round(part), round(whole)),
    )


@register.filter
def seconds(duration: float) -> str:
    """Write a short time in seconds, by which people compare services: `8.4 s`, `72 s`."""
    return f"{floatformat(duration, 1 if duration < 10 else 0)} s"
