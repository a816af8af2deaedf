"""The token must not come out anywhere, whatever goes wrong."""

import contextlib
import http.client
import io
import logging
import pickle
import re
import socket
import traceback
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import requests

from thuesim import Client, RedactingFilter, Rented, Secret, parse_callback, redact
from thuesim.drift import Drift
from thuesim.errors import ThueSimError
from thuesim.transport import Adapter

from . import upstream
from .upstream import SENT, Behaviour, PlainPort, Trouble, Upstream, answer

CANARY = "90417-c0ffee5eedbadd1ef00dfacade5beef9"
_PIECES = [CANARY[i : i + 8] for i in range(len(CANARY) - 7)]


def echo(template: str, status: str = "200 OK", *headers: str) -> Behaviour:
    """Answer with the token that was sent, wherever the template has `TOKEN`."""

    def behave(server: Upstream, connection: socket.socket) -> None:
        found = re.search(r"token=([^&\s]+)", server.requests[-1])
        token = found[1] if found else ""
        lines = [header.replace("TOKEN", token) for header in headers]
        answer(template.replace("TOKEN", token), status, *lines)(server, connection)

    return behave


ECHOES: dict[str, Behaviour] = {
    "refusal": echo('{"status_code":401,"success":false,"message":"Lỗi xác thực: token TOKEN sai"}'),
    "refusal in capitals": echo('{"status_code":-1,"message":"token ' + CANARY.upper() + '"}'),
    "gibberish": echo("<html>TOKEN</html>"),
    "unknown field": echo('{"status_code":200,"success":true,"TOKEN":"TOKEN","data":{"TOKEN":"TOKEN"}}'),
    "number missing": echo('{"ResponseCode":1,"Message":"TOKEN","RequestLog":{"ID":"TOKEN"}}'),
    "code": echo('{"status_code":"TOKEN","success":false,"message":"TOKEN"}'),
    "redirect": echo("TOKEN", "302 Found", "Location: http://127.0.0.1:1/?token=TOKEN"),
    "header": echo("TOKEN", "500 TOKEN", "X-Echo: TOKEN", "broken TOKEN"),
    "plain 429": echo("Limit exceeded, tối đa 3 số chờ TOKEN", "429 Too Many"),
}
TROUBLES = {trouble.name: trouble for trouble in SENT} | {
    f"echo: {name}": Trouble(name, behave, ThueSimError) for name, behave in ECHOES.items()
}


@contextlib.contextmanager
def everything_written_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Catch all loggers at DEBUG, http.client's own printing, and standard output and error."""
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.Logger.manager.loggerDict))]
    levels = [(logger, logger.level) for logger in loggers]
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    loggers[0].addHandler(handler)
    try:
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            yield sink
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in levels:
            logger.setLevel(level)


def assert_clean(text: str) -> None:
    for form in (text, text.lower()):
        assert not [piece for piece in _PIECES if piece in form]


def told_by(error: BaseException) -> str:
    """Return all that an error tracker could send about an exception: texts, chain, frames and their variables."""
    parts = [
        str(error),
        repr(error),
        repr(error.args),
        repr(vars(error)),
        "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format(chain=True)),
    ]
    seen: BaseException | None = error
    while seen is not None:
        parts += inside(vars(seen), 4)
        step = seen.__traceback__
        while step is not None:
            parts += inside(step.tb_frame.f_locals, 4)
            step = step.tb_next
        seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)


def inside(value: object, depth: int) -> list[str]:
    """Return the texts in a value, as deep as an error tracker that walks attributes would go; Secrets stay shut."""
    if isinstance(value, str | bytes | bytearray):
        return [value if isinstance(value, str) else bytes(value).decode("latin-1")]
    if depth == 0 or isinstance(value, Secret | Client | Upstream | type(logging)):
        return [repr(value)] if isinstance(value, Secret | Client) else []
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in inside(part, depth - 1)]
    if isinstance(value, list | tuple | set):
        return [text for part in value for text in inside(part, depth - 1)]
    if isinstance(value, requests.PreparedRequest | requests.Response):
        return inside(vars(value), depth - 1)
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    attributes = {name: getattr(value, name, None) for name in slots} | getattr(value, "__dict__", {})
    return inside(attributes, depth - 1) if not callable(value) else []


@pytest.mark.parametrize("name", TROUBLES)
def test_no_error_of_a_reply_shows_the_token(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = TROUBLES[name]
    drifts: list[Drift] = []
    if trouble.hangs:
        upstream.hurry(monkeypatch, "sent", True)
    with everything_written_down(monkeypatch) as written, Upstream(trouble.behave) as server:
        client = Client(CANARY, server.url, on_drift=drifts.append)
        for call in (lambda: client.rent("02.97"), client.balance, client.history, lambda: client.code("1.01")):
            try:
                value = call()
            except ThueSimError as error:
                assert_clean(told_by(error))
                assert_clean(told_by(pickle.loads(pickle.dumps(error))))
            else:
                assert_clean(repr(value))
        assert CANARY in server.requests[0]
    assert_clean(repr(drifts))
    assert_clean(written.getvalue())
    if name != "odd headers":
        assert "urllib3" in written.getvalue()


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@contextlib.contextmanager
def plain_port() -> Iterator[str]:
    with PlainPort(upstream.silence) as server:
        yield server.url.replace("http:", "https:")


@contextlib.contextmanager
def not_accepting() -> Iterator[str]:
    with upstream.full_backlog() as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def address(url: str) -> Iterator[str]:
    yield url


UNREACHABLE: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "refused": refusing,
    "TLS": plain_port,
    "backlog": not_accepting,
    "no such name": lambda: address("http://name.invalid"),
    "a label too long": lambda: address(f"http://{'a' * 70}.invalid"),
    "an odd port": lambda: address("http://127.0.0.1:0"),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_no_failure_to_connect_shows_the_token(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        everything_written_down(monkeypatch) as written,
        UNREACHABLE[name]() as url,
        pytest.raises(ThueSimError) as caught,
    ):
        Client(CANARY, url, timeout=2).rent("02.97")
    assert_clean(told_by(caught.value))
    assert_clean(written.getvalue())


def test_an_error_raised_while_another_is_handled_shows_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as url:
        client = Client(CANARY, url)
        try:
            client.balance()
        except ThueSimError:
            with pytest.raises(ThueSimError) as caught:
                client.networks()
    assert_clean(told_by(caught.value))


def test_an_interrupt_in_the_middle_of_a_call_carries_no_frames_with_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: Adapter, request: requests.PreparedRequest, **_: object) -> None:
        url = request.url
        assert url
        assert CANARY in url
        raise KeyboardInterrupt

    monkeypatch.setattr(Adapter, "send", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        Client(CANARY, "http://127.0.0.1:1").balance()
    assert_clean(told_by(caught.value))


def test_a_wrong_setting_does_not_show_the_token() -> None:
    for base_url in ("thuesim.xyz", "ftp://thuesim.xyz", "http://", f"http://x/?token={CANARY}"):
        with pytest.raises(ValueError) as caught:
            Client(CANARY, base_url)
        assert_clean(str(caught.value))
        shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert not re.search(r"token = .*c0ffee", shown)


def test_the_client_shows_four_characters_of_the_token_at_most() -> None:
    client = Client(CANARY)
    assert repr(client) == "Client(token=…eef9, base_url='https://thuesim.xyz')"
    assert str(client) == repr(client)
    assert_clean(repr(vars(client)))
    assert repr(Secret("short")) == "…"


def test_neither_client_nor_secret_can_be_pickled_into_a_message() -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Secret(CANARY))
    with pytest.raises(TypeError):
        pickle.dumps(Client(CANARY))


def test_a_token_echoed_in_a_good_reply_is_taken_out() -> None:
    body = '{"RequestLog":{"ID":1.01,"Phone":"0852222127","Price":470},"ResponseCode":1,"Message":"ok TOKEN"}'
    with Upstream(echo(body)) as server:
        rented = Client(CANARY, server.url).rent("02.97")
    assert isinstance(rented, Rented)
    assert rented.message == "ok …eef9"


def test_a_callback_that_holds_a_token_does_not_tell_it_in_its_error_or_drift() -> None:
    drifts: list[Drift] = []
    for body in (f'{{"token":"{CANARY}"}}', f"token={CANARY}", CANARY, f'{{"{CANARY}":1,"requestId":"5"}}'):
        with contextlib.suppress(ThueSimError):
            parse_callback(body.encode(), on_drift=drifts.append)
    assert drifts
    assert_clean(repr(drifts))


@pytest.mark.parametrize(
    "text",
    [f"token={CANARY}", f"x{CANARY}y", CANARY.upper(), quote(CANARY).replace("-", "%2D"), f"{CANARY}{CANARY}"],
)
def test_redact_knows_a_token_by_its_looks(text: str) -> None:
    assert_clean(redact(text))


def test_redact_takes_out_secrets_of_any_form() -> None:
    assert redact("a=my+secret%2Ftoken&b=my secret/token", "my secret/token") == "a=…oken&b=…oken"
    assert redact("nothing here", "") == "nothing here"
    assert redact(r"pass\1word \g<0>", r"pass\1word") == "… \\g<0>"


def test_redacting_is_linear_in_hostile_text() -> None:
    assert len(redact("1" * 200_000 + "-" + "a" * 200_000)) > 1000


class TestRedactingFilter:
    def written(self, log: Callable[[logging.Logger], None], *secrets: str) -> str:
        sink = io.StringIO()
        handler = logging.StreamHandler(sink)
        handler.setFormatter(logging.Formatter("%(message)s %(extra)s", defaults={"extra": ""}))
        handler.addFilter(RedactingFilter(*secrets))
        logger = logging.Logger("canary")  # noqa: LOG001 - one of its own, with no handlers above
        logger.addHandler(handler)
        log(logger)
        return sink.getvalue()

    def test_message_arguments_and_extras_are_cleaned(self) -> None:
        shown = self.written(lambda logger: logger.info("got %s", CANARY, extra={"extra": {"url": f"?token={CANARY}"}}))
        assert_clean(shown)
        assert shown.startswith("got …eef9")

    def test_tracebacks_are_cleaned(self) -> None:
        def log(logger: logging.Logger) -> None:
            try:
                raise ValueError(f"bad token {CANARY}")
            except ValueError:
                logger.exception("failed")

        shown = self.written(log)
        assert_clean(shown)
        assert "ValueError: bad token …eef9" in shown

    def test_a_secret_without_a_tokens_looks_is_cleaned_where_it_is_named(self) -> None:
        shown = self.written(
            lambda logger: logger.info("password %s", "correct horse battery"), "correct horse battery"
        )
        assert "horse" not in shown

    def test_other_records_stay_as_they_are(self) -> None:
        assert self.written(lambda logger: logger.info("%d rentals", 3)) == "3 rentals \n"

    def test_a_wrong_format_string_does_not_leak_either(self) -> None:
        assert_clean(self.written(lambda logger: logger.info("%d", CANARY)))
