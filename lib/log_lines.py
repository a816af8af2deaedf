"""How a log line tells its time, ISO 8601 with the offset such as 2026-11-26T21:06:03.512+07:00, its process and what it
is about: the request, the token, the rental."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final

_subject: ContextVar[Mapping[str, int | str]] = ContextVar("subject", default={})  # noqa: B039 - never written to


@contextmanager
def about(**ids: int | str) -> Iterator[None]:
    """Let every line that is logged inside the block name these, beside those of the blocks around it."""
    reset = _subject.set({**_subject.get(), **ids})
    try:
        yield
    finally:
        _subject.reset(reset)


def _process() -> str:
    return os.environ.get("DESK_PROCESS", "manage")


class Lines(logging.Formatter):
    """A formatter whose `asctime` says in which zone it is: the machine's own, which Django sets to `TIME_ZONE`.

    `desk_process` is the process as `./run` names it, which is forked after logging was set up; else `manage`.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.desk_process = _process()
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")


class JsonLines(Lines):
    """One JSON object a line, for a log collector: `at`, `level`, `process`, `logger`, `message`, and where there are some
    `request`, `token` and `rental` (keys of the database, but for the request), `error` with its class, and `traceback`.
    """

    _KEYS: Final = ("request", "token", "rental")

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[0] if record.exc_info else None
        subject = _subject.get()
        traceback = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        line = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "process": _process(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: subject[key] for key in self._KEYS if key in subject},
            "error": error.__name__ if error else "",
            "traceback": traceback,
            "stack": record.stack_info or "",
        }
        return json.dumps({key: value for key, value in line.items() if value != ""}, ensure_ascii=False)
