"""Which values of variables an error page with DEBUG shows."""

from pprint import pformat
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

from thuesim import redact

MAX_CHARACTERS = 4096  # of one variable


class _Printed:
    """A value whose repr is the given text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class CautiousReport(SafeExceptionReporterFilter):
    """Django's filter, active with DEBUG too. It also removes tokens and the values of a form's secret fields."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_traceback_frame_variables(self, request: Any, tb_frame: FrameType) -> Any:
        secrets = _secret_values(request)
        variables = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, _Printed(redact(_text(value), *secrets))) for name, value in variables]


def _text(value: object) -> str:
    try:
        return pformat(value)[:MAX_CHARACTERS]
    except Exception as error:  # noqa: BLE001 - a half-made object may raise anything when printed
        return f"({type(error).__name__} while it was printed)"


def _secret_values(request: HttpRequest | None) -> list[str]:
    """Return the values of the form's fields that the view marked with `sensitive_post_parameters`."""
    names = getattr(request, "sensitive_post_parameters", ())
    if request is None or not names:
        return []
    return [text for name in (request.POST if names == "__ALL__" else names) for text in request.POST.getlist(name)]
