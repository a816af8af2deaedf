import threading
from collections.abc import Set

import pytest

from lib.tally import Tally


def everything(key: str, known: Set[str]) -> str | None:
    return key


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("lib.tally.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_values_of_one_key_are_summed_and_taken_once() -> None:
    tally = Tally[str, int](everything)
    for key in ("a", "b", "a"):
        tally.add(key, 2)
    assert tally.is_due()
    assert tally.take() == {"a": 4, "b": 2}
    assert tally.take() == {}
    assert not tally.is_due()


def test_what_could_not_be_written_is_put_back_with_what_came_meanwhile() -> None:
    tally = Tally[str, int](everything)
    tally.add("a", 1)

    def write_in_vain() -> None:
        with tally.taken():
            tally.add("a", 10)
            raise OSError

    with pytest.raises(OSError):
        write_in_vain()
    assert tally.take() == {"a": 11}


def test_what_was_written_is_not_put_back() -> None:
    tally = Tally[str, int](everything)
    tally.add("a", 1)
    with tally.taken() as sums:
        assert sums == {"a": 1}
    assert tally.take() == {}


def test_a_key_rests_for_its_pause_after_it_was_taken(clock: Clock) -> None:
    tally = Tally[str, int](everything, pause_seconds=10)
    tally.add("a", 1)
    assert tally.take() == {"a": 1}
    tally.add("a", 2)
    tally.add("b", 3)
    assert tally.take() == {"b": 3}
    clock.now += 9
    assert not tally.is_due()
    clock.now += 1
    assert tally.is_due()
    assert tally.take() == {"a": 2}


def test_the_keys_are_bounded_by_who_admits_them() -> None:
    def two_at_most(key: str, known: Set[str]) -> str | None:
        return key if len(known) < 2 else "other" if key == "c" else None

    tally = Tally[str, int](two_at_most)
    for key in ("a", "b", "c", "d", "a"):
        tally.add(key, 1)
    assert tally.take() == {"a": 2, "b": 1, "other": 1}


@pytest.mark.parametrize(("pause_seconds", "known"), [(0, set()), (10, {"a"})])
def test_a_key_that_was_taken_stays_known_only_where_it_has_a_pause(
    clock: Clock, pause_seconds: float, known: set[str]
) -> None:
    seen: list[Set[str]] = []

    def watching(key: str, known: Set[str]) -> str | None:
        seen.append(known)
        return key

    tally = Tally[str, int](watching, pause_seconds=pause_seconds)
    tally.add("a", 1)
    tally.take()
    tally.add("b", 1)
    assert seen == [set(), known]


def test_forgetting_drops_sums_and_pauses(clock: Clock) -> None:
    tally = Tally[str, int](everything, pause_seconds=10)
    tally.add("a", 1)
    tally.take()
    tally.add("a", 1)
    tally.forget()
    assert not tally.is_due()
    tally.add("a", 1)
    assert tally.take() == {"a": 1}


def test_no_value_is_lost_or_counted_twice_between_threads() -> None:
    tally = Tally[str, int](everything)
    written: list[int] = []

    def count() -> None:
        for _ in range(2000):
            tally.add("a", 1)

    def write() -> None:
        for _ in range(200):
            written.extend(tally.take().values())

    threads = [threading.Thread(target=work) for work in (count, count, count, write, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written.extend(tally.take().values())
    assert sum(written) == 6000
