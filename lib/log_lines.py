"""How a log line tells its time, ISO 8601 with the offset such as 2026-11-26T21:06:03.512+07:00, and its process."""

import logging
import os
from datetime import datetime


class Lines(logging.Formatter):
    """A formatter whose `asctime` says in which zone it is: the machine's own, which Django sets to `TIME_ZONE`.

    `desk_process` is the process as `./run` names it, which is forked after logging was set up; else `manage`.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.desk_process = os.environ.get("DESK_PROCESS", "manage")
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
