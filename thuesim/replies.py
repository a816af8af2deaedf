"""ThueSim's replies as typed values: pure functions from bytes.

Each `parse_…` takes the body of a reply and returns what it says, or raises a ThueSimError (Gibberish for what is no
reply at all) and nothing else. Deviations from the reference go to `on_drift`.
"""

from collections.abc import Iterator
from typing import Final

from .decoding import Fields, decode, identifier, integer, money, spoken, word
from .drift import DriftSink, Notes, observed
from .envelopes import Envelope, open_envelope
from .errors import Gibberish, InvalidToken, NumberUnclear, UnknownSession, UpstreamError, by_text, refusal
from .fields import (
    note_unknown,
    read_created,
    read_message,
    read_name,
    read_phone,
    read_price,
    read_session_id,
    read_state,
    state_in,
)
from .limits import MAX_NETWORK_LENGTH, MAX_REASON_LENGTH, MAX_WAITING_SECONDS
from .posted import posted_fields
from .values import (
    Balance,
    CallbackBody,
    CodeReply,
    HistoryEntry,
    Message,
    Network,
    Rented,
    Service,
    State,
    rental_key,
)

__all__ = [
    "Balance",
    "CallbackBody",
    "CodeReply",
    "HistoryEntry",
    "Message",
    "Network",
    "Rented",
    "Service",
    "State",
    "parse_balance",
    "parse_callback",
    "parse_code",
    "parse_history",
    "parse_networks",
    "parse_rented",
    "parse_services",
    "rental_key",
]

DEFAULT_SECONDS: Final = 300


def parse_balance(body: bytes, *, on_drift: DriftSink | None = None) -> Balance:
    """Section 0 of the API page."""
    with observed("balance", on_drift) as notes:
        reply = _succeeded(body, notes)
        payload = _object(reply) if isinstance(reply.payload, Fields | list) else Fields([])
        note_unknown(payload, {"balance"}, notes)
        candidates = [payload.get("balance"), reply.top.get("balance"), reply.payload]
        amount = next((dong for value in candidates if (dong := money(value)) is not None), None)
        if amount is None:
            raise Gibberish("the answer holds no balance")
        return Balance(amount)


def parse_networks(body: bytes, *, on_drift: DriftSink | None = None) -> list[Network]:
    """Section 1 of the API page."""
    with observed("networks", on_drift) as notes:
        networks = []
        for row in _rows(_succeeded(body, notes), {"id", "name"}):
            name = read_name(row, "name", "networkname")
            if not name:
                notes.add("an element without a name")
            elif len(name) > MAX_NETWORK_LENGTH or not name.isprintable() or "|" in name:
                notes.add("a network's name that cannot be asked for")
            else:
                networks.append(Network(id=identifier(row.get("id")), name=name))
        return networks


def parse_services(body: bytes, *, on_drift: DriftSink | None = None) -> list[Service]:
    """Section 2 of the API page; absent `SV` is `""`, absent `Time` 300."""
    with observed("services", on_drift) as notes:
        services = []
        for row in _rows(_succeeded(body, notes), {"id", "sv", "name", "servicename", "price", "time"}):
            id_, sv = identifier(row.get("id") or row.get("serviceid")), identifier(row.get("sv"))
            if not id_ or (spoken(row.get("sv")) and not sv):
                notes.add("an element without an id" if not id_ else "a server that is none")
                continue
            seconds = integer(row.get("time"))
            if seconds is None or not 0 < seconds <= MAX_WAITING_SECONDS:
                if row.get("time") is not None:
                    notes.add("a time that is none")
                seconds = DEFAULT_SECONDS
            services.append(
                Service(
                    sv=sv,
                    id=id_,
                    name=read_name(row, "servicename", "name"),
                    price=read_price(row, notes),
                    seconds=seconds,
                )
            )
        return services


_RENTED_KEYS: Final = {
    "id", "requestid", "phone", "phonenumber", "balance", "price", "serviceid", "servicename", "img", "smscontent",
    "statusstr", "createdtime", "issound", "code",
}  # fmt: skip


def parse_rented(body: bytes, *, endpoint: str = "rent", on_drift: DriftSink | None = None) -> Rented:
    """Section 3 of the API page, for `rent` and `rent_again`.

    Raises NumberUnclear for success without a number, a refusal that holds one, and a reply that says yes and no at once.
    """
    with observed(endpoint, on_drift) as notes:
        reply = open_envelope(body, notes)
        payload = _object(reply) if isinstance(reply.payload, Fields | list) else Fields([])
        id_ = read_session_id(payload, notes, "id", "requestid")
        phone = read_phone(payload, notes)
        if not reply.ok:
            error = reply.error()
            if id_ or phone or (type(error) is UpstreamError and reply.half_says_yes):
                raise NumberUnclear(f"neither a clear yes nor a clear no: {reply.message}", code=reply.code)
            raise error
        if not (id_ and phone):
            raise NumberUnclear(f"success without a number: {reply.message}", code=reply.code)
        note_unknown(payload, _RENTED_KEYS, notes)
        balance = money(payload.get("balance"))
        return Rented(
            id=id_,
            phone=phone,
            price=read_price(payload, notes),
            balance=money(reply.top.get("balance")) if balance is None else balance,
            service_id=identifier(payload.get("serviceid")),
            service_name=read_name(payload, "servicename"),
            created_at=read_created(payload, notes),
            message=reply.message[:MAX_REASON_LENGTH],
        )


_ENTRY_KEYS: Final = {
    "id", "requestid", "phone", "phonenumber", "serviceid", "servicename", "status", "statusstr", "price",
    "createdtime", "issound", "iscall", "smscontent", "sms", "code", "callfile", "img",
}  # fmt: skip


def parse_code(body: bytes, *, on_drift: DriftSink | None = None) -> CodeReply:
    """Section 4 of the API page. A message in hand is RECEIVED whatever else the reply says; without a message, only a
    positive "expired" is EXPIRED and all else WAITING; an error reply is raised."""
    with observed("code", on_drift) as notes:
        reply = open_envelope(body, notes)
        payload = _object(reply) if isinstance(reply.payload, Fields | list) else Fields([])
        note_unknown(payload, _ENTRY_KEYS, notes)
        state = read_state(payload, notes)
        if reply.family == "C" and state is None:
            state = {"1": State.WAITING, "2": State.EXPIRED}.get(reply.code)
        if message := read_message(payload, notes):
            if not reply.ok or state in {State.WAITING, State.EXPIRED}:
                notes.add("a message in a reply that tells of none")
            return CodeReply(State.RECEIVED, message)
        if not reply.ok:
            _raise_unless_pending(reply, state)
        if state is State.RECEIVED:
            notes.add("received, without a message")
        return CodeReply(State.EXPIRED if state is State.EXPIRED else State.WAITING, None)


def _raise_unless_pending(reply: Envelope, state: State | None) -> None:
    """Let an error reply pass that only says "not yet" or "expired"; raise what any other says.

    The words in quotes are the names of the payloads in `thuesim/tests/payloads.py` that each branch is for.
    """
    if reply.family == "C" and reply.code == "3":  # "a wrong id"
        raise UnknownSession(reply.message, code="3")
    if reply.family == "C" and reply.code in {"1", "2"} and reply.success is not False:
        worded = by_text(reply.message)
        if not worded or worded[0] not in {InvalidToken, UnknownSession}:
            return  # "code, not yet", "code, expired", "not yet, with the words of a pause"
        # "a refused token under the code for not yet", "a wrong id under the code for not yet"
        reply.notes.add(f"ResponseCode {reply.code} with the words of {worded[0].__name__}")
        raise refusal(reply.message, reply.code)
    error = reply.error()
    is_waiting = state is State.WAITING or state_in(word(reply.message)) is State.WAITING
    is_plain = type(error) is UpstreamError and reply.success is not False and reply.code != "-1"
    if is_waiting and is_plain:  # "not yet, under an unknown code"
        return
    raise error


def parse_history(body: bytes, *, on_drift: DriftSink | None = None) -> list[HistoryEntry]:
    """Section 5 of the API page, in the upstream's order; an element without an id is left out and noted."""
    with observed("history", on_drift) as notes:
        reply = _succeeded(body, notes)
        entries = []
        for row in _rows(reply, _ENTRY_KEYS):
            if id_ := read_session_id(row, notes, "id", "requestid"):
                entries.append(_entry(id_, row, notes))
            else:
                notes.add("an element without an id")
        return entries


def _entry(id_: str, row: Fields, notes: Notes) -> HistoryEntry:
    message = read_message(row, notes)
    state = read_state(row, notes)
    return HistoryEntry(
        id=id_,
        service_id=identifier(row.get("serviceid")),
        service_name=read_name(row, "servicename"),
        state=State.RECEIVED if message else state or State.WAITING,
        price=read_price(row, notes),
        phone=read_phone(row, notes),
        created_at=read_created(row, notes),
        message=message,
    )


def parse_callback(body: bytes, content_type: str = "", *, on_drift: DriftSink | None = None) -> CallbackBody:
    """Section 3.3 of the API page: JSON or a form, the fields at the top, under `data` or under another object.

    Raises Gibberish where no rental's id can be found.
    """
    with observed("callback", on_drift) as notes:
        document = notes.document = posted_fields(body, content_type)
        for fields in _candidates(document):
            if id_ := read_session_id(fields, notes, "requestid", "id"):
                break
        else:
            raise Gibberish("the callback names no rental")
        note_unknown(fields, _ENTRY_KEYS, notes)
        message = read_message(fields, notes)
        state = State.RECEIVED if message else read_state(fields, notes)
        if state is State.RECEIVED and not message:
            notes.add("received, without a message")
        return CallbackBody(id=id_, state=State.EXPIRED if state is State.EXPIRED else _got(message), message=message)


def _got(message: Message | None) -> State:
    return State.RECEIVED if message else State.WAITING


def _candidates(document: object) -> Iterator[Fields]:
    """Yield the objects that may hold the fields: the one under `data` first, then the top, then any other."""
    if not isinstance(document, Fields):
        return
    inner = [document.get("data"), document, *document.values()]
    for value in inner:
        if isinstance(value, str) and value.lstrip().startswith("{"):
            try:
                value = decode(value.encode("utf-8", "replace"))
            except Gibberish:
                continue
        if isinstance(value, Fields):
            yield value


def _succeeded(body: bytes, notes: Notes) -> Envelope:
    reply = open_envelope(body, notes)
    if not reply.ok:
        raise reply.error()
    return reply


def _object(reply: Envelope) -> Fields:
    """Return the payload as one object; a list of one is taken for it."""
    payload = reply.payload
    if isinstance(payload, list) and payload and isinstance(payload[0], Fields):
        reply.notes.add("a list instead of an object")
        payload = payload[0]
    if not isinstance(payload, Fields):
        raise Gibberish("the answer has a shape that nobody knows", code=reply.code)
    return payload


def _rows(reply: Envelope, known: set[str]) -> Iterator[Fields]:
    """Yield the payload's objects; one that is none is noted, and hides no other."""
    rows = reply.payload
    if isinstance(rows, Fields):  # PHP makes an object of an array whose keys have gaps
        reply.notes.add("an object instead of a list")
        rows = list(rows.values()) if all(key.isdecimal() for key in rows) else [rows]
    if rows is None and any(key in reply.top for key in ("data", "result", "requestlog")):
        reply.notes.add("null instead of a list")
        rows = []
    if not isinstance(rows, list):
        raise Gibberish("the answer holds no list", code=reply.code)
    for row in rows:
        if isinstance(row, Fields):
            note_unknown(row, known, reply.notes)
            yield row
        else:
            reply.notes.add("an element that is no object")
