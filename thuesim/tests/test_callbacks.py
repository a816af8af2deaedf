"""A callback is understood in each shape that it may have."""

import json
import time
from urllib.parse import urlencode

import pytest

from thuesim import CallbackBody, Gibberish, Message, State, parse_callback
from thuesim.posted import MAX_FORM_FIELDS

FIELDS = {"status": 1, "requestId": "58098", "code": "059809", "smsContent": "ma 059809", "isSound": "false"}
MEANING = CallbackBody("58098", State.RECEIVED, Message("ma 059809", "059809", is_call=False, audio_url=""))
PHP_STYLE = {f"data[{key}]": value for key, value in FIELDS.items()}
MULTIPART = "".join(
    f'--xyz\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in FIELDS.items()
)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps({"data": FIELDS}), "application/json"),
        (json.dumps(FIELDS), ""),
        (json.dumps({"result": FIELDS}), "text/plain"),
        (json.dumps({"status_code": 200, "success": True, "data": FIELDS}), "application/json"),
        (json.dumps({"data": json.dumps(FIELDS)}), "application/json"),
        (json.dumps(FIELDS), "application/x-www-form-urlencoded"),
        ("\ufeff" + json.dumps({"DATA": {key.upper(): value for key, value in FIELDS.items()}}), "application/json"),
        (urlencode(FIELDS), "application/x-www-form-urlencoded"),
        (urlencode(FIELDS), "application/json"),
        (urlencode(PHP_STYLE), "application/x-www-form-urlencoded"),
        (urlencode({"data": json.dumps(FIELDS)}), "application/x-www-form-urlencoded"),
        (MULTIPART + "--xyz--\r\n", "multipart/form-data; boundary=xyz"),
        (MULTIPART + "--xyz--\r\n", 'multipart/form-data; charset=utf-8; boundary="xyz"'),
        ("a preamble\r\n" + MULTIPART + "--xyz--\r\n", "multipart/form-data; boundary=xyz"),
        (MULTIPART, "multipart/form-data"),  # cut off after its last field, and the header lost its boundary
        (MULTIPART, "multipart/form-data((((("),
        (MULTIPART, "multipart/form-data; boundary=another"),
        (MULTIPART.replace("\r\n", "\n"), "multipart/form-data; boundary=xyz"),
        (MULTIPART.replace("Disposition: ", "Type: text/plain\r\nContent-Disposition: "), ""),
    ],
)
def test_json_and_forms_with_the_fields_anywhere(body: str, content_type: str) -> None:
    assert parse_callback(body.encode(), content_type) == MEANING


def test_a_call_brings_the_recordings_address() -> None:
    fields = FIELDS | {"isSound": "true", "smsContent": "https://thuesim.xyz/1.wav"}
    message = parse_callback(json.dumps(fields).encode()).message
    assert message == Message("", "059809", is_call=True, audio_url="https://thuesim.xyz/1.wav")


@pytest.mark.parametrize("status", [2, "2", "Hết hạn"])
def test_expired(status: object) -> None:
    body = json.dumps({"data": {"status": status, "requestId": 58098, "code": None, "smsContent": ""}})
    assert parse_callback(body.encode()) == CallbackBody("58098", State.EXPIRED, None)


def test_expired_with_a_message_is_received() -> None:
    assert parse_callback(json.dumps(FIELDS | {"status": 2}).encode()) == MEANING


def test_the_code_is_taken_from_the_text_where_it_is_missing() -> None:
    assert parse_callback(json.dumps(FIELDS | {"code": None}).encode()) == MEANING


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "null", "hello", "a=b", "<xml/>", '{"data":{"status":1}}', '{"requestId":0}']
)
def test_what_names_no_rental_is_gibberish(body: str) -> None:
    with pytest.raises(Gibberish):
        parse_callback(body.encode(), "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data((((" * 50, "multipart/form-data; boundary=" + "(" * 5000, "multipart/form-data; boundary=\"",
     "multipart/form-data; boundary*=utf-8''%zz", "multipart/mixed; boundary=xyz", "\x00\ud800", ";" * 60_000],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [b"--xyz", b"--xyz\r\n" * 9000, b'--xyz\r\nContent-Disposition: form-data; name="' + b";" * 60_000,
     b"--xyz\r\nContent-Type: multipart/mixed; boundary=xyz\r\n\r\n" * 1000, b"\r\n\r\n", b"--\r\n--\r\n"],
)  # fmt: skip
def test_a_malformed_multipart_is_gibberish_and_takes_no_time(body: bytes, content_type: str) -> None:
    started = time.process_time()
    with pytest.raises(Gibberish):
        parse_callback(body, content_type)
    assert time.process_time() - started < 2


def test_a_form_has_at_most_a_hundred_fields() -> None:
    filler = '--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * MAX_FORM_FIELDS
    with pytest.raises(Gibberish):
        parse_callback((filler + MULTIPART).encode(), "multipart/form-data; boundary=xyz")
