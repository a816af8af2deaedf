"""Wait for a number, a code or the end: answered the moment it is true.

The view answers at once. For a wait that is not over, and that `api.holding` can hold, it answers with the header
`Desk-Hold`; the event loop then keeps the client's request, and asks here again whenever the rental changed.
"""

import json
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Schema
from pydantic import Field

from accounts.models import Scope
from api import rendering, schemas
from api.answers import Calls, asked
from api.authentication import HELD
from api.calls.rentals import visible
from api.rate_limits import WAITS_PER_MINUTE
from rentals.models import Rental, Status

router = Calls()
MAX_SECONDS = 60
HOLD = "Desk-Hold"


class Wish(Schema):
    """What is waited for."""

    wanted: Literal["number", "code", "end"] = Field("code", alias="for", description="What is waited for.")
    after: Annotated[int, Field(ge=0, le=schemas.MAX_ROW)] = Field(
        0, description="Only a message with a larger `id` counts: no code of before is answered as new."
    )
    timeout: int = Field(30, ge=1, le=MAX_SECONDS, description="Seconds.")


@router.reads(
    "/rentals/{int:rental_id}/wait",
    Scope.RENTALS_READ,
    "Wait for a number, a code or the end",
    schemas.Waited,
    name="rental_wait",
    takes=("for", "after", "timeout"),
    per_minute=WAITS_PER_MINUTE,
)
def wait(request: HttpRequest, rental_id: int, wish: Query[Wish]) -> Any:
    """Answers the moment it is true, and at once where it already is. A time-out is no error: wait again, with `after`."""
    caller, rental = asked(request), visible(request, rental_id)
    there = _is_there(rental, wish)
    ended = not there and rendering.is_over(rental)
    if not there and not ended and request.META.get(HELD) in {"first", "again"}:
        held = {"rental": rental.pk, "person": caller.person.pk, "seconds": wish.timeout}
        return HttpResponse(status=204, headers={HOLD: json.dumps(held)})
    shown = rendering.one(caller, rental)
    # A message without a code may get it later, and is then the new one.
    with_code = [message.pk for message in rental.newest_messages if message.code]
    after = max([*with_code, wish.after]) or None
    return schemas.Waited(**shown.dict(), timed_out=not there and not ended, ended=ended, after=after)


def _is_there(rental: Rental, wish: Wish) -> bool:
    if wish.wanted == "number":
        return bool(rental.phone and rental.upstream_id)
    if wish.wanted == "end":
        return rental.status not in Status.open()
    return any(message.code and message.pk > wish.after for message in rental.newest_messages)
