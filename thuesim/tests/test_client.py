"""What is asked of the upstream, word by word, and what is made of its history."""

import contextlib
import json
from collections.abc import Callable
from datetime import date
from urllib.parse import parse_qsl, urlsplit

import pytest

from thuesim import Call, CannotConnect, Client, Gibberish, Reply, State, ThueSimError, UpstreamError

from .payloads import PAYLOADS
from .upstream import Upstream, answer

TOKEN = "12345-0123456789abcdef0123456789abea57"
BODIES = {name: body for name, _, body, _ in PAYLOADS}


def asked(call: Callable[[Client], object], body: str) -> tuple[str, dict[str, str]]:
    """Return path and parameters of the one request that a call sends."""
    with Upstream(answer(body)) as server:
        call(Client(TOKEN, server.url))
    assert len(server.requests) == 1
    method, address, _ = server.requests[0].split(" ", 2)
    assert method == "GET"
    parts = urlsplit(address)
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    assert params.pop("token") == TOKEN
    return parts.path, params


RENTED = BODIES["rent, B"]
CALLS: list[tuple[Callable[[Client], object], str, str, dict[str, str]]] = [
    (lambda c: c.balance(), BODIES["balance"], "/api/", {"show": "balance"}),
    (lambda c: c.networks(), BODIES["networks"], "/api/", {"show": "networks"}),
    (lambda c: c.services(), BODIES["services, B"], "/api/", {"show": "service"}),
    (lambda c: c.code("88237016.10"), BODIES["code, not yet"], "/api/", {"show": "code", "ID": "88237016.10"}),
    (lambda c: c.rent("02.97"), RENTED, "/api/register-service/", {"serviceId": "02.97"}),
    (
        lambda c: c.rent("97", networks=["MOBIFONE"], prefixes=["090"]),
        RENTED,
        "/api/register-service/",
        {"serviceId": "97", "carries": "MOBIFONE", "yPrefix": "90"},
    ),
    (
        lambda c: c.rent("02.97", networks=("VINAPHONE", "VIETTEL"), exclude_prefixes=["97", "098"]),
        RENTED,
        "/api/register-service/",
        {"serviceId": "02.97", "carries": "VINAPHONE|VIETTEL|", "nPrefix": "97|98|"},
    ),
    (
        lambda c: c.rent_again(phone="+84912345678", service_id="97", earlier_id="215978", sv="02"),
        RENTED,
        "/api/rephone/",
        {"phone": "0912345678", "serviceId": "97", "thuesim1": "215978.02"},
    ),
    (
        lambda c: c.rent_again(phone="+84912345678", service_id="97", earlier_id="88237016.1", sv="10"),
        RENTED,
        "/api/rephone/",
        {"phone": "0912345678", "serviceId": "97", "thuesim1": "88237016.10"},
    ),
    (
        lambda c: c.rent_again(phone="+84912345678", service_id="97", earlier_id="215978.02", sv=""),
        RENTED,
        "/api/rephone/",
        {"phone": "0912345678", "serviceId": "97", "thuesim1": "215978"},
    ),
    (lambda c: c.history(), BODIES["history"], "/api/", {"show": "history"}),
    (
        lambda c: c.history(
            service_id="1", state=State.EXPIRED, limit=50, since=date(2020, 8, 1), until=date(2020, 8, 31)
        ),
        BODIES["history"],
        "/api/",
        {
            "show": "history",
            "service": "1",
            "status": "2",
            "limit": "50",
            "fromDate": "2020-08-01",
            "toDate": "2020-08-31",
        },
    ),
]


@pytest.mark.parametrize(("call", "body", "path", "params"), CALLS)
def test_each_call_asks_as_the_page_prints_it(
    call: Callable[[Client], object], body: str, path: str, params: dict[str, str]
) -> None:
    assert asked(call, body) == (path, params)


def test_a_base_address_may_have_a_path() -> None:
    with Upstream(answer(BODIES["balance"])) as server:
        Client(TOKEN, server.url + "/stand-in/").balance()
    assert server.requests[0].startswith("GET /stand-in/api/?show=balance&")


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.rent(""),
        lambda c: c.rent("02.97", networks=["A|B"]),
        lambda c: c.rent("02.97", networks=[""]),
        lambda c: c.rent("02.97", prefixes=["9x"]),
        lambda c: c.rent("02.97\n"[:5] + "\x00"),
        lambda c: c.rent_again(phone="none", service_id="97", earlier_id="1", sv="02"),
        lambda c: c.rent_again(phone="+84912345678", service_id="97", earlier_id="", sv="02"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(call: Callable[[Client], object]) -> None:
    with Upstream(answer(RENTED)) as server, pytest.raises(ValueError):
        call(Client(TOKEN, server.url))
    assert server.connections == 0


def test_one_text_is_not_a_list_of_networks() -> None:
    with pytest.raises(TypeError):
        Client(TOKEN, "http://127.0.0.1:1").rent("02.97", networks="VIETTEL")


@pytest.mark.parametrize("base_url", ["", "thuesim.xyz", "ftp://x", "http://", "http://a:b@x", "http://x?token=1"])
def test_a_wrong_base_address_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Client(TOKEN, base_url)


def history(*rows: dict[str, object], **filters: object) -> list[str]:
    body = json.dumps({"status_code": 200, "success": True, "data": list(rows)})
    with Upstream(answer(body)) as server:
        return [entry.id for entry in Client(TOKEN, server.url).history(**filters)]  # type: ignore[arg-type]


OLD: dict[str, object] = {"ID": 1, "ServiceID": 97, "Status": 2, "CreatedTime": "2020-08-06T17:13:24.88"}
NEW: dict[str, object] = {
    "ID": 2,
    "ServiceID": "02.97",
    "Status": 1,
    "Code": "1234",
    "CreatedTime": "2021-08-06T00:30:00",
}
TIMELESS: dict[str, object] = {"ID": 3, "ServiceID": 4, "Status": 0, "CreatedTime": None}


def test_filters_that_the_upstream_ignored_are_applied_again() -> None:
    rows = (OLD, NEW, TIMELESS)
    assert history(*rows) == ["1", "2", "3"]
    assert history(*rows, service_id="97") == ["1", "2"]
    assert history(*rows, state=State.EXPIRED) == ["1"]
    assert history(*rows, since=date(2021, 8, 6)) == ["2", "3"]
    assert history(*rows, until=date(2020, 8, 6)) == ["1", "3"]
    assert history(*rows, since=date(2020, 8, 7), until=date(2021, 8, 5)) == ["3"]


def test_a_limit_keeps_the_newest_and_those_without_a_time() -> None:
    assert history(OLD, NEW, TIMELESS, limit=2) == ["3", "2"]
    assert history(OLD, NEW, TIMELESS, limit=3) == ["1", "2", "3"]


def test_an_empty_history_is_an_empty_list() -> None:
    assert history() == []


def test_thousands_of_rows_are_read() -> None:
    # Some long texts rather than many: each is searched for a code, up to the limit, which takes most of the time.
    rows = [OLD | {"ID": n, "SmsContent": "x" * (200_000 if n % 100 == 0 else 20)} for n in range(1, 3001)]
    assert len(json.dumps(rows)) > 5 * 1024 * 1024
    assert len(history(*rows)) == 3000


def test_a_reply_of_its_own_is_believed_under_any_status() -> None:
    with Upstream(answer(RENTED, "404 Not Found")) as server:
        assert Client(TOKEN, server.url).rent("02.97").id == "88237016.01"


def test_a_client_can_be_closed_and_used_again() -> None:
    with Upstream(answer(BODIES["balance"])) as server:
        with Client(TOKEN, server.url) as client:
            client.balance()
        assert client.balance().amount == 123456


def test_the_error_of_a_call_keeps_the_upstreams_words() -> None:
    behave = answer('{"status_code":-1,"success":false,"message":"Có lỗi lạ"}')
    with Upstream(behave) as server, pytest.raises(UpstreamError, match="Có lỗi lạ") as caught:
        Client(TOKEN, server.url).rent("02.97")
    assert caught.value.code == "-1"


def test_every_reply_is_shown_before_it_is_read_whether_it_is_understood_or_not() -> None:
    replies: list[Reply] = []
    for body, status in ((BODIES["services, B"], "200 OK"), ("<html>down</html>", "502 Bad Gateway")):
        with Upstream(answer(body, status)) as server, contextlib.suppress(ThueSimError):
            Client(TOKEN, server.url, on_reply=replies.append).services()
    assert [(reply.endpoint, reply.status) for reply in replies] == [("services", 200), ("services", 502)]
    assert replies[0].envelope().family == "B"
    assert replies[0].body.decode() == BODIES["services, B"]
    with pytest.raises(Gibberish):
        replies[1].envelope()


def test_the_reply_that_is_shown_holds_no_token_and_keeps_its_body_out_of_its_repr() -> None:
    replies: list[Reply] = []
    with Upstream(answer(f'{{"status_code":200,"data":{{"balance":1}},"echo":"{TOKEN}"}}')) as server:
        Client(TOKEN, server.url, on_reply=replies.append).balance()
    assert TOKEN.encode() not in replies[0].body
    assert "balance" not in repr(replies[0]).replace("endpoint='balance'", "")


def test_no_reply_is_shown_where_none_came() -> None:
    replies: list[Reply] = []
    with pytest.raises(CannotConnect):
        Client(TOKEN, "http://127.0.0.1:1", on_reply=replies.append).balance()
    assert replies == []


def test_each_call_is_told_with_its_duration_and_its_error() -> None:
    calls: list[Call] = []
    with Upstream(answer(RENTED)) as server:
        Client(TOKEN, server.url, on_call=calls.append).rent("02.97")
    with Upstream(answer("<html>")) as server, pytest.raises(Gibberish) as caught:
        Client(TOKEN, server.url, on_call=calls.append).services()
    assert [(call.endpoint, call.error) for call in calls] == [
        ("api/register-service", None),
        ("service", caught.value),
    ]
    assert all(0 < call.seconds < 20 for call in calls)
