"""Write what happened for the team's destinations, in the transaction in which it happened. Workers send it.

So an event is lost only with what it tells of. Where a team has no destination that wants it, this is one query.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import Team, User
from lib.time_zones import desk_time
from rentals import enqueue
from rentals.models import Delivery, Destination, Message, OutgoingEvent, Rental, Token, reason_code
from thuesim import phones

# A code is of no use to anyone for longer after the number's own time.
CODE_LIFE = timedelta(hours=1)


def about_rental(rental: Rental, event: OutgoingEvent, *, message: Message | None = None) -> None:
    """Write an event of a rental. Call it inside the transaction of the change."""
    wanting = [
        one
        for one in _switched_on(rental.team_id)
        if one.wants(event, service=rental.service.key, person=rental.person_id)
    ]
    if not wanting:
        return
    data: dict[str, Any] = {"rental": rental_data(rental)}
    if message is not None:
        data["message"] = {
            "id": message.pk,
            "at": _time(message.at),
            "is_call": message.is_call,
            "has_code": bool(message.code),
            "late": rental.expires_at is not None and message.at > rental.expires_at,
        }
    drop_after = (rental.expires_at or timezone.now()) + CODE_LIFE if message is not None else None
    _write(wanting, event, data, rental=rental, message=message, drop_after=drop_after)
    # What waits for its next try goes first, so this one would wait as long.
    waiting = Delivery.objects.filter(destination__in=wanting, rental=rental, state=Delivery.State.PENDING)
    waiting.filter(attempts__gt=0).update(next_try=timezone.now())


def about_token(token: Token, event: OutgoingEvent, **data: object) -> None:
    """Write an event of a token, for each of its teams. Call it inside the transaction of the change."""
    destinations = list(Destination.objects.filter(team__tokens=token, off_reason=""))
    _write([one for one in destinations if one.wants(event)], event, {"token": _token_data(token), **data})


def balance_changed(token: Token, before: int | None, after: int) -> None:
    """Write that a balance fell below what a team wants to be warned of. `before` and `after` are đồng."""
    if before is not None and after >= before:
        return
    low = Team.objects.filter(tokens=token, low_balance__gt=after)
    if before is not None:
        low = low.filter(low_balance__lte=before)
    for team in low:
        data = {"token": _token_data(token), "balance": after, "warn_below": team.low_balance}
        event = OutgoingEvent.BALANCE_LOW
        _write([one for one in _switched_on(team.pk) if one.wants(event)], event, data)


def about_budget(team_id: int, person: User | None, **data: object) -> None:
    """Write that a budget is nearly used up or is; `person` is whose it is, None for the team's."""
    event = OutgoingEvent.BUDGET_WARNING
    wanting = [
        one
        for one in _switched_on(team_id)
        if one.wants(event) and (person is None or one.person_id in {None, person.pk})
    ]
    _write(wanting, event, {"person": _person_data(person), **data})


def _switched_on(team_id: int) -> list[Destination]:
    return list(Destination.objects.filter(team=team_id, off_reason=""))


def _write(wanting: list[Destination], event: OutgoingEvent, data: Mapping[str, Any], **fields: Any) -> None:
    now = timezone.now()
    Delivery.objects.bulk_create(
        [Delivery(destination=one, event=event, at=now, next_try=now, data=data, **fields) for one in wanting]
    )
    for one in wanting:
        enqueue.deliver(one.pk)


def rental_data(rental: Rental) -> dict[str, Any]:
    """Return what is told of a rental: the same words as in the API. No code, no text, no token."""
    number = phones.forms(rental.phone)
    return {
        "id": rental.pk,
        "upstream_id": rental.upstream_id,
        "status": str(rental.status),
        "service": {"id": rental.service.key, "name": rental.service.name},
        "network": rental.network,
        "phone": number
        and {"national": number.national, "international": number.international, "digits": number.digits},
        "price": rental.price,
        "purpose": rental.purpose,
        "person": _person_data(rental.person),
        "queued_at": _time(rental.queued_at),
        "placed_at": _time(rental.placed_at),
        "expires_at": _time(rental.expires_at),
        "received_at": _time(rental.received_at),
        "ended_at": _time(rental.ended_at),
        "reason": reason_code(rental.reason),
    }


def _person_data(person: User | None) -> dict[str, object] | None:
    return {"id": person.pk, "name": str(person)} if person is not None else None


def _token_data(token: Token) -> dict[str, object]:
    return {"id": token.pk, "name": token.name}


def _time(at: datetime | None) -> str | None:
    return desk_time(at).isoformat(timespec="milliseconds") if at is not None else None
