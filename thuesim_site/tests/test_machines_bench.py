"""How `bench.machines` counts what people waited for, and that it tries what is written for others."""

import pytest

from bench.machines.parts import ACL, PGBOUNCER
from bench.machines.people import Times
from thuesim_site.start.environment import BASE_DIR


def test_the_longest_wait_is_one_that_reaches_into_the_span() -> None:
    times = Times()
    times.good["one"] = [0.0, 50.0, 51.0, 58.0, 60.0]
    times.good["two"] = [52.0, 55.0]
    assert times.longest(since=56.0, until=60.0) == 7.0  # the first one's, from before the span


def test_who_never_came_back_waits_until_the_end() -> None:
    times = Times()
    times.good["one"] = [10.0]
    assert times.longest(since=5.0, until=40.0) == 30.0


@pytest.mark.parametrize("page", ["several-machines.md", "several-machines.vi.md"])
def test_what_stands_in_the_documents_is_what_was_tried(page: str) -> None:
    text = (BASE_DIR / "docs" / page).read_text()
    assert ACL.replace(">secret", ">PASSWORD") in text
    assert PGBOUNCER in text
