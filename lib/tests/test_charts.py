from datetime import UTC, datetime, timedelta

import pytest

from lib import charts
from pages.templatetags import charts as tags

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 20), (305_000, 400_000), (9_001, 10_000)]
)
def test_an_axis_ends_at_a_number_that_reads_well(value: int, top: int) -> None:
    assert charts.round_up(value) == top


def test_bars_stand_on_the_ground_and_the_returned_part_on_the_kept_one() -> None:
    full, half = charts.bar_chart([("a", 100, 100), ("b", 100, 50)]).bars
    assert (full.y, full.height, full.kept_y, full.kept_height) == (0, 0, 0, 100)
    assert (half.y, half.height, half.kept_y, half.kept_height) == (0, 50, 50, 50)


def test_no_values_and_nothing_but_zeros_are_charts_too() -> None:
    assert charts.bar_chart([]).bars == []
    assert charts.bar_chart([("a", 0, 0)]).bars[0].height == 0
    assert charts.step_chart([], until=NOW).points == ""


def test_a_price_holds_until_the_next_one() -> None:
    chart = charts.step_chart([(NOW - timedelta(days=2), 100), (NOW - timedelta(days=1), 200)], until=NOW)
    assert chart.points == "0,90 500,90 500,10 1000,10"
    assert (chart.lowest, chart.highest) == (100, 200)


def test_a_price_that_never_changed_is_a_level_line() -> None:
    assert charts.step_chart([(NOW - timedelta(days=2), 100)], until=NOW).points == "0,50 1000,50"


def test_a_chart_speaks_to_those_who_do_not_see_it() -> None:
    drawn = tags.bars(charts.bar_chart([("1/11", 2000, 1500)]), "Spending <by day>")
    assert 'role="img" aria-label="Spending &lt;by day&gt;"' in drawn
    assert "<title>1/11: 2.000 ₫ charged, 500 ₫ refunded</title>" in drawn


def test_a_chart_has_no_style_of_its_own_and_no_number_in_words() -> None:
    drawn = tags.bars(charts.bar_chart([(str(n), 1234567, 1234567) for n in range(3)]), "")
    assert "style=" not in drawn
    assert 'x="41.67"' in drawn


@pytest.mark.parametrize(("part", "whole", "percent"), [(1, 4, 25.0), (5, 4, 100.0), (-1, 4, 0.0), (1, 0, 0.0)])
def test_a_share_stays_between_nothing_and_all(part: int, whole: int, percent: float) -> None:
    assert charts.share(part, whole) == percent
