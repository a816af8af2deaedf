"""The team's events as a stream (text/event-stream), which goes on where `Last-Event-ID` says, from the database.

The view answers with what is there. `api.holding` keeps the client's request and asks here again whenever something of the
team changed; `sent` then names the events of the last seconds that it has passed on, since one with a smaller number may be
committed later.
"""

import json
from datetime import timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Scope
from api import rendering
from api.answers import Calls, asked
from api.authentication import HELD
from api.calls.waiting import HOLD
from api.problems import wrong_field
from lib.web.query_params import whole_number
from rentals.models import EventKind, Rental, RentalEvent

router = Calls()
KEPT = timedelta(hours=1)
OVERLAP = timedelta(seconds=10)
MAX_EVENTS = 200  # in one part of the stream
SENT = "desk.sent"
RETRY_MS = 2000

_NAMES = {
    EventKind.RENTED: "rental.number",
    EventKind.RECEIVED: "rental.code",
    EventKind.MESSAGE: "rental.code",
    EventKind.EXPIRED: "rental.expired",
    EventKind.REFUSED: "rental.refused",
    EventKind.CANCELLED: "rental.cancelled",
    EventKind.REFUNDED: "rental.refunded",
}
OTHER = "rental.changed"


@router.reads("/events", Scope.RENTALS_READ, "The team's events", str, name="events")
def events(request: HttpRequest) -> HttpResponse:
    """Each event's data is `{"id", "event", "at", "rental"}`; the rental is as it is now. Events: `rental.number`,
    `rental.code`, `rental.expired`, `rental.refused`, `rental.cancelled`, `rental.refunded`, `rental.changed`."""
    caller, now = asked(request), timezone.now()
    all_events = RentalEvent.objects.filter(rental__in=Rental.objects.visible_to(caller.access), at__gt=now - KEPT)
    held = request.META.get(HELD)
    text = request.headers.get("Last-Event-ID", "")
    last = whole_number(text)
    if text and last is None:  # else the client would believe that it has missed nothing
        raise wrong_field("Last-Event-ID", _("Send the number of the last event, or leave it out."))
    sent: list[int] = request.META.get(SENT) or []
    if held == "again":
        late = Q(at__gt=now - OVERLAP) & ~Q(pk__in=sent)
        start: int = request.META["desk.start"]
        chosen = all_events.filter(Q(pk__gt=max(sent, default=start)) | late & Q(pk__gt=start))
    elif last is not None:
        chosen, start = all_events.filter(pk__gt=last), last
    else:
        newest = all_events.order_by("-pk").values_list("pk", flat=True).first() or 0
        chosen, start = all_events.none(), newest
    part = list(chosen.order_by("pk")[:MAX_EVENTS])
    rentals = Rental.objects.for_cards().filter(pk__in={event.rental_id for event in part})
    by_id = {rental.id: rental for rental in rendering.shown(caller, rentals)}
    frames = [_frame(event, by_id[event.rental_id].dict()) for event in part if event.rental_id in by_id]
    response = HttpResponse("".join(frames) or ": nothing new\n\n", content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = (
        "no-store, private, no-transform"  # compressed by a proxy, events would come late
    )
    response.headers["X-Accel-Buffering"] = "no"
    if held == "first":
        response.content = f"retry: {RETRY_MS}\n\n".encode() + response.content
    if held:
        hold = {
            "team": caller.access.team_id,
            "person": caller.person.pk,
            "start": start,
            "sent": [event.pk for event in part],
            "more": len(part) == MAX_EVENTS,
        }
        response.headers[HOLD] = json.dumps(hold)
    return response


def _frame(event: RentalEvent, rental: dict[str, object]) -> str:
    name = _NAMES.get(EventKind(event.kind), OTHER) if event.kind in set(EventKind) else OTHER
    data = {"id": event.pk, "event": name, "at": event.at, "rental": rental}
    body = json.dumps(data, ensure_ascii=False, cls=DjangoJSONEncoder)  # times as in the other answers
    return f"id: {event.pk}\nevent: {name}\ndata: {body}\n\n"
