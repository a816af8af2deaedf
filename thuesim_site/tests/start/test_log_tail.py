from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from thuesim_site.start.log_tail import LogTail


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "web.log"
    path.write_text("yesterday\n")
    return path


@pytest.fixture
def tail(log: Path, said: list[str]) -> Iterator[LogTail]:
    with closing(LogTail({"web": log, "worker": log.with_name("worker.log")}, said.append)) as tail:
        yield tail


def test_only_what_is_new_is_said_with_its_name(tail: LogTail, log: Path, said: list[str]) -> None:
    with log.open("a") as file:
        file.write("one\ntwo\n")
    tail.pump()
    assert said == ["   web | one", "   web | two"]


def test_half_a_line_waits_for_its_end(tail: LogTail, log: Path, said: list[str]) -> None:
    with log.open("a") as file:
        file.write("ha")
        file.flush()
        tail.pump()
        file.write("lf\n")
    tail.pump()
    assert said == ["   web | half"]


def test_a_file_that_comes_later_is_read_from_its_start(tail: LogTail, log: Path, said: list[str]) -> None:
    log.with_name("worker.log").write_text("hello\n")
    tail.pump()
    assert said == ["worker | hello"]


def test_a_rotated_file_is_read_to_its_end(tail: LogTail, log: Path, said: list[str]) -> None:
    with log.open("a") as file:
        file.write("last of the old\n")
    log.rename(log.with_name("web.log.1"))
    log.write_text("first of the new\n")
    tail.pump()
    tail.pump()
    assert said == ["   web | last of the old", "   web | first of the new"]


def test_bytes_that_are_no_text_do_not_stop_it(tail: LogTail, log: Path, said: list[str]) -> None:
    with log.open("ab") as file:
        file.write(b"\xff\n")
    tail.pump()
    assert said == ["   web | \ufffd"]
