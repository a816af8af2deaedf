"""Charts as SVG, styled by the style sheets. Numbers in attributes are never localised."""

from django import template
from django.template.defaultfilters import floatformat
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from lib.charts import HEIGHT, WIDTH, BarChart, StepChart, share
from lib.formats import dong

register = template.Library()

_BOX = f"0 0 {WIDTH:g} {HEIGHT:g}"


@register.simple_tag
def bars(chart: BarChart, label: str) -> SafeString:
    """Draw bars of money. `label` says what the chart shows; each bar says its own value on hover."""
    lines = format_html_join(
        "", '<line x1="0" x2="{}" y1="{}" y2="{}"/>', ((f"{WIDTH:g}", y, y) for y, _n in chart.lines)
    )
    drawn = format_html_join(
        "",
        '<g><title>{}</title><rect class="chart-hit" x="{}" y="0" width="{}" height="{}"/>'
        '<rect class="chart-kept" x="{}" y="{}" width="{}" height="{}"/>'
        '<rect class="chart-back" x="{}" y="{}" width="{}" height="{}"/></g>',
        (
            (
                _bar_words(bar.label, bar.value, bar.kept),
                *(bar.x, bar.width, f"{HEIGHT:g}"),
                *(bar.x, bar.kept_y, bar.width, bar.kept_height),
                *(bar.x, bar.y, bar.width, bar.height),
            )
            for bar in chart.bars
        ),
    )
    return format_html(
        '<svg class="chart-bars" viewBox="{}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="chart-hatch-ground" width="6" height="6"/><line class="chart-hatch" x1="0" x2="0" y1="0" y2="6"/>'
        '</pattern></defs><g class="chart-lines">{}</g>{}</svg>',
        _BOX,
        label,
        lines,
        drawn,
    )


def _bar_words(label: str, value: int, kept: int) -> str:
    if value == kept:
        return f"{label}: {dong(value)}"
    return _("%(day)s: %(charged)s charged, %(refunded)s refunded") % {
        "day": label,
        "charged": dong(value),
        "refunded": dong(value - kept),
    }


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
