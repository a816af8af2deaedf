"""The transitions of one rental, in the order of its life. The package's docstring is the state diagram."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

import thuesim
from accounts import audit
from accounts.models import Team, User
from lib import clock
from rentals import exported_codes, outbox
from rentals.lifecycle import reasons
from rentals.lifecycle.likely_network import likely_network
from rentals.lifecycle.money import put_into_readings
from rentals.models import (
    Delivery,
    EventKind,
    LedgerEntry,
    Message,
    MessageSource,
    OutgoingEvent,
    Rental,
    RentalEvent,
    Service,
    Status,
    Token,
    several_codes,
)

LEGAL: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.PLACING, Status.CANCELLED, Status.REFUSED}),
    Status.PLACING: frozenset({Status.WAITING, Status.QUEUED, Status.REFUSED, Status.UNCONFIRMED}),
    Status.UNCONFIRMED: frozenset({Status.WAITING, Status.REFUSED}),
    Status.WAITING: frozenset({Status.RECEIVED, Status.EXPIRED}),
    Status.EXPIRED: frozenset({Status.RECEIVED}),
    Status.REFUSED: frozenset({Status.WAITING}),
    Status.RECEIVED: frozenset(),
    Status.CANCELLED: frozenset(),
}


# What is told to the team's destinations. A message is told by `message_arrived`, which has it.
OUTGOING = {
    EventKind.RENTED: OutgoingEvent.NUMBER,
    EventKind.EXPIRED: OutgoingEvent.EXPIRED,
    EventKind.REFUSED: OutgoingEvent.REFUSED,
}

# In the detail of a RENTED event: the reply had no price, so the catalog's was booked.
PRICE_ASSUMED = "assumed"


class IllegalTransition(Exception):
    """The state diagram has no such arrow: a mistake in the caller."""


class DuplicateNumber(Exception):
    """The upstream gave an id that another rental of the token already has, so it is not this order's."""


def _move(
    rental: Rental,
    after: Status,
    *,
    kind: EventKind,
    person: User | None = None,
    detail: Mapping[str, Any] | None = None,
    **fields: Any,
) -> bool:
    """Move `rental` from the status it was read with, and write the event. On success the object has the new values.

    False where the row has changed since it was read. Raises `IllegalTransition`.
    """
    before = Status(rental.status)
    if after not in LEGAL[before]:
        raise IllegalTransition(f"{before} → {after}")
    with transaction.atomic(savepoint=False):
        # The attempt is compared too: a stale worker must not end a newer attempt. So is the token: an order that was
        # moved meanwhile must not be placed on its former token.
        unchanged = Rental.objects.filter(pk=rental.pk, status=before, attempts=rental.attempts, token=rental.token_id)
        if not unchanged.update(status=after, **fields):
            return False
        for name, value in fields.items():
            setattr(rental, name, value)
        rental.status = after
        write_event(rental, kind, before=before, person=person, detail=detail)
    return True


def write_event(
    rental: Rental,
    kind: EventKind,
    *,
    before: str = "",
    person: User | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write a line of the timeline, and announce the rental. Call it inside the transaction of the change."""
    RentalEvent.objects.create(
        rental=rental,
        at=timezone.now(),
        kind=kind,
        before=before,
        after=rental.status,
        person=person,
        detail=dict(detail or {}),
    )
    rental.announce()
    if kind in OUTGOING:
        outbox.about_rental(rental, OUTGOING[kind])


@transaction.atomic(savepoint=False)
def queue(
    *, team: Team, person: User, token: Token, service: Service, again_of: Rental | None = None, **fields: Any
) -> Rental:
    """Write a new order. `fields` are the others of its row: networks, prefixes, purpose and so on."""
    now = timezone.now()
    rental = Rental.objects.create(
        team=team,
        person=person,
        token=token,
        service=service,
        again_of=again_of,
        phone=again_of.phone if again_of else "",
        status=Status.QUEUED,
        queued_at=now,
        due_at=now,
        team_max_price=team.max_price,
        **fields,
    )
    write_event(rental, EventKind.ORDERED, person=person, detail=clock.stamp())
    return rental


def cancel(rental: Rental, *, person: User | None) -> bool:
    """Take an order out of the queue. False where it is no longer in it."""
    if rental.status != Status.QUEUED:
        return False
    with transaction.atomic():
        done = _move(
            rental, Status.CANCELLED, kind=EventKind.CANCELLED, person=person, ended_at=timezone.now(), due_at=None
        )
        if done and person is not None:
            audit.record(audit.Action.CANCEL, person=person, team=rental.team, target=audit.about(rental))
    return done


def move_to_token(rental: Rental, token: Token) -> bool:
    """Let another token serve a queued order. False where it is no longer queued on the token it was read with."""
    with transaction.atomic():
        moved = Rental.objects.filter(pk=rental.pk, status=Status.QUEUED, token=rental.token_id).update(token=token)
        if not moved:
            return False
        detail = {"from": rental.token_id, "to": token.pk}
        rental.token = token
        write_event(rental, EventKind.MOVED, before=rental.status, detail=detail)
    return True


def start_attempt(rental: Rental) -> bool:
    """Note that a request for a number is about to leave. Commit it before the request does."""
    attempt = rental.attempts + 1
    return _move(
        rental,
        Status.PLACING,
        kind=EventKind.ASKED,
        detail={"attempt": attempt, "token": rental.token_id, **clock.stamp()},
        attempts=attempt,
        attempt_at=timezone.now(),
        team_max_price=rental.team.max_price,
        reason="",
        reason_detail="",
    )


def requeue(rental: Rental, *, reason: str, detail: str = "", due_at: datetime) -> bool:
    """Put an order that surely got no number back into the queue, to be tried at `due_at`."""
    return _move(
        rental,
        Status.QUEUED,
        kind=EventKind.REQUEUED,
        detail={"reason": reason},
        reason=reason,
        reason_detail=detail[:300],
        due_at=due_at,
    )


def refuse(rental: Rental, *, reason: str, detail: str = "") -> bool:
    """End an order that surely got no number."""
    return _refuse(rental, {"reason": reason, "upstream": detail[:300]}, reason=reason, detail=detail)


def refuse_for_price(rental: Rental, *, reason: str) -> bool:
    """End an order because the service costs too much at its turn. Keeps that price and the limit."""
    rental.team_max_price = rental.team.max_price
    held = next(limit for limit in rental.price_limits if (limit.of == "team") == (reason == reasons.TEAM_PRICE))
    detail = {"reason": reason, "price": rental.service.price, "limit": held.amount, "of": held.of}
    return _refuse(rental, detail, reason=reason, team_max_price=rental.team_max_price)


def _refuse(rental: Rental, event: Mapping[str, Any], *, reason: str, detail: str = "", **fields: Any) -> bool:
    return _move(
        rental,
        Status.REFUSED,
        kind=EventKind.REFUSED,
        detail=event,
        reason=reason,
        reason_detail=detail[:300],
        ended_at=timezone.now(),
        due_at=None,
        **fields,
    )


def unconfirm(rental: Rental, *, reason: str, detail: str = "") -> bool:
    """Note that a number may have been taken, to be settled by the history."""
    return _move(
        rental,
        Status.UNCONFIRMED,
        kind=EventKind.UNCONFIRMED,
        detail={"reason": reason, "upstream": detail[:300]},
        reason=reason,
        reason_detail=detail[:300],
        due_at=timezone.now(),
    )


def number_taken(rental: Rental, rented: thuesim.Rented, *, at: datetime | None = None) -> bool:
    """Give an order its number, and book its price. False where the order has moved on meanwhile.

    `at` is when the number became ours: now, unless the history gives an earlier time. The history import may have
    recorded the number already: that record is merged into the order.

    Raises `DuplicateNumber` where the id belongs to another order.
    """
    at = at or timezone.now()
    fields = _as_rented(rental, rented, at)
    price = fields["price"]
    detail = {"price": price} if rented.price is not None else {"price": price, PRICE_ASSUMED: True}
    with transaction.atomic():
        _lock_for_number(rental)
        given_up = rental.status == Status.REFUSED
        _take_over_imported(rental, fields["upstream_key"])
        try:
            moved = _move(rental, Status.WAITING, kind=EventKind.RENTED, detail=detail, **fields)
        except IntegrityError:  # another order was given the same id since the look-up
            raise DuplicateNumber from None
        if not moved:
            transaction.set_rollback(True)  # the imported record stays as it was
            return False
        _line, booked = LedgerEntry.objects.get_or_create(
            rental=rental,
            kind=LedgerEntry.Kind.RENT,
            defaults={"token_id": rental.token_id, "amount": -(price or 0), "at": at},
        )
        if booked and given_up and rental.attempt_at is not None:
            # The readings since it was given up lacked it; those before, while it was in doubt, are compared with nothing.
            put_into_readings(rental.token_id, -(price or 0), since=rental.attempt_at, until=rental.attempt_at)
    return True


def _lock_for_number(rental: Rental) -> None:
    """Lock the order's row and read its status again.

    The sweep may have moved the order while the reply was on its way. The reply counts all the same if it is of the
    order's latest attempt and the status allows `waiting`.
    """
    locked = Rental.objects.select_for_update(of=("self",)).filter(pk=rental.pk, attempts=rental.attempts).first()
    if locked is not None and Status.WAITING in LEGAL[Status(locked.status)]:
        rental.status = locked.status


def _take_over_imported(rental: Rental, upstream_key: str) -> None:
    """Move what the history import wrote about the number to the order, and delete the imported rental.

    Raises `DuplicateNumber` where the id belongs to another order.
    """
    same_id = Rental.objects.filter(token=rental.token_id, upstream_key=upstream_key).exclude(pk=rental.pk)
    imported = same_id.select_for_update(of=("self",)).first()  # no export notes more of it
    if imported is None:
        return
    if not imported.imported:
        raise DuplicateNumber
    imported.messages.update(rental=rental)
    imported.ledger.update(rental=rental)
    imported.callbacks.update(rental=rental)
    exported_codes.take_over(imported, rental)
    Delivery.objects.filter(rental=imported).update(rental=rental)
    imported.again.update(again_of=rental)
    imported.delete()


def _as_rented(rental: Rental, rented: thuesim.Rented, at: datetime) -> dict[str, Any]:
    """Return the fields of an order that has its number."""
    network = likely_network(rented.phone)
    return {
        "upstream_id": rented.id,
        "upstream_key": thuesim.rental_key(rented.id),
        "phone": rented.phone,
        "network": network,
        "price": rented.price if rented.price is not None else rental.service.price,
        "unasked": _unasked(rental, rented.phone, network),
        "upstream_created_at": rented.created_at,
        "placed_at": at,
        "expires_at": at + timedelta(seconds=rental.service.seconds),
        "due_at": timezone.now(),
        "ended_at": None,
        "reason": "",
        "reason_detail": "",
    }


def phone_learned(rental: Rental, phone: str) -> None:
    """Note the phone number of a rental that was found without it: the history masked it, or a callback was the evidence."""
    if not phone:
        return
    network = likely_network(phone)
    with transaction.atomic():
        unasked = _unasked(rental, phone, network)
        if Rental.objects.filter(pk=rental.pk, phone="").update(phone=phone, network=network, unasked=unasked):
            rental.announce()


def _unasked(rental: Rental, phone: str, network: str) -> list[str]:
    """Return which of the order's filters the number breaks. An unknown network breaks none, nor does a number that is
    not known yet."""
    if not phone:
        return []
    digits = phone.removeprefix("+84")
    broken = []
    if rental.networks and network and network not in rental.networks:
        broken.append("network")
    if rental.prefixes and not digits.startswith(tuple(rental.prefixes)):
        broken.append("prefix")
    if rental.exclude_prefixes and digits.startswith(tuple(rental.exclude_prefixes)):
        broken.append("exclude_prefix")
    if rental.again_of_id and rental.phone and rental.phone != phone:
        broken.append("phone")
    return broken


def fingerprint(message: thuesim.Message) -> str:
    """Return a hash that is the same for one message, whichever way it came.

    A voice call is told by its code, else by the address of its recording; an SMS by its text, white space aside.
    """
    text = " ".join(message.text.split())
    voice_call = f"call:{message.code or message.audio_url or text}"
    identity = voice_call if message.is_call else f"sms:{text or message.code}"
    return hashlib.sha256(identity.encode()).hexdigest()


def message_arrived(
    rental: Rental, message: thuesim.Message, *, source: MessageSource, at: datetime | None = None
) -> bool:
    """Keep a message; the first one turns the rental to `received`. Returns whether anything changed.

    The same message again, by any way, only fills in what was missing: the text where only the code had come.
    """
    at = at or timezone.now()
    with transaction.atomic():
        # The lock (the row's on PostgreSQL, the database's on SQLite) serialises two deliveries of the same message.
        locked = Rental.objects.select_for_update(of=("self",)).filter(pk=rental.pk).first()
        if locked is None or locked.status not in {Status.WAITING, Status.EXPIRED, Status.RECEIVED}:
            return False
        rental.status = locked.status
        rental.attempts = locked.attempts
        kept = list(locked.messages.all())
        earlier = next((old for old in kept if _same(old, message)), None)
        if earlier is not None:
            return _complete(rental, earlier, message)
        kept_message = Message.objects.create(
            rental=rental,
            at=at,
            code=message.code[:40],
            second_code=message.second_code[:40],
            several_codes=several_codes(message.code, message.text),
            text=message.text,
            is_call=message.is_call,
            audio_url=message.audio_url,
            source=source,
            fingerprint=fingerprint(message),
            is_earlier=_said_before(rental, message),
        )
        if rental.status == Status.RECEIVED:
            if message.code and not any(old.code for old in kept):
                _first_code(rental, at)
            write_event(rental, EventKind.MESSAGE, before=rental.status, detail={"by": source})
        else:
            _move(
                rental,
                Status.RECEIVED,
                kind=EventKind.RECEIVED,
                detail={"by": source},
                received_at=at,
                ended_at=at,
                reason="",
                reason_detail="",
            )
        outbox.about_rental(rental, OutgoingEvent.CODE, message=kept_message)
    return True


def _first_code(rental: Rental, at: datetime) -> None:
    """An advert came first. From now on the card stays on the board, and the code fades, as others do."""
    rental.received_at = rental.ended_at = at
    Rental.objects.filter(pk=rental.pk).update(received_at=at, ended_at=at)


def _said_before(rental: Rental, message: thuesim.Message) -> bool:
    """Whether a rental from which this number was rented again got the same message: ThueSim may answer with it at once."""
    if rental.again_of_id is None:
        return False
    same = Message.objects.filter(fingerprint=fingerprint(message)).exclude(rental=rental.pk)
    return same.filter(
        rental__phone=rental.phone, rental__team=rental.team_id, rental__service=rental.service_id
    ).exists()


def _same(old: Message, new: thuesim.Message) -> bool:
    if old.fingerprint == fingerprint(new):
        return True
    # A callback may bring the code alone, and polling the text as well.
    alike = bool(old.code) and old.code in {new.code, new.second_code} and old.is_call == new.is_call
    alike |= bool(new.code) and new.code == old.second_code and old.is_call == new.is_call
    return alike and (not old.text or not new.text)


def _complete(rental: Rental, earlier: Message, message: thuesim.Message) -> bool:
    """Fill the empty fields of a kept message from a delivery that has them."""
    missing = {
        name: getattr(message, name)
        for name in ("text", "code", "audio_url")
        if getattr(message, name) and not getattr(earlier, name)
    }
    if "text" in missing and message.code:  # the text tells which of two codes is meant
        missing |= {"code": message.code[:40], "second_code": message.second_code[:40]}
    if missing:
        Message.objects.filter(pk=earlier.pk).update(**missing, several_codes=None)
        rental.announce()
    if "code" in missing and not earlier.code:
        earlier.refresh_from_db()
        outbox.about_rental(rental, OutgoingEvent.CODE, message=earlier)
    return bool(missing)


def expire(rental: Rental) -> bool:
    """End the wait for a code: the upstream says so, or its time is up and the history agrees."""
    return _move(
        rental,
        Status.EXPIRED,
        kind=EventKind.EXPIRED,
        ended_at=timezone.now(),
        reason=reasons.NO_CODE,
        reason_detail="",
    )


def recording_kept(message: Message, *, name: str, content_type: str) -> None:
    """Note where the recording of a voice call was stored, and show it."""
    with transaction.atomic():
        Message.objects.filter(pk=message.pk).update(audio=name, audio_type=content_type, audio_tries=0)
        message.rental.announce()


def recording_lost(message: Message) -> None:
    """Note that a recording's file is gone and cannot be fetched again, and take its player away."""
    with transaction.atomic():
        Message.objects.filter(pk=message.pk).update(audio="", audio_type="", audio_tries=Message.MAX_AUDIO_TRIES)
        message.rental.announce()
