"""What an error page may tell, and a report of it."""

from pprint import pformat
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

from thuesim import redact

LONGEST = 4096  # characters of one variable


class _Shown:
    """A variable as the page prints it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class CautiousReport(SafeExceptionReporterFilter):
    """Django's filter, with DEBUG as well; and no variable shows a token, or what came in a form's secret field."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_traceback_frame_variables(self, request: Any, tb_frame: FrameType) -> Any:
        secrets = _sent(request)
        found = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, _Shown(redact(_text(value), *secrets))) for name, value in found]


def _text(value: object) -> str:
    try:
        return pformat(value)[:LONGEST]
    except Exception as error:  # noqa: BLE001 - whatever a half-made object raises, the page goes on
        return f"({type(error).__name__} while it was printed)"


def _sent(request: HttpRequest | None) -> list[str]:
    """The values of the form's secret fields."""
    names = getattr(request, "sensitive_post_parameters", ())
    if request is None or not names:
        return []
    return [text for name in (request.POST if names == "__ALL__" else names) for text in request.POST.getlist(name)]
