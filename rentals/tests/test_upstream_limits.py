"""Columns hold what the parsers let through, and one odd row never stops the others. On both databases.

TEST_EFFORT=fuzz tries more.
"""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thuesim
from rentals.jobs import balances, catalog, placing, polling, reconciling
from rentals.models import (
    BalanceReading,
    Callback,
    LedgerEntry,
    Message,
    Network,
    Rental,
    Service,
    ServicePrice,
    Status,
    Token,
)
from rentals.tests.fixtures import House, order
from rentals.upstream import drift
from thuesim import limits, replies
from thuesim.client import Reply

# What ThueSim fills, with the limit that its value keeps.
LENGTHS: dict[type[models.Model], dict[str, int]] = {
    Rental: {
        "upstream_id": limits.MAX_ID_LENGTH,
        "upstream_key": limits.MAX_ID_LENGTH,
        "phone": limits.MAX_PHONE_LENGTH,
        "network": limits.MAX_NETWORK_LENGTH,
        "reason_detail": limits.MAX_REASON_LENGTH,
    },
    Callback: {"upstream_key": limits.MAX_ID_LENGTH},
    Message: {"code": limits.MAX_CODE_LENGTH, "second_code": limits.MAX_CODE_LENGTH},
    Network: {"name": limits.MAX_NETWORK_LENGTH, "upstream_id": limits.MAX_ID_LENGTH},
    Service: {"sv": limits.MAX_ID_LENGTH, "upstream_id": limits.MAX_ID_LENGTH, "name": limits.MAX_NAME_LENGTH},
}
# What the desk fills itself, or cuts where it writes it.
OURS = {
    Rental: {"status", "purpose", "reason"},
    Callback: {"content_type", "state"},
    Message: {"audio", "audio_type", "source", "fingerprint"},
    Network: set[str](),
    Service: {"search_name", "sort_name"},
}
AMOUNTS = {
    (Rental, "price"): limits.MAX_PRICE,
    (Service, "price"): limits.MAX_PRICE,
    (ServicePrice, "price"): limits.MAX_PRICE,
    (Service, "seconds"): limits.MAX_WAITING_SECONDS,
    (LedgerEntry, "amount"): limits.MAX_BALANCE,
    (BalanceReading, "balance"): limits.MAX_BALANCE,
    (BalanceReading, "expected"): limits.MAX_BALANCE,
    (Token, "balance"): limits.MAX_BALANCE,
}

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, "", 0, -5, 1450, 1450.5, 2**31 - 1, 2**31, 10**15, 10**30, -(10**14), "1e9", "9" * 41,
        "9" * 64, "9" * 65, "9" * 41 + ".02", "97", "02", "02.97", ".5", "0.10", "x" * 500, "ﷺ" * 120, "đ" * 6000,
        "\x00", "a\x00b", "\ud800",
        "VIETTEL", "A|B", "A\nB", "Yahoo", "0852222127", "00000852", "+84000123", "+999999999999999", "1" * 15, 300, 604801,
        "ma " + "0" * 300 + "529310", "529310", "https://thuesim.xyz/" + "a" * 3000, "/a.wav", "2199-12-31T23:59:59",
        "0001-01-01", "2026-11-26T10:00:00", 1, 2, "2", "Đợi tin nhắn", [], {},
    ]
)  # fmt: skip
# An infinite number is no JSON: the whole reply is none then.
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = ODD | st.text(st.characters(codec=None), max_size=20) | st.integers() | FINITE
LONG = os.environ.get("TEST_EFFORT") == "fuzz"
several = settings(
    deadline=None,
    database=None,
    derandomize=not LONG,
    max_examples=1000 if LONG else 25,
    suppress_health_check=list(HealthCheck),
)


def rows(*keys: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of which each may lack any key and have anything under it."""
    row = st.dictionaries(st.sampled_from(keys), VALUES, min_size=2)
    return st.lists(row, max_size=5)


ENTRY_KEYS = (
    "ID",
    "Phone",
    "ServiceID",
    "ServiceName",
    "Status",
    "Price",
    "CreatedTime",
    "IsSound",
    "SmsContent",
    "Code",
)
GOOD_ENTRY = {
    "ID": "58098",
    "Phone": "0852222127",
    "ServiceID": "97",
    "Status": 1,
    "Price": 1450,
    "SmsContent": "ma 529310",
}

Say = Callable[[str, object], None]


@pytest.fixture
def say(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    """Let the upstream answer an endpoint with the document."""
    documents: dict[str, object] = {}

    def reply(self: thuesim.Client, request: Any) -> Reply:
        return Reply(request.endpoint, 200, json.dumps(documents[request.endpoint]).encode())

    monkeypatch.setattr(thuesim.Client, "_call", reply)
    drift.forget()
    yield documents.__setitem__
    drift.forget()


@pytest.fixture(autouse=True)
def nobody_is_woken(enqueued: list[tuple[str, int]]) -> None:
    """Workers are not what this is about."""


def undone() -> Any:
    """A transaction that is rolled back at its end, so that each example meets the same rows."""
    return _Undone()


class _Undone(transaction.Atomic):
    def __init__(self) -> None:
        super().__init__(using=None, savepoint=True, durable=False)

    def __exit__(self, *details: Any) -> None:
        if details[0] is None:
            transaction.set_rollback(True)
        super().__exit__(*details)


def test_each_text_column_holds_its_limit_and_no_column_is_forgotten() -> None:
    for model, lengths in LENGTHS.items():
        texts = {field.name: field for field in model._meta.get_fields() if isinstance(field, models.CharField)}
        files = {field.name for field in model._meta.get_fields() if isinstance(field, models.FileField)}
        assert texts.keys() | files == lengths.keys() | OURS[model]
        for name, length in lengths.items():
            assert (texts[name].max_length or 0) >= length, (model, name)


def test_each_number_column_holds_its_limit() -> None:
    for (model, name), limit in AMOUNTS.items():
        field = model._meta.get_field(name)
        _, highest = connection.ops.integer_field_range(field.get_internal_type())
        assert highest is None or highest >= limit, (model, name)


def test_the_order_form_takes_the_longest_service_key() -> None:
    from pages.forms import RentForm

    field = RentForm.base_fields["service"]
    assert field.max_length >= 2 * limits.MAX_ID_LENGTH + 1  # type: ignore[attr-defined]


@several
@given(listed=rows("ID", "SV", "SERVICE_NAME", "PRICE", "Time"), named=rows("id", "name"))
def test_an_odd_row_of_the_catalog_hides_no_other(
    house: House, say: Say, listed: list[dict[str, Any]], named: list[dict[str, Any]]
) -> None:
    good = {"ID": "9797", "SV": "02", "SERVICE_NAME": "Good", "PRICE": 1450}
    say("services", {"ResponseCode": 1, "Data": [*listed, good]})
    say("networks", {"status_code": 200, "success": True, "data": [*named, {"id": 77, "name": "GOODPHONE"}]})
    with undone():
        catalog.sync_catalog(house.token)
        assert Service.objects.get(sv="02", upstream_id="9797").active
        assert Network.objects.get(name="GOODPHONE").active


@several
@given(entries=rows(*ENTRY_KEYS))
def test_an_odd_row_of_the_history_hides_no_other(house: House, say: Say, entries: list[dict[str, Any]]) -> None:
    say("history", {"status_code": 200, "success": True, "data": [*entries, GOOD_ENTRY]})
    with undone():
        reconciling.reconcile(house.token.pk)
        assert Rental.objects.filter(upstream_key="58098", token=house.token).exists()


@several
@given(over=st.dictionaries(st.sampled_from(["ID", "Phone", "Price", "CreatedTime", "ServiceName", "Code"]), VALUES))
def test_a_number_that_the_parser_understands_is_never_left_unconfirmed(
    house: House, say: Say, over: dict[str, Any]
) -> None:
    document = {"ResponseCode": 1, "RequestLog": {**GOOD_ENTRY, "SmsContent": None} | over, "Balance": 5000}
    say("rent", document)
    say("code", {"ResponseCode": 1, "Msg": ""})
    try:
        replies.parse_rented(json.dumps(document).encode())
        expected = Status.WAITING
    except thuesim.NumberUnclear:
        expected = Status.UNCONFIRMED
    with undone():
        rental = order(house)
        placing.place_next(house.token.pk)
        rental.refresh_from_db()
        assert rental.status == expected


@pytest.mark.parametrize("id_", ["7" * 41, "7" * 64])
@pytest.mark.parametrize("price", [2**31, 10**12, -1, 1450.5])
def test_an_id_and_a_price_beyond_the_ordinary_are_a_rental(house: House, say: Say, id_: str, price: object) -> None:
    say("rent", {"ResponseCode": 1, "RequestLog": GOOD_ENTRY | {"ID": f"{id_}", "Price": price}})
    rental = order(house)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    assert (rental.status, rental.upstream_id) == (Status.WAITING, id_)
    assert rental.price in {house.service.price, 1451}


@several
@given(fields=st.dictionaries(st.sampled_from(ENTRY_KEYS), VALUES))
def test_an_odd_code_reply_breaks_nothing(house: House, say: Say, fields: dict[str, Any]) -> None:
    with undone():
        say("rent", {"ResponseCode": 1, "RequestLog": GOOD_ENTRY})
        rental = order(house)
        placing.place_next(house.token.pk)
        rental.refresh_from_db()
        say("code", {"status_code": 200, "success": True, "data": {"ID": "58098", **fields}})
        polling.ask_code(rental)
        rental.refresh_from_db()
        assert rental.status in {Status.WAITING, Status.RECEIVED, Status.EXPIRED}


@several
@given(amount=VALUES)
def test_an_odd_balance_breaks_nothing(house: House, say: Say, amount: object) -> None:
    say("balance", {"status_code": 200, "success": True, "data": {"balance": amount}})
    with undone():
        try:
            reading = balances.read_balance(house.token)
        except thuesim.Gibberish:
            return
        assert abs(reading.balance) <= limits.MAX_BALANCE


def test_a_message_of_megabytes_is_kept_up_to_the_limit(house: House, say: Say) -> None:
    say("rent", {"ResponseCode": 1, "RequestLog": GOOD_ENTRY})
    rental = order(house)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    text = "ma la 529310 " + "đ" * 2_500_000
    say("code", {"ResponseCode": 0, "Result": {"SMS": text, "Code": "529310"}})
    assert polling.ask_code(rental)
    message = Message.objects.get(rental=rental)
    assert message.code == "529310"
    assert message.text.endswith(limits.CUT_MARK)
    assert len(message.text.encode()) <= limits.MAX_TEXT_BYTES
    assert not polling.ask_code(rental)  # the same text again is the same message


def test_an_order_is_matched_by_a_service_name_that_is_longer_than_its_column(house: House, say: Say) -> None:
    name = "Ngân hàng thương mại cổ phần " * 17  # 493 characters
    say("services", {"ResponseCode": 1, "Data": [{"ID": "555", "SV": "02", "SERVICE_NAME": name, "PRICE": 1450}]})
    say("networks", {"status_code": 200, "success": True, "data": []})
    catalog.sync_catalog(house.token)
    service = Service.objects.get(upstream_id="555")
    say("rent", {"ResponseCode": 1, "RequestLog": {}})  # success without a number
    rental = order(house, service=service)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    assert rental.status == Status.UNCONFIRMED
    say(
        "history",
        {"status_code": 200, "success": True, "data": [{"ID": 58098, "Phone": "0852222127", "ServiceName": name}]},
    )
    assert reconciling.reconcile(house.token.pk) == 1
    rental.refresh_from_db()
    assert (rental.status, rental.upstream_id) == (Status.WAITING, "58098")
