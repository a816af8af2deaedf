"""Who calls: the key in `Authorization: Bearer …`, its scope, its rate limit. A cookie plays no part."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.security import HttpBearer

from accounts import api_keys
from accounts.api_keys import KeyRefused
from accounts.models import ApiKey, Role, Scope, User
from accounts.policy import Access
from accounts.sign_in import throttle
from api.problems import Problem, wrong_field
from api.rate_limits import PER_MINUTE, Usage, counter

F = TypeVar("F", bound=Callable[..., Any])

# In the WSGI environ of a request that `api.holding` repeats for a wait that it holds: such a one is counted once.
HELD = "desk.held"


class ApiRequest(HttpRequest):
    """A program's request. `access` says what it may do, `reader` what it may read: without `codes:read`, no code."""

    api_key: ApiKey
    person: User
    access: Access
    reader: Access


class Bearer(HttpBearer):
    """Lets a key in that has the scope; without one, any key."""

    def __init__(self, scope: Scope | None = None, *, per_minute: int = PER_MINUTE) -> None:
        super().__init__()
        self.scope, self.per_minute = scope, per_minute

    def __call__(self, request: HttpRequest) -> ApiKey:
        kind, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise Problem(401)
        return self.authenticate(request, secret.strip())

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        """Return the key, and set the request up as an `ApiRequest`. Raises `Problem`."""
        try:
            caller = api_keys.authenticate(token, request)
        except KeyRefused as refused:
            if refused.wrong and throttle.too_many_wrong_secrets(request):
                raise Problem(429, headers={"Retry-After": "60"}) from None
            raise Problem(401, detail=refused.sentence) from None
        key = caller.key
        is_repeated = request.META.get(HELD) in {"again", "last"}
        usage = counter.count(key.pk, self.per_minute, requests=0 if is_repeated else 1)
        request.rate_limit = usage  # type: ignore[attr-defined]
        if usage.is_exceeded and not is_repeated:
            raise Problem(429, headers=usage.headers)
        if self.scope is not None:
            require(key, self.scope)
        access = caller.access
        request.person = key.person  # type: ignore[attr-defined]
        request.access = access  # type: ignore[attr-defined]
        # What a viewer may read is what `rentals:read` alone gives: also a search finds nothing in what it masks.
        request.reader = access if caller.has(Scope.CODES_READ) else replace(access, role=Role.VIEWER)  # type: ignore[attr-defined]
        return key


def require(key: ApiKey, scope: Scope) -> None:
    """Raise `Problem` where the key lacks the scope."""
    if scope not in key.scopes:
        sentence = _("This key lacks the scope “%(scope)s”.") % {"scope": scope.value}
        raise Problem(403, detail=sentence, more={"scope": scope.value})


def usage_of(request: HttpRequest) -> Usage | None:
    """Return what the request's key has used of its rate limit; None for a request without a key."""
    usage: Usage | None = getattr(request, "rate_limit", None)
    return usage


def only_parameters(*parameters: str) -> Callable[[F], F]:
    """Refuse a call with a query parameter that it does not know: a misspelt filter must not find everything."""

    def decorate(call: F) -> F:
        @wraps(call)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            for name in request.GET:
                if name not in parameters:
                    raise wrong_field(name, _("There is no such parameter."))
            return call(request, *args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate
