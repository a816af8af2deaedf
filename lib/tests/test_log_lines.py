"""A log line's time says in which zone it is."""

import json
import logging
import os
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from lib.log_lines import JsonLines, Lines, about


@pytest.mark.parametrize(("zone", "offset"), [("Asia/Ho_Chi_Minh", "+07:00"), ("UTC", "+00:00")])
def test_the_time_has_its_offset(monkeypatch: pytest.MonkeyPatch, zone: str, offset: str) -> None:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        record = logging.LogRecord("desk", logging.INFO, "", 0, "started", (), None)
        line = Lines("{asctime} {message}", style="{").format(record)
    finally:
        monkeypatch.undo()
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()
    at, message = line.split(" ")
    assert message == "started"
    assert at.endswith(offset)
    assert abs(datetime.fromisoformat(at).timestamp() - record.created) < timedelta(seconds=1).total_seconds()


def json_line(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonLines().format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def test_a_json_line_names_what_it_is_about() -> None:
    record = logging.LogRecord("rentals.jobs", logging.WARNING, "", 0, "no answer for %s", ("đơn",), None)
    with about(token=3), about(rental=15):
        line = json_line(record)
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "rentals.jobs", "no answer for đơn")
    assert (line["token"], line["rental"]) == (3, 15)
    assert datetime.fromisoformat(line["at"]).utcoffset() is not None
    assert {"token", "rental", "request", "error", "traceback"}.isdisjoint(json_line(record))


def test_a_json_line_has_the_error_and_its_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        record = logging.LogRecord("desk", logging.ERROR, "", 0, "failed", (), (ValueError, error, error.__traceback__))
    line = json_line(record)
    assert line["error"] == "ValueError"
    assert line["traceback"].endswith("ValueError: broken")
