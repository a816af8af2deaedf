"""What the stand-in upstream can say, the client understands: two programs that share no code."""

import pytest

from sandbox.faults import KINDS
from sandbox.payloads import ENVELOPES
from sandbox.server import Sandbox
from thuesim import Client, Drift, Message, Rented, State, errors
from thuesim.errors import ThueSimError

from .payloads import CALL_TEXT

DRESSES = [
    "bom", "white-space", "php-warning", "wrong-content-type", "wrong-charset", "key-case", "escaped-unicode",
    "no-accents", "http-errors", "id-as-string", "id-long", "id-bare", "phone-forms", "numbers-as-strings",
    "booleans-as-strings", "seven-digits", "unknown-fields", "unknown-status", "extra-networks", "code-null",
    "history-bare-id", "history-full-id", "history-shuffled", "history-ignores-filters",
]  # fmt: skip
SMS = "Ma xac thuc cua ban la 059809. Khong chia se ma nay."


def stand_in(style: str = "page", *dresses: str) -> Sandbox:
    return Sandbox(gap=0, message_after=None, refund_after=0, envelope=style, faults=dict.fromkeys(dresses, 1.0))


def whole_life(style: str, *dresses: str) -> None:
    with stand_in(style, *dresses) as upstream:
        client = Client(upstream.token, upstream.url)
        assert client.balance().amount == 500_000
        assert "VIETTEL" in {network.name for network in client.networks()}
        service = next(service for service in client.services() if service.id == "97")
        rented = client.rent("02.97", networks=["VIETTEL"], prefixes=["96", "97", "98"])
        assert isinstance(rented, Rented)
        assert rented.phone.startswith(("+8496", "+8497", "+8498"))
        assert rented.balance is None or rented.balance == 500_000 - (service.price or 0)
        assert client.code(rented.id).state is State.WAITING
        assert [entry.state for entry in client.history()] == [State.WAITING]
        upstream.deliver(rented.id, SMS, code="059809")
        reply = client.code(rented.id)
        assert reply.state is State.RECEIVED
        assert reply.message == Message(SMS, "059809", is_call=False, audio_url="")
        (entry,) = client.history(service_id="97", state=State.RECEIVED)
        assert (entry.phone, entry.message) == (rented.phone, reply.message)
        assert entry.price == service.price
        again = client.rent_again(phone=rented.phone, service_id="97", earlier_id=rented.id, sv="02")
        assert again.phone == rented.phone
        upstream.expire(again.id)
        assert client.code(again.id).state is State.EXPIRED


@pytest.mark.parametrize("style", ENVELOPES)
def test_a_whole_life_in_each_envelope(style: str) -> None:
    whole_life(style)


@pytest.mark.parametrize("dress", DRESSES)
def test_a_whole_life_in_each_disguise(dress: str) -> None:
    whole_life("page", dress)


@pytest.mark.parametrize("style", ["A", "B", "C", "mixed"])
def test_a_whole_life_in_all_disguises_at_once(style: str) -> None:
    whole_life(style, *DRESSES)


def test_the_page_as_printed_is_no_news() -> None:
    drifts: list[Drift] = []
    with stand_in() as upstream:
        client = Client(upstream.token, upstream.url, on_drift=drifts.append)
        client.balance(), client.networks(), client.services(), client.history()
        rented = client.rent("02.97")
        client.code(rented.id)
        upstream.deliver(rented.id, SMS, code="059809")
        client.code(rented.id)
        client.history()
    assert drifts == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reset-before", errors.ConnectionLost),
        ("close-before", errors.ConnectionLost),
        ("http-500", errors.ServerError),
        ("maintenance", errors.Gibberish),
        ("redirect", errors.RedirectedElsewhere),
        ("lost-reset", errors.ConnectionLost),
        ("lost-close", errors.ConnectionLost),
        ("lost-502", errors.ServerError),
        ("lost-cut", errors.Gibberish),
        ("lost-midway", errors.ConnectionLost),
        ("lost-empty", errors.Gibberish),
        ("lost-no-number", errors.NumberUnclear),
        ("lost-hold", errors.TimedOut),
        ("drip", errors.TimedOut),
        ("huge", errors.Gibberish),
        ("invalid-token", errors.InvalidToken),
        ("error", errors.UpstreamError),
        ("too-soon", errors.TooSoon),
        ("limit-reached", errors.PendingLimitReached),
        ("insufficient-balance", errors.InsufficientBalance),
        ("out-of-stock", errors.OutOfStock),
        ("service-suspended", errors.ServiceUnavailable),
    ],
)
@pytest.mark.parametrize("style", ["page", "A", "C"])
def test_a_rent_that_fails_is_in_the_right_family(style: str, fault: str, kind: type[ThueSimError]) -> None:
    timeout = 1.0 if kind is errors.TimedOut else 20.0
    with stand_in(style, fault) as upstream, pytest.raises(ThueSimError) as caught:
        Client(upstream.token, upstream.url, timeout=timeout).rent("02.97")
    assert type(caught.value) is kind
    taken = upstream.books()["rentals"]
    # The promise of the families: what is surely not taken is not in the other side's books.
    assert isinstance(caught.value, errors.OutcomeUnknown) or not taken


@pytest.mark.parametrize("dress", ["no-accents", "key-case", "http-errors", "unknown-code"])
@pytest.mark.parametrize("fault", ["too-soon", "limit-reached", "insufficient-balance", "out-of-stock"])
@pytest.mark.parametrize("style", ["A", "B", "C"])
def test_refusals_are_understood_in_each_disguise(style: str, fault: str, dress: str) -> None:
    kinds = {
        "too-soon": errors.TooSoon,
        "limit-reached": errors.PendingLimitReached,
        "insufficient-balance": errors.InsufficientBalance,
        "out-of-stock": errors.OutOfStock,
    }
    with stand_in(style, fault, dress) as upstream, pytest.raises(ThueSimError) as caught:
        Client(upstream.token, upstream.url).rent("02.97")
    assert type(caught.value) is kinds[fault]
    if isinstance(caught.value, errors.PendingLimitReached):
        assert caught.value.limit == 10


@pytest.mark.parametrize("style", ["A", "B", "C"])
def test_waiting_under_an_unknown_code_is_waiting(style: str) -> None:
    with stand_in(style) as upstream:
        client = Client(upstream.token, upstream.url)
        rented = client.rent("02.97")
        upstream.set_fault("unknown-code", 1.0)
        assert client.code(rented.id).state is State.WAITING


@pytest.mark.parametrize("style", ["A", "B", "C"])
def test_a_strange_id_is_an_unknown_session(style: str) -> None:
    with stand_in(style) as upstream, pytest.raises(errors.UnknownSession):
        Client(upstream.token, upstream.url).code("1.01")


@pytest.mark.parametrize("style", ENVELOPES)
def test_a_calls_recording_is_fetched(style: str) -> None:
    with stand_in(style, "message-call") as upstream:
        client = Client(upstream.token, upstream.url)
        rented = client.rent("02.97")
        upstream.deliver(rented.id, CALL_TEXT, code="059809", call=True)
        message = client.code(rented.id).message
        assert message
        assert message.is_call
        assert client.audio(message.audio_url).content_type == "audio/wav"


def test_every_switch_named_here_exists() -> None:
    assert set(DRESSES) <= set(KINDS)
