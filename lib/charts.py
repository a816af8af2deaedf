"""Shapes of the charts that the pages draw as SVG, without a script and without `style=`.

A chart never speaks by colour alone: what was refunded is hatched, and the numbers are in a table under it. Shapes are in a
box of `WIDTH` × `HEIGHT` that the page stretches. Text would be stretched with them, so the pages write it as HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

WIDTH, HEIGHT = 1000.0, 100.0
GAP = 0.25  # between two bars, as a part of a bar's slot


class Bar(NamedTuple):
    """One bar of `value`, of which the lower part `kept` is full and the rest hatched. Lengths in the chart's box."""

    label: str
    value: int
    kept: int
    x: float
    width: float
    y: float
    height: float
    kept_y: float
    kept_height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars side by side. `lines` are the (y, value) of the lines across them, from the top down; `top` is the axis' end."""

    bars: list[Bar]
    lines: list[tuple[float, int]]
    top: int


def round_up(value: int) -> int:
    """Return the next larger number that reads well on an axis, as does its half: 1, 2, 3, 4, 5, 6, 8 or 10 of a power of
    ten."""
    if value <= 0:
        return 1
    magnitude: int = 10 ** (len(str(value)) - 1)
    return next(step * magnitude for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * magnitude >= value)


def bar_chart(values: Sequence[tuple[str, int, int]]) -> BarChart:
    """Return a chart of `(label, value, kept)`: `kept` is the part of `value` that stayed."""
    top = round_up(max((value for _, value, _ in values), default=0))
    slot = WIDTH / max(len(values), 1)
    width, unit = _short(slot * (1 - GAP)), HEIGHT / top
    bars = []
    for n, (label, value, kept) in enumerate(values):
        height, kept_height = unit * max(value, 0), unit * max(min(kept, value), 0)
        y, kept_y = HEIGHT - height, HEIGHT - kept_height
        x = n * slot + slot * GAP / 2
        bars.append(
            Bar(
                label,
                value,
                kept,
                round(x, 2),
                width,
                round(y, 2),
                round(height - kept_height, 2),
                round(kept_y, 2),
                round(kept_height, 2),
            )
        )
    lines = [(HEIGHT * part / 2, round(top * (2 - part) / 2)) for part in (0, 1)]
    return BarChart(bars, lines, top)


@dataclass(frozen=True, slots=True)
class StepChart:
    """A value that stays until it changes: the points of its line and of the surface under it, as SVG writes them."""

    points: str
    surface: str
    lowest: int
    highest: int


def step_chart(values: Sequence[tuple[datetime, int]], *, until: datetime) -> StepChart:
    """Return the line of `values`, oldest first: each holds from its moment to the next one's, the last to `until`."""
    if not values:
        return StepChart("", "", 0, 0)
    start = values[0][0]
    span = max((until - start) / timedelta(seconds=1), 1.0)
    lowest, highest = min(value for _, value in values), max(value for _, value in values)
    spread = max(highest - lowest, 1)
    corners: list[tuple[float, float]] = []
    for at, value in values:
        x = WIDTH * ((at - start) / timedelta(seconds=1)) / span
        # A tenth of the height stays free above and below, so that a line at the edge is seen.
        y = HEIGHT * (0.9 - 0.8 * (value - lowest) / spread) if highest > lowest else HEIGHT / 2
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    corners.append((WIDTH, corners[-1][1]))
    points = _points(corners)
    return StepChart(points, f"0,{HEIGHT:g} {points} {WIDTH:g},{HEIGHT:g}", lowest, highest)


def share(part: int, whole: int) -> float:
    """Return `part` of `whole` in per cent, between 0 and 100 with two decimals."""
    return _short(min(100.0, max(0.0, 100.0 * part / whole))) if whole > 0 else 0.0


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_short(x):g},{_short(y):g}" for x, y in corners)


def _short(number: float) -> float:
    return round(number, 2)
