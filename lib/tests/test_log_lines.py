"""A log line's time says in which zone it is."""

import logging
import os
import time
from datetime import datetime, timedelta

import pytest

from lib.log_lines import Lines


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
