"""How `bench.machines` counts what people waited for."""

from bench.machines.people import Times


def test_the_longest_wait_is_one_that_reaches_into_the_span() -> None:
    times = Times()
    times.good["one"] = [0.0, 50.0, 51.0, 58.0, 60.0]
    times.good["two"] = [52.0, 55.0]
    assert times.longest(since=56.0, until=60.0) == 7.0  # the first one's, from before the span


def test_who_never_came_back_waits_until_the_end() -> None:
    times = Times()
    times.good["one"] = [10.0]
    assert times.longest(since=5.0, until=40.0) == 30.0
