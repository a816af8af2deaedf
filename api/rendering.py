"""A rental as the API answers it, with what its caller may read."""

from collections.abc import Iterable

from django.utils import timezone

from accounts.models import User
from accounts.policy import Access
from api import schemas
from api.authentication import ApiRequest
from rentals import code_access
from rentals.lifecycle import reasons
from rentals.masking import Readable, ReadableMessage, readable
from rentals.models import Message, Rental, Status, reason_code
from rentals.queries import queue
from rentals.queries.warnings import warnings_of
from thuesim import codes, phones


def shown(request: ApiRequest, rentals: Iterable[Rental]) -> list[schemas.Rental]:
    """Return rentals that come from `for_cards()`, and record which codes are read. Two queries where some are
    in the queue."""
    rentals = list(rentals)
    code_access.record_reads(request.reader, rentals, request=request)
    places = queue.places_in_queue({rental.token for rental in rentals if rental.status == Status.QUEUED})
    return [_shown(rental, request.reader, places.get(rental.pk)) for rental in rentals]


def one(request: ApiRequest, rental: Rental) -> schemas.Rental:
    """Return one rental, as `shown` does."""
    return shown(request, [rental])[0]


def _shown(rental: Rental, reader: Access, place: tuple[int, int | None] | None) -> schemas.Rental:
    read = readable(rental, reader)
    found = [] if read.masked else _codes(read)
    # An order of the same number again has it from the start, and may not get it.
    phone = phones.forms(rental.phone) if rental.upstream_id else None
    key = rental.api_key
    return schemas.Rental(
        id=rental.pk,
        upstream_id=rental.upstream_id,
        status=rental.status,  # type: ignore[arg-type]  # one of its choices
        service=schemas.ServiceName(id=rental.service.key, name=rental.service.name),
        network=rental.network or None,
        phone=schemas.Phone(national=phone.national, international=phone.international, digits=phone.digits)
        if phone
        else None,
        price=rental.price,
        price_limit=_price_limit(rental),
        refunded=getattr(rental, "refunded", None),
        purpose=rental.purpose,
        person=person(rental.person) if rental.person else None,
        key=schemas.Named(id=key.pk, name=key.name) if key else None,
        queued_at=rental.queued_at,
        placed_at=rental.placed_at,
        expires_at=rental.expires_at,
        received_at=rental.received_at,
        ended_at=rental.ended_at,
        place=place[0] if place else None,
        likely_seconds=place[1] if place else None,
        code=found[0] if found and (read.code or not read.equal_codes) else None,
        codes=found,
        masked=read.masked,
        messages=[_message(each, rental, read.masked) for each in _newest_first(read)],
        reason=_reason(rental),
        warnings=list(warnings_of(rental)),
    )


def person(user: User) -> schemas.Named:
    """Return a person as they are named everywhere."""
    return schemas.Named(id=user.pk, name=str(user))


def _newest_first(read: Readable) -> list[ReadableMessage]:
    if read.message is None:
        return []
    main = ReadableMessage(read.message, read.code, read.second_code, read.text, read.equal_codes)
    return sorted((main, *read.others), key=lambda each: (each.message.at, each.message.pk), reverse=True)


def _codes(read: Readable) -> list[str]:
    """Return every code once, the one that counts first."""
    all_codes = [read.code, *read.equal_codes, read.second_code]
    all_codes += [code for other in read.others for code in (other.code, *other.equal_codes, other.second_code)]
    return list(dict.fromkeys(codes.copied(code) for code in all_codes if code))


def _message(each: ReadableMessage, rental: Rental, masked: bool) -> schemas.Message:
    message: Message = each.message
    return schemas.Message(
        id=message.pk,
        at=message.at,
        text=each.text,
        code="" if masked else codes.copied(each.code),
        is_call=message.is_call,
        source=message.source,
        late=rental.expires_at is not None and message.at > rental.expires_at,
    )


def _price_limit(rental: Rental) -> schemas.PriceLimit | None:
    for held in rental.price_limits[:1]:
        return schemas.PriceLimit(of=held.of, limit=held.amount)  # type: ignore[arg-type]  # the model's words, never None
    return None


def _reason(rental: Rental) -> schemas.Reason | None:
    if not rental.reason:
        return None
    detail = reasons.sentence(rental.reason) or rental.reason_detail
    return schemas.Reason(code=reason_code(rental.reason), detail=detail)


def is_over(rental: Rental) -> bool:
    """Whether nothing more can come by itself: it ended without a message, or its number's time is up."""
    if rental.status in Status.open():
        return False
    return rental.status != Status.RECEIVED or rental.expires_at is None or rental.expires_at <= timezone.now()
