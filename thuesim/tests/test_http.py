"""The way to the network, against a real server that misbehaves."""

import datetime
import gzip
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from thuesim import Balance, CannotConnect, Client, Gibberish, KeptBack, NotRented, OutcomeUnknown, TimedOut, errors
from thuesim.errors import ThueSimError

from . import upstream
from .payloads import PAYLOADS
from .upstream import SENT, PlainPort, Trouble, Upstream, answer, hurry

TOKEN = "12345-0123456789abcdef0123456789abea57"
RENTED = {name: body for name, _, body, _ in PAYLOADS}["rent, B"]
BALANCE = '{"status_code":200,"success":true,"message":"successful","data":{"balance":123456}}'


@pytest.mark.parametrize("trouble", SENT, ids=lambda trouble: trouble.name)
def test_a_failing_rent_ends_in_the_right_family_and_is_sent_once(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble.hangs:
        hurry(monkeypatch, "sent", True)
    with Upstream(trouble.behave) as server:
        with pytest.raises(ThueSimError) as caught:
            Client(TOKEN, server.url).rent("02.97")
        assert type(caught.value) is trouble.error
        server.wait_for_request()
        assert len(server.requests) == 1
        assert server.connections == 1


@pytest.mark.parametrize("trouble", SENT, ids=lambda trouble: trouble.name)
def test_a_failing_question_never_raises_anything_else(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    if trouble.hangs:
        hurry(monkeypatch, "sent", True)
    with Upstream(trouble.behave) as server:
        with pytest.raises(ThueSimError):
            Client(TOKEN, server.url).balance()
        server.wait_for_request()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behave",
    [upstream.silence, upstream.slow_body, upstream.slow_headers, upstream.endless_headers, upstream.endless_continue],
)
def test_the_whole_call_is_bounded_however_slowly_the_server_drips(
    behave: upstream.Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, "sent", True)
    with Upstream(behave) as server:
        started = time.monotonic()
        with pytest.raises(TimedOut):  # after the server's own end it would be another error
            Client(TOKEN, server.url).rent("02.97")
        assert time.monotonic() - started > 0.9 * upstream.HURRY_SECONDS


def test_a_body_of_50_mb_is_not_read_past_the_limit() -> None:
    with Upstream(upstream.flood) as server, pytest.raises(Gibberish, match="larger than 5242880 bytes"):
        Client(TOKEN, server.url).balance()
    # What the two socket buffers swallow comes on top of what was read.
    assert server.sent < 25 * 1024 * 1024


def test_a_compressed_bomb_is_not_unpacked_past_the_limit() -> None:
    bomb = gzip.compress(b" " * 50 * 1024 * 1024)
    behave = answer(bomb, "200 OK", "Content-Encoding: gzip")
    with Upstream(behave) as server, pytest.raises(Gibberish, match="larger than"):
        Client(TOKEN, server.url).balance()


def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(CannotConnect, match="connecting failed: ConnectionRefusedError"):
            Client(TOKEN, f"http://127.0.0.1:{unused.getsockname()[1]}").rent("02.97")


def test_an_unknown_host_means_that_nothing_was_sent() -> None:
    with pytest.raises(CannotConnect, match="resolving the name failed"):
        Client(TOKEN, "http://name.invalid", timeout=10).rent("02.97")


def test_a_resolver_that_hangs_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hung = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        hung.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(CannotConnect, match="resolving the name failed: no time left"):
        Client(TOKEN, "http://slow.example", timeout=0.3).rent("02.97")
    hung.set()


def test_a_tls_failure_means_that_nothing_was_sent() -> None:
    with PlainPort(answer(BALANCE)) as server, pytest.raises(CannotConnect, match="agreeing on TLS failed: SSLError"):
        Client(TOKEN, server.url.replace("http:", "https:")).rent("02.97")
    assert server.requests == []


def test_a_tls_server_that_says_nothing_is_bounded() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(CannotConnect, match="agreeing on TLS failed: no time left"),
    ):
        Client(TOKEN, f"https://127.0.0.1:{mute.getsockname()[1]}", timeout=2).rent("02.97")


def test_a_connection_that_nobody_accepts_in_time_means_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, "stage", "connecting")
    with upstream.full_backlog() as port, pytest.raises(CannotConnect, match="connecting failed: no time left"):
        Client(TOKEN, f"http://127.0.0.1:{port}").rent("02.97")


def test_a_name_that_leads_to_a_link_local_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(CannotConnect):
        Client(TOKEN, "http://rebound.example", timeout=2).balance()


def test_an_address_that_is_dead_does_not_hide_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream(answer(BALANCE)) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            for port in (unused.getsockname()[1], server.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert Client(TOKEN, "http://two.example").balance() == Balance(123456)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_the_target_of_a_redirect_gets_no_request(status: str) -> None:
    with Upstream(answer(BALANCE)) as target, Upstream(upstream.redirect(f"{target.url}/api/", status)) as server:
        with pytest.raises(OutcomeUnknown):
            Client(TOKEN, server.url).rent("02.97")
        assert target.connections == 0


def test_a_redirects_body_is_not_read_past_the_limit() -> None:
    def behave(server: Upstream, connection: socket.socket) -> None:
        server.send(connection, b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 52428800\r\n\r\n")
        for _ in range(800):
            server.send(connection, b" " * 65536)

    with Upstream(behave) as server, pytest.raises(Gibberish):
        Client(TOKEN, server.url).rent("02.97")
    assert server.sent < 25 * 1024 * 1024


def test_questions_share_a_connection_and_a_rent_gets_its_own() -> None:
    with Upstream(answer(BALANCE), keep_alive=True) as server, Client(TOKEN, server.url) as client:
        client.balance()
        client.balance()
        assert server.connections == 1
        with pytest.raises(errors.NumberUnclear):
            client.rent("02.97")
        assert server.connections == 2
        assert "Connection: close" in server.requests[-1]


def test_a_request_on_a_kept_connection_that_the_server_closes_is_not_repeated() -> None:
    def behave(server: Upstream, connection: socket.socket) -> None:
        if len(server.requests) == 1:
            answer(BALANCE)(server, connection)
        else:
            connection.close()

    with Upstream(behave, keep_alive=True) as server, Client(TOKEN, server.url) as client:
        client.balance()
        with pytest.raises(errors.ConnectionLost):
            client.balance()
        assert len(server.requests) == 2
        with pytest.raises(errors.ConnectionLost):
            client.rent("02.97")
        assert len(server.requests) == 3


def test_a_kept_connection_closed_meanwhile_is_replaced_before_anything_is_sent() -> None:
    with Upstream(answer(BALANCE)) as server, Client(TOKEN, server.url) as client:  # closes after each answer
        client.balance()
        server.hung_up()
        client.balance()
        assert server.connections == 2


def test_a_forked_process_does_not_share_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream(answer(BALANCE), keep_alive=True) as server, Client(TOKEN, server.url) as client:
        client.balance()
        monkeypatch.setattr("os.getpid", lambda: -1)
        client.balance()
        assert server.connections == 2


def test_a_caller_is_asked_before_the_request_leaves_and_told_after() -> None:
    steps: list[str] = []

    def behave(server: Upstream, connection: socket.socket) -> None:
        steps.append("answer")
        answer(RENTED)(server, connection)

    with Upstream(behave) as server:

        def before_send() -> bool:
            steps.append("asked")
            assert server.requests == []
            return True

        def after_send() -> None:
            steps.append("sent")

        Client(TOKEN, server.url).rent("02.97", before_send=before_send, after_send=after_send)
    assert steps[0] == "asked"
    assert sorted(steps[1:]) == ["answer", "sent"]


def test_a_request_that_its_caller_keeps_back_never_leaves() -> None:
    sent: list[bool] = []
    with Upstream(answer(RENTED)) as server:
        client = Client(TOKEN, server.url)
        with pytest.raises(KeptBack):
            client.rent("02.97", before_send=lambda: False, after_send=lambda: sent.append(True))
        with pytest.raises(KeptBack):
            client.rent_again(phone="+84852222127", service_id="97", earlier_id="1", sv="02", before_send=lambda: False)
    assert (server.requests, sent) == ([], [])


def test_the_caller_hears_that_the_request_is_sent_long_before_the_answer() -> None:
    sent = threading.Event()

    def behave(server: Upstream, connection: socket.socket) -> None:
        assert sent.wait(60), "the answer waits for the hook"
        answer(RENTED)(server, connection)

    with Upstream(behave) as server:
        assert Client(TOKEN, server.url).rent("02.97", after_send=sent.set).id == "88237016.01"


@pytest.mark.parametrize("error", [RuntimeError, OSError, ValueError])
def test_a_hook_that_fails_after_the_sending_does_not_lose_the_number(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("the database is away")

    with Upstream(answer(RENTED)) as server:
        assert Client(TOKEN, server.url).rent("02.97", after_send=fail).id == "88237016.01"
    assert f"a hook of the client failed: {error.__name__}" in caplog.text


def test_a_hook_that_fails_before_the_sending_means_that_nothing_was_sent() -> None:
    def fail() -> bool:
        raise RuntimeError("the database is away")

    with Upstream(answer(RENTED)) as server, pytest.raises(RuntimeError):
        Client(TOKEN, server.url).rent("02.97", before_send=fail)
    assert server.requests == []


def test_bom_content_type_and_charset_do_not_matter() -> None:
    name = "DV KHÁC (TEST)"
    body = (
        b"\xef\xbb\xbf\xef\xbb\xbf \r\n" + f'{{"ResponseCode":1,"Data":[{{"ID":97,"SERVICE_NAME":"{name}"}}]}}'.encode()
    )
    behave = answer(body, "200 OK", "Content-Type: text/html; charset=windows-1258")
    with Upstream(behave) as server:
        assert Client(TOKEN, server.url).services()[0].name == name


def test_neither_the_environment_nor_netrc_nor_cookies_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("default login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    behave = answer(BALANCE, "200 OK", "Set-Cookie: PHPSESSID=1; path=/")
    with Upstream(behave, keep_alive=True) as server, Client(TOKEN, server.url) as client:
        client.balance()
        client.balance()
    assert not any("authorization" in head.lower() or "cookie" in head.lower() for head in server.requests)


def test_many_threads_get_their_own_answers() -> None:
    def behave(server: Upstream, connection: socket.socket) -> None:
        pass

    def serve(server: Upstream, connection: socket.socket) -> None:
        head = next(head for head in reversed(server.requests) if head is heads[threading.get_ident()])
        id_ = head.split("ID=")[1].split("&")[0]
        answer(f'{{"ResponseCode":0,"Msg":"OK","Result":{{"SMS":"","Code":"{id_}"}}}}')(server, connection)

    heads: dict[int, str] = {}

    class Echo(Upstream):
        def _head(self, connection: socket.socket) -> str:
            heads[threading.get_ident()] = head = super()._head(connection)
            return head

    with Echo(serve, keep_alive=True) as server, Client(TOKEN, server.url) as client, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda id_: client.code(str(id_)), range(1000, 1200)))
    assert [reply.message.code for reply in replies if reply.message] == [str(id_) for id_ in range(1000, 1200)]


def test_a_certificate_that_nobody_signed_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path_factory.mktemp("tls")))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(NotRented, match="agreeing on TLS failed: SSLError"):
            Client(TOKEN, f"https://localhost:{listener.getsockname()[1]}").rent("02.97")
        thread.join(60)


def test_tls_replies_are_bounded_as_well(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _self_signed(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setattr("requests.adapters._preloaded_ssl_context", None, raising=False)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", certificate)
    hurry(monkeypatch, "sent", True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with connection, context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    end = time.monotonic() + upstream.ENDLESS_SECONDS
                    while not stop.wait(0.05) and time.monotonic() < end:
                        secure.sendall(b"x")
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(TimedOut):
            Client(TOKEN, f"https://localhost:{listener.getsockname()[1]}").rent("02.97")
        stop.set()
        thread.join(60)


def _self_signed(folder: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)
