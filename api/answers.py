"""What all calls share: the errors that each may answer with, and the request as they see it."""

from typing import cast

from django.http import HttpRequest

from api import schemas
from api.authentication import ApiRequest

PROBLEMS = {(400, 401, 403, 404, 405, 422, 429, 500, 503): schemas.Problem}
ORDER_PROBLEMS = {(400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503): schemas.Problem}


def asked(request: HttpRequest) -> ApiRequest:
    """Return the request as `authentication.Bearer` has set it up."""
    return cast("ApiRequest", request)
