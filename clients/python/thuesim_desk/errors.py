"""What a call to the desk raises, but for what became of a rental: see `rental`. All are `DeskError`; `code` is the stable
word of the desk's problem document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


class DeskError(Exception):
    """Something went wrong. `code` never changes with the language; `detail` is for people.

    `status` is the HTTP status, 0 where there was no answer. `errors` has what is wrong with which field, as
    `{"field": "networks", "detail": "…"}`. `transient`: whether the same request may succeed a moment later; the client
    sends it again by itself.
    """

    code: str = "error"
    transient: bool = False

    def __init_subclass__(cls, *, code: str = "", transient: bool = False) -> None:
        """Give a class its usual code: its name in snake case, unless it has another one."""
        super().__init_subclass__()
        cls.code = code or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.transient = transient

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        status: int = 0,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail, self.status, self.errors, self.retry_after = detail, status, list(errors), retry_after
        self.code = code or type(self).code

    def __str__(self) -> str:
        fields = "; ".join(f"{error['field']}: {error['detail']}" for error in self.errors)
        return f"{fields or self.detail} [{self.code}]"


class Unauthorized(DeskError):
    """The key is unknown, expired or revoked, or may not be used from this address."""


class Forbidden(DeskError):
    """The key lacks a scope (`detail` names it), or its person may not do this."""


class NotFound(DeskError):
    """There is no such rental or service, or it belongs to another team."""


class Invalid(DeskError):
    """A field is wrong: see `errors`."""


class Conflict(DeskError):
    """The rental's status does not allow this, as when a number that waits shall be cancelled."""


class IdempotencyMismatch(DeskError):
    """The idempotency key was used for another order."""


class IdempotencyInProgress(DeskError, transient=True):
    """The first order with this idempotency key is still under way."""


class RateLimited(DeskError, transient=True):
    """Too many calls. `retry_after` (seconds) is what the desk asked for."""


class ServerError(DeskError, transient=True):
    """The desk or its upstream failed (5xx)."""


class Unreachable(DeskError, transient=True):
    """No answer, or half of one: a lost connection, a restart, a time-out."""


class UnexpectedAnswer(DeskError):
    """What answered does not speak the desk's API: a wrong address, a proxy's page, an untrusted certificate."""


# Problems that are final at any HTTP status: the order would be refused again.
ORDER_REFUSED = frozenset(
    {"insufficient_balance", "budget_exceeded", "service_unavailable", "out_of_stock", "price_exceeded"}
)
_BY_CODE: dict[str, type[DeskError]] = {
    error.code: error
    for error in (Unauthorized, Forbidden, NotFound, Invalid, IdempotencyMismatch, IdempotencyInProgress, RateLimited)
}
_BY_STATUS: dict[int, type[DeskError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unreachable,
    409: Conflict,
    422: Invalid,
    429: RateLimited,
}


def from_problem(status: int, problem: Mapping[str, Any], retry_after: float | None) -> DeskError:
    """Return the error for an answer of 400 or above; `problem` is empty where it was no problem document."""
    code = str(problem.get("code") or "")
    detail = str(problem.get("detail") or problem.get("title") or f"the desk answered {status}")
    if code in ORDER_REFUSED:
        return DeskError(detail, code=code, status=status)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or (ServerError if status >= 500 else DeskError)
    fields = [
        error for error in problem.get("errors") or [] if isinstance(error, dict) and {"field", "detail"} <= set(error)
    ]
    return kind(detail, code=code, status=status, errors=fields, retry_after=retry_after)
