"""Errors of the API: problem documents (RFC 9457) with a stable `code`, and `errors` by field."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from rentals import orders
from rentals.models import reason_code

CONTENT_TYPE = "application/problem+json"
MAX_ERRORS = 20

# What a status means where no call has said more: the code, and the sentence.
_BY_STATUS: Mapping[int, tuple[str, str | Promise]] = {
    400: ("invalid", gettext_lazy("The request cannot be read.")),
    401: ("unauthorized", gettext_lazy("Send a key: “Authorization: Bearer desk_…”.")),
    403: ("forbidden", gettext_lazy("This is not allowed.")),
    404: ("not_found", gettext_lazy("There is no such thing, or it is another team's.")),
    405: ("method_not_allowed", gettext_lazy("This address does not take this method.")),
    408: ("request_timeout", gettext_lazy("The request did not come in time. Nothing was ordered; try again.")),
    413: ("too_large", gettext_lazy("The request is too large.")),
    415: ("unsupported_media_type", gettext_lazy("Send the body as JSON, with “Content-Type: application/json”.")),
    416: ("invalid", gettext_lazy("The recording does not have this part.")),
    422: ("invalid", gettext_lazy("Something in the request is wrong: see “errors”.")),
    429: ("rate_limited", gettext_lazy("Too many requests. Wait as “Retry-After” says.")),
    503: ("unavailable", gettext_lazy("The desk cannot work for a moment. Nothing was ordered; try again.")),
}
_FAILED = ("internal", gettext_lazy("The desk made a mistake. It is logged; try again, or tell an admin."))

# Of the codes with which an order is refused.
_STATUSES = {"forbidden": 403, "rate_limited": 429, "unavailable": 503, "invalid": 422}
# The order form names this field otherwise.
_FIELDS = {"keep_trying": "keep_trying_minutes"}


class Problem(Exception):
    """An error that a call answers with. `errors` are (field, sentence)."""

    def __init__(
        self,
        status: int,
        code: str = "",
        detail: str | Promise = "",
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        usual_code, usual_detail = _BY_STATUS.get(status, _FAILED)
        super().__init__(code or usual_code)
        self.http_status, self.code, self.detail = status, code or usual_code, str(detail or usual_detail)
        self.errors, self.headers, self.more = list(errors)[:MAX_ERRORS], dict(headers or {}), dict(more or {})

    def response(self) -> HttpResponse:
        """Return the problem document."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": self.code.replace("_", " "),
            "status": self.http_status,
            "code": self.code,
            "detail": self.detail,
            "errors": [{"field": field, "detail": sentence} for field, sentence in self.errors],
            **self.more,
        }
        body = json.dumps(document, ensure_ascii=False)
        response = HttpResponse(body, status=self.http_status, content_type=CONTENT_TYPE, headers=self.headers)
        response.headers["Cache-Control"] = "no-store"
        if self.http_status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="ThueSim Desk"'
        return response


def wrong_field(field: str, sentence: str | Promise) -> Problem:
    """Return the problem of one field or parameter."""
    return Problem(422, errors=[(field, str(sentence))])


def of_refusal(refused: orders.OrderRefused) -> Problem:
    """Return the problem of an order that was not taken."""
    code = reason_code(refused.reason) or "invalid"
    field = _FIELDS.get(refused.field, refused.field)
    more = {"price": refused.price} if isinstance(refused, orders.PriceRose) else {}
    headers = (
        {"Retry-After": "60"} if code == "rate_limited" else {"Retry-After": "30"} if code == "unavailable" else {}
    )
    return Problem(
        _STATUSES.get(code, 409),
        code,
        refused.sentence,
        errors=[(field, refused.sentence)] if field else [],
        headers=headers,
        more=more,
    )


def of_validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem of what the schemas refuse. Each field is named as it was sent."""
    return Problem(422, errors=[(_field(error["loc"]), _sentence(error)) for error in errors])


def _field(location: Sequence[object]) -> str:
    # ("body", NAME OF THE ARGUMENT, FIELD, …) or ("query", NAME)
    parts = location[2:] if location and location[0] == "body" else location[1:]
    if parts and parts[0] == "filters":  # an item of a list, as ("query", NAME OF THE ARGUMENT, NAME, INDEX)
        parts = parts[1:2]
    return ".".join(str(part) for part in parts) or "body"


def _sentence(error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    match error.get("type"):
        case "missing":
            return _("This is required.")
        case "extra_forbidden":
            return _("There is no such field.")
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return _("This is no whole number.")
        case "string_type" | "list_type" | "model_attributes_type" | "model_type" | "dict_type":
            return _("This has the wrong type.")
        case "greater_than_equal":
            return _("This must be at least %(n)s.") % {"n": context.get("ge")}
        case "less_than_equal":
            return _("This must be at most %(n)s.") % {"n": context.get("le")}
        case "string_too_long" | "too_long":
            return _("This is longer than %(n)s.") % {"n": context.get("max_length")}
        case "literal_error" | "enum":
            values = str(context.get("expected")).replace("'", "").replace(" or ", ", ")
            return _("This must be one of: %(values)s.") % {"values": values}
    return _("This value is not understood.")
