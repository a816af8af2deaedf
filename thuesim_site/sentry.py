"""Errors for Sentry, where `SENTRY_DSN` names a project: what failed and where, without what it was about.

An event has the classes of the exceptions with their files and lines, the text of a log line without its arguments, the
release, the process, and the method and path of the request. It has no messages of exceptions, which quote numbers, texts
and SQL; no local variables, bodies, cookies, headers, people or arguments of tasks. What remains is cleaned as the log is.
"""

import os
import re
from typing import Any

from django.conf import settings

from thuesim_site.redaction import clean
from thuesim_site.start.environment import version

# Of an event, as Sentry names its parts. Everything else is left out, also what a later version of the library adds.
_PARTS = {
    "event_id", "timestamp", "platform", "level", "logger", "release", "environment", "server_name", "transaction",
    "tags", "sdk",
}  # fmt: skip
_OF_EXCEPTION = {"type", "module"}
_OF_FRAME = {"filename", "function", "module", "lineno", "in_app"}
_PERSONAL = re.compile(r"[^\s@/<>\"']+@[^\s@/<>\"']+|\+?\d[\d. -]{2,}\d")  # e-mail addresses, numbers, codes


def start(*, release: str = "") -> None:
    """Send the errors of this process from now on; nothing where `SENTRY_DSN` is empty."""
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    process = os.environ.get("DESK_PROCESS", "manage")
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=f"thuesim-desk@{release or version()}",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(middleware_spans=False, signals_spans=False),
            CeleryIntegration(propagate_traces=False),
            DedupeIntegration(),  # an exception that is logged as well is one event
            LoggingIntegration(level=None),  # no breadcrumbs; what is logged as an error is an event
        ],
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        send_client_reports=False,
        auto_session_tracking=False,
        before_send=scrub,
    )
    sentry_sdk.set_tag("process", process)
    sentry_sdk.set_tag("role", process.partition("-")[0])


def scrub(event: Any, hint: Any) -> Any:
    """Return an event with what Sentry may know, and nothing else."""
    kept = {name: part for name, part in event.items() if name in _PARTS}
    if exceptions := (event.get("exception") or {}).get("values"):
        kept["exception"] = {"values": [_exception(one) for one in exceptions]}
    if text := (event.get("logentry") or {}).get("message") or event.get("message"):
        kept["logentry"] = {"message": _impersonal(str(text))}
    if request := event.get("request"):
        path = str(request.get("url", "")).partition("?")[0].partition("://")[2].partition("/")[2]
        kept["request"] = {"method": request.get("method"), "url": _impersonal(f"/{path}")}
    return kept


def _exception(exception: Any) -> dict[str, Any]:
    frames = (exception.get("stacktrace") or {}).get("frames") or []
    return {
        **{name: exception.get(name) for name in _OF_EXCEPTION},
        "stacktrace": {"frames": [{name: frame.get(name) for name in _OF_FRAME} for frame in frames]},
    }


def _impersonal(text: str) -> str:
    return _PERSONAL.sub("…", clean(text))
