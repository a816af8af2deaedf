"""How a log line tells its time: ISO 8601 with the offset, such as 2026-11-26T21:06:03.512+07:00."""

import logging
from datetime import datetime


class Lines(logging.Formatter):
    """A formatter whose `asctime` says in which zone it is: the machine's own, which Django sets to `TIME_ZONE`."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
