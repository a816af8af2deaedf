"""Rentals: ordered, listed, cancelled, rented again, checked; and the recording of a call."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from ninja import Body, Header, Query, Schema, Status
from pydantic import Field

from accounts import audit
from accounts.audit import OncePerDay
from accounts.models import Scope, Team
from accounts.one_time_keys import MAX_LENGTH, Key
from api import rendering, schemas
from api.answers import Calls, asked
from api.authentication import ApiRequest, require
from api.problems import Problem, of_refusal, wrong_field
from lib.files.shared_files import Unreachable
from lib.web import query_params
from lib.web.query_params import whole_number
from rentals import code_access, lifecycle, orders, recordings
from rentals.jobs import polling
from rentals.models import Network, Rental, Service, Token
from rentals.models import Status as RentalStatus
from rentals.queries.filters import HistoryFilter
from thuesim import phones

router = Calls()
DEFAULT_LIMIT, MAX_LIMIT = 50, 100
FILTERS = ("service", "network", "prefix", "status", "person", "token", "purpose", "since", "until", "q")

IdempotencyKey = Annotated[
    schemas.Text,
    Header(
        "",
        min_length=1,  # an empty one is a variable that is not set, and would protect from nothing
        alias="Idempotency-Key",
        max_length=MAX_LENGTH,
        description="Kept for 24 hours: the same order with the same key is not taken again.",
    ),
]


class Filters(Schema):
    """The filters of the history."""

    service: schemas.Word = Field("", description="`SV.ID` or `ID`.")
    network: schemas.Word = ""
    prefix: schemas.Word = ""
    status: list[schemas.StatusName] = []
    person: schemas.RowId | None = None
    token: schemas.RowId | None = None
    purpose: Annotated[schemas.Text, Field(max_length=120)] = ""
    since: schemas.Word = Field("", description="The first day, as in 2026-10-31.", examples=["2026-10-31"])
    until: schemas.Word = Field("", description="The last day.")
    q: Annotated[schemas.Text, Field(max_length=80)] = Field("", description="As in the search box of the history.")
    cursor: schemas.Word = Field("", description="`next` of the page before.")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


def visible(request: HttpRequest, rental_id: int) -> Rental:
    """Return the team's rental with all that is shown of it. Raises `Http404`."""
    return get_object_or_404(Rental.objects.for_cards().visible_to(asked(request).access), pk=rental_id)


def changeable(request: HttpRequest, rental_id: int) -> Rental:
    """Return a rental for a call that changes it and answers it. Raises `Problem` where another key, or a person, ordered it
    and the key may not read it, and `Http404`."""
    found, key = visible(request, rental_id), asked(request).api_key
    if found.api_key_id != key.pk:
        require(key, Scope.RENTALS_READ)
    return found


@router.reads(
    "/rentals", Scope.RENTALS_READ, "List rentals", schemas.Rentals, name="rentals", takes=(*FILTERS, "cursor", "limit")
)
def list_rentals(request: HttpRequest, filters: Query[Filters]) -> schemas.Rentals:
    """The team's rentals, newest first."""
    caller = asked(request)
    _check(filters)
    query = QueryDict(mutable=True)
    for name in FILTERS:
        value = getattr(filters, name)
        query.setlist(name, [str(each) for each in value] if isinstance(value, list) else [str(value or "")])
    history_filter = HistoryFilter.from_query(query)
    if unknown := history_filter.unknown(caller.reader):
        raise Problem(422, errors=[(name, str(_NOT_THERE[name])) for name in unknown])
    rentals = history_filter.apply(Rental.objects.for_cards(), caller.reader)
    if filters.purpose:
        rentals = rentals.filter(purpose=filters.purpose)
    rentals = rentals.filter(_past(filters.cursor)).order_by("-queued_at", "-pk")
    rows = list(rentals[: filters.limit + 1])
    more = len(rows) > filters.limit
    page = rows[: filters.limit]
    return schemas.Rentals(items=rendering.shown(caller, page), next=_cursor(page[-1]) if more else None)


_NOT_THERE: Mapping[str, Promise] = {
    "network": gettext_lazy("There is no network of this name. “networks” lists them."),
    "person": gettext_lazy("This person is not in your team, and has no rental of it."),
    "token": gettext_lazy("This token is not one of your team's."),
}


def _check(filters: Filters) -> None:
    """Raise `Problem` for what the history would ignore: a misspelt filter must not find everything."""
    for name in ("since", "until"):
        if getattr(filters, name) and query_params.day(getattr(filters, name)) is None:
            raise wrong_field(name, _("Write a day such as 2026-10-31."))
    if filters.service:
        _services(filters.service)
    if filters.prefix:
        try:
            phones.prefix(filters.prefix)
        except ValueError:
            sentence = _("“%(word)s” is not a prefix. Write digits such as 96 or 097.")
            raise wrong_field("prefix", sentence % {"word": filters.prefix[:20]}) from None


def _cursor(rental: Rental) -> str:
    return f"{round(rental.queued_at.timestamp() * 1_000_000)}-{rental.pk}"


def _past(cursor: str) -> Q:
    """Return the condition of the rows past a cursor. Raises `Problem` for what is none."""
    if not cursor:
        return Q()
    micros_text, _dash, pk_text = cursor.partition("-")
    micros, pk = whole_number(micros_text, max_digits=17), whole_number(pk_text)
    if micros is None or pk is None:
        raise wrong_field("cursor", _("Take the cursor from “next” of the page before."))
    at = datetime.fromtimestamp(micros / 1_000_000, tz=UTC)
    # The first condition alone lets an index start at the cursor.
    return Q(queued_at__lte=at) & (Q(queued_at__lt=at) | Q(pk__lt=pk))


@router.writes("/rentals", "Rent a number", name="rentals", status=201)
def rent(
    request: HttpRequest, response: HttpResponse, order: Body[schemas.Order], idempotency_key: IdempotencyKey
) -> Status[schemas.Rental]:
    """Order one number. It is `queued` at once; `wait` then tells the number and the code."""
    caller = asked(request)
    key = _key(caller, idempotency_key)
    taken = orders.taken_with(key)
    try:
        wishes: dict[str, Any] = {
            "service": _service(order.service, taken),
            "networks": _networks(order.networks, taken),
            "prefixes": _prefixes("prefixes", order.prefixes),
            "exclude_prefixes": _prefixes("exclude_prefixes", order.exclude_prefixes),
            "purpose": order.purpose,
            "keep_trying_minutes": order.keep_trying_minutes,
            "token": _token(caller, order.token, taken),
            "max_price": order.max_price,
        }
    except Problem as problem:
        raise (_mismatch() if taken else problem) from None
    return Status(201, _ordered(caller, response, key, wishes))


@router.writes("/rentals/{int:rental_id}/again", "Rent the same number again", name="rental_again", status=201)
def again(
    request: HttpRequest,
    response: HttpResponse,
    rental_id: int,
    idempotency_key: IdempotencyKey,
    wishes: schemas.Again | None = None,
) -> Status[schemas.Rental]:
    """Order the number of this rental once more, on the same token."""
    caller, chosen = asked(request), wishes or schemas.Again()  # type: ignore[call-arg]
    earlier = changeable(request, rental_id)
    order = {
        "service": earlier.service,
        "purpose": chosen.purpose or earlier.purpose,
        "again_of": earlier,
        "max_price": chosen.max_price,
    }
    return Status(201, _ordered(caller, response, _key(caller, idempotency_key), order))


def _key(caller: ApiRequest, idempotency_key: str) -> Key | None:
    return Key(f"key {caller.api_key.pk}", idempotency_key) if idempotency_key else None


def _mismatch() -> Problem:
    return Problem(422, "idempotency_mismatch", _("This Idempotency-Key has ordered something else before."))


def _ordered(caller: ApiRequest, response: HttpResponse, key: Key | None, wishes: dict[str, Any]) -> schemas.Rental:
    """Take an order for the caller. Raises `Problem`."""
    try:
        rental = orders.take_order(
            orders.Order(person=caller.person, team=_renting_team(caller), api_key=caller.api_key, **wishes), key=key
        )
    except orders.OrderedAlready as already:
        if already.differs:
            raise _mismatch() from None
        response.headers["Idempotency-Replayed"] = "true"
        rental = already.rental
    except orders.OrderRefused as refused:
        raise of_refusal(refused) from None
    return rendering.one(caller, Rental.objects.for_cards().get(pk=rental.pk))


def _renting_team(caller: ApiRequest) -> Team:
    if caller.access.team is None or not caller.access.may_rent:
        raise Problem(403, detail=_("You may see your team's rentals, but not rent. Ask a manager of your team."))
    return caller.access.team


# What an order that was `taken` with the same key names is understood as it was then: it may not be on offer any more.


def _service(text: str, taken: Rental | None) -> Service:
    named = _services(text)
    if taken is not None and taken.service in named:
        return taken.service
    if len([service for service in named if service.active]) > 1:
        raise wrong_field("service", _("This service is on several servers. Choose one of them from the list."))
    return named[0]


def _services(text: str) -> list[Service]:
    """Return the services of an id, those on offer first. Raises `Problem` where there is none."""
    sv, _dot, upstream_id = text.rpartition(".")
    named = Service.objects.filter(upstream_id=upstream_id, **({"sv": sv} if sv else {})).order_by("-active", "sv")
    if not named:
        sentence = _("There is no service “%(text)s”. “services” lists them.")
        raise wrong_field("service", sentence % {"text": text})
    return list(named)


def _networks(names: list[str], taken: Rental | None) -> list[str]:
    active = Network.objects.filter(active=True).values_list("name", flat=True)
    offered = {name.upper(): name for name in (*active, *(taken.networks if taken else ()))}
    for name in names:
        if name.upper() not in offered:
            sentence = _("ThueSim does not offer the network “%(value)s” now. Choose another one.")
            raise wrong_field("networks", sentence % {"value": name})
    return [offered[name.upper()] for name in names]


def _prefixes(field: str, words: list[str]) -> list[str]:
    try:
        return [prefix for word in words for prefix in orders.parse_prefixes(word)]
    except orders.OrderRefused as refused:
        raise wrong_field(field, refused.sentence) from None


def _token(caller: ApiRequest, token_id: int | None, taken: Rental | None) -> Token | None:
    if token_id is None:
        return None
    if taken is not None and taken.token_pinned and taken.token.pk == token_id:
        return taken.token
    token = Token.objects.filter(pk=token_id, teams=caller.access.team_id).first()
    if token is None:
        raise wrong_field("token", _("This token is not one of your team's. Choose another one."))
    return token


@router.reads("/rentals/{int:rental_id}", Scope.RENTALS_READ, "One rental", schemas.Rental, name="rental")
def rental(request: HttpRequest, rental_id: int) -> schemas.Rental:
    """A rental as it is now."""
    return rendering.one(asked(request), visible(request, rental_id))


@router.writes("/rentals/{int:rental_id}/cancel", "Cancel a queued order", name="rental_cancel")
def cancel(request: HttpRequest, rental_id: int) -> schemas.Rental:
    """Take an order out of the queue. Only what was never sent can be cancelled: a rented number cannot be returned."""
    caller, found = asked(request), changeable(request, rental_id)
    if not caller.access.may_cancel(found):
        raise Problem(403, detail=_("Only the person who ordered, or a manager, can cancel this order."))
    is_cancelled = lifecycle.cancel(found, person=caller.person)
    found = visible(request, rental_id)
    if not is_cancelled and found.status != RentalStatus.CANCELLED:
        sentence = _("Too late: the order has left the queue. A rented number cannot be returned.")
        raise Problem(409, "too_late", sentence)
    return rendering.one(caller, found)


@router.writes("/rentals/{int:rental_id}/check", "Poll ThueSim now", name="rental_check")
def check(request: HttpRequest, rental_id: int) -> schemas.Rental:
    """Ask ThueSim about this number now, at most once a second. The desk polls by itself, so this is rarely needed."""
    found = changeable(request, rental_id)
    _renting_team(asked(request))
    polling.poll_now(found)
    return rendering.one(asked(request), found)


@router.reads(
    "/rentals/{int:rental_id}/audio",
    Scope.CODES_READ,
    "The recording of a voice call",
    bytes,
    name="rental_audio",
    takes=("message",),
    also=(416,),
)
def audio(request: HttpRequest, rental_id: int, message: schemas.RowId | None = None) -> HttpResponseBase:
    """The latest recording, or that of a message. Serves byte ranges."""
    caller, found = asked(request), visible(request, rental_id)
    recorded = [m for m in found.newest_messages if m.audio and (message is None or m.pk == message)]
    if not caller.reader.sees_code(found) or not recorded:
        raise Http404
    try:
        answer = recordings.ranged(request, recorded[0])
    except Unreachable:
        raise Problem(503, detail=recordings.unreachable_sentence()) from None
    except OSError:
        raise Problem(404, detail=recordings.missing_sentence(recorded[0])) from None
    listened = OncePerDay(audit.Action.LISTEN, caller.person.pk, found.team_id, audit.about(found))
    code_access.record_shown([listened], request=request)
    return answer
