"""What all calls share: how one is declared, the errors that each may answer with, and the request as they see it."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from ninja import Router

from accounts.models import Scope
from api import schemas
from api.authentication import ApiRequest, Bearer, only_parameters
from api.rate_limits import PER_MINUTE

View = TypeVar("View", bound=Callable[..., Any])
PROBLEMS = (400, 401, 403, 404, 405, 422, 429, 500, 503)
ORDER_PROBLEMS = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503)


class Calls(Router):
    """The calls of one subject. Each is declared with a summary, what it answers, and the `name` of its address."""

    def reads(
        self,
        path: str,
        scope: Scope | None,
        summary: str,
        answer: Any,
        *,
        name: str,
        takes: Collection[str] = (),
        also: Collection[int] = (),
        per_minute: int = PER_MINUTE,
    ) -> Callable[[View], View]:
        """Declare a GET for keys that have the scope, None for any. `takes` are its query parameters, `also` the problems
        that it may answer with beside those of all calls."""
        answers = {200: answer, tuple(sorted({*PROBLEMS, *also})): schemas.Problem}
        operation = self.get(
            path, auth=Bearer(scope, per_minute=per_minute), response=answers, summary=summary, url_name=name
        )
        return lambda view: operation(only_parameters(*takes)(view))

    def writes(self, path: str, summary: str, *, name: str, status: int = 200) -> Callable[[View], View]:
        """Declare a POST that orders or changes a rental, and answers it."""
        answers = {status: schemas.Rental, ORDER_PROBLEMS: schemas.Problem}
        auth = Bearer(Scope.RENTALS_WRITE)
        operation = self.post(path, auth=auth, response=answers, summary=summary, url_name=name)
        return lambda view: operation(only_parameters()(view))


def asked(request: HttpRequest) -> ApiRequest:
    """Return the request as `authentication.Bearer` has set it up."""
    return cast("ApiRequest", request)
