"""What an error page with DEBUG shows: variables, forms and settings, without the secrets in them."""

from pprint import pformat
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from thuesim_site.redaction import MIN_VALUE_LENGTH, clean

MAX_CHARACTERS = 4096  # of one variable


class _Printed:
    """A value whose repr is the given text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class CautiousReport(SafeExceptionReporterFilter):
    """Django's filter, active with DEBUG too. It also removes what has a secret's form or a secret's value."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_traceback_frame_variables(self, request: Any, tb_frame: FrameType) -> Any:
        secrets = _secret_values(request)
        variables = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, _Printed(clean(_text(value), *secrets)[:MAX_CHARACTERS])) for name, value in variables]

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        """Fields with a name such as `password` are hidden, whether the view marked them or not."""
        return {name: self.cleanse_setting(name, text) for name, text in super().get_post_parameters(request).items()}


class CautiousReporter(ExceptionReporter):
    """Django's report, cleaned as a whole: addresses, messages of exceptions and settings hold secrets, too."""

    def get_traceback_html(self) -> SafeString:
        return mark_safe(clean(super().get_traceback_html(), *_secret_values(self.request)))  # noqa: S308 - escaped by Django's

    def get_traceback_text(self) -> SafeString:
        return mark_safe(clean(super().get_traceback_text(), *_secret_values(self.request)))  # noqa: S308 - plain text


def _text(value: object) -> str:
    try:
        return pformat(value)
    except Exception as error:  # noqa: BLE001 - a half-made object may raise anything when printed
        return f"({type(error).__name__} while it was printed)"


def _secret_values(request: HttpRequest | None) -> list[str]:
    """Return the request's own secrets: its cookies, the secrets in its path, and its form's secret fields.

    A field is one where the view marked it with `sensitive_post_parameters`, or has a name such as `password`.
    """
    if request is None:
        return []
    match = request.resolver_match
    marked = getattr(request, "sensitive_post_parameters", ())
    hidden = SafeExceptionReporterFilter.hidden_settings.search
    fields = [name for name in request.POST if marked == "__ALL__" or name in marked or hidden(name)]
    in_path = [str(text) for name, text in match.kwargs.items() if hidden(name)] if match else []
    own = [text for text in (*request.COOKIES.values(), *in_path) if len(text) >= MIN_VALUE_LENGTH]
    return own + [text for name in fields for text in request.POST.getlist(name)]
