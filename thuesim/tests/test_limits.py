"""What is too long is left out or cut as the table of limits says, is noted, and hides nothing else in its reply."""

import json

import pytest

from thuesim import errors, replies
from thuesim.codes import whole_code
from thuesim.drift import Drift
from thuesim.limits import CUT_MARK, MAX_ID_LENGTH, MAX_PRICE, MAX_TEXT_BYTES, shortened

GOOD = {"ID": "88237016.02", "Phone": "0852222127", "ServiceID": "97", "Price": 1450, "Status": 0}


def history(*rows: object) -> tuple[list[replies.HistoryEntry], list[str]]:
    drifts: list[Drift] = []
    body = json.dumps({"status_code": 200, "success": True, "data": rows}).encode()
    return replies.parse_history(body, on_drift=drifts.append), [drift.form for drift in drifts]


def rented(**over: object) -> replies.Rented:
    fields = {"ID": "88237016.02", "Phone": "0852222127", "Price": 1450} | over
    return replies.parse_rented(json.dumps({"ResponseCode": 1, "RequestLog": fields}).encode())


def test_an_id_of_as_many_digits_as_the_limit_is_whole() -> None:
    assert rented(ID="9" * MAX_ID_LENGTH).id == "9" * MAX_ID_LENGTH


@pytest.mark.parametrize("id_", ["9" * (MAX_ID_LENGTH + 1), ".5", "0.02", "00", "a b"])
def test_a_rental_with_an_id_that_is_none_may_have_been_taken(id_: str) -> None:
    with pytest.raises(errors.NumberUnclear):
        rented(ID=id_)


@pytest.mark.parametrize("id_", ["9" * (MAX_ID_LENGTH + 1), ".5", "0.02", None, []])
def test_a_history_row_without_an_id_is_noted_and_hides_no_other(id_: object) -> None:
    entries, forms = history(GOOD | {"ID": id_}, GOOD)
    assert [entry.id for entry in entries] == ["88237016.02"]
    assert "an element without an id" in forms


def test_an_id_that_is_too_long_is_noted_as_such() -> None:
    assert f"an id of more than {MAX_ID_LENGTH} characters" in history(GOOD | {"ID": "9" * 65})[1]


@pytest.mark.parametrize(
    ("price", "kept"), [(MAX_PRICE, MAX_PRICE), (MAX_PRICE + 1, None), (-1, None), ("1e9", 10**9), (1450.5, 1451)]
)
def test_a_price_above_the_limit_is_none_and_is_noted(price: object, kept: int | None) -> None:
    entries, forms = history(GOOD | {"Price": price})
    assert entries[0].price == kept
    assert ("a price outside 50 to 100,000 đ" in forms) == (kept != 1451)


def test_a_text_is_whole_up_to_the_limit_and_marked_as_cut_beyond() -> None:
    whole = "đ" * (MAX_TEXT_BYTES // 2)
    assert shortened(whole) == whole
    cut = shortened(whole + "!")
    assert cut.endswith("đ" + CUT_MARK)
    assert MAX_TEXT_BYTES - 4 < len(cut.encode()) <= MAX_TEXT_BYTES


def test_a_text_of_megabytes_is_cut_noted_and_keeps_its_code() -> None:
    entries, forms = history(GOOD | {"Status": 1, "SmsContent": "ma OTP la 529310 " + "x" * 5_000_000, "Code": None})
    message = entries[0].message
    assert message is not None
    assert message.code == "529310"
    assert len(message.text.encode()) <= MAX_TEXT_BYTES
    assert f"a text of more than {MAX_TEXT_BYTES} bytes" in forms


def test_a_recordings_address_that_is_too_long_is_not_cut_to_another_one() -> None:
    entries, forms = history(GOOD | {"Status": 1, "IsCall": True, "CallFile": "https://thuesim.xyz/" + "a" * 2000})
    message = entries[0].message
    assert message is not None
    assert (message.is_call, message.audio_url) == (True, "")
    assert "a recording's address of more than 2000 characters" in forms


def test_zeros_before_a_code_do_not_make_it_longer_than_a_code() -> None:
    assert whole_code("59809", "ma 059809") == "059809"
    assert whole_code("59809", "ma " + "0" * 500 + "59809") == "59809"


@pytest.mark.parametrize("name", ["X" * 41, "VIETTEL|MOBIFONE", "VIET\nTEL"])
def test_a_network_that_cannot_be_asked_for_by_its_name_is_left_out(name: str) -> None:
    drifts: list[Drift] = []
    body = json.dumps({"status_code": 200, "data": [{"id": 1, "name": name}, {"id": 2, "name": "VIETTEL"}]})
    networks = replies.parse_networks(body.encode(), on_drift=drifts.append)
    assert [network.name for network in networks] == ["VIETTEL"]
    assert "a network's name that cannot be asked for" in [drift.form for drift in drifts]


@pytest.mark.parametrize("sv", ["1" * (MAX_ID_LENGTH + 1), "0 2"])
def test_a_service_whose_server_cannot_be_told_is_not_taken_for_one_without_a_server(sv: str) -> None:
    drifts: list[Drift] = []
    rows = [{"ID": 97, "SV": sv, "SERVICE_NAME": "A", "PRICE": 1}, {"ID": 98, "SV": "02", "SERVICE_NAME": "B"}]
    body = json.dumps({"ResponseCode": 1, "Data": rows}).encode()
    assert [service.key for service in replies.parse_services(body, on_drift=drifts.append)] == ["02.98"]
    assert "a server that is none" in [drift.form for drift in drifts]


def test_a_waiting_limit_of_none_is_no_limit() -> None:
    limit = errors.refusal("Limit exceeded, tối đa 0 số chờ tin nhắn", "429", errors.PendingLimitReached)
    assert isinstance(limit, errors.PendingLimitReached)
    assert limit.limit is None
