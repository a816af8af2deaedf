"""What goes out by https goes to the name that was typed, and to no other."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from lib.network import outgoing
from lib.network.outgoing import NotSent, Problem, post


class Receiver(BaseHTTPRequestHandler):
    """Answers each request well, and keeps its Host."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.headers["Host"])  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _certificate(folder: Path, name: str, *, days: int) -> Path:
    """Write a certificate that vouches for itself, with its key, valid until so many days from now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / f"{name}{days}.pem"
    file.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    return file


class Serving:
    """A receiver by TLS with this certificate, on `port`."""

    def __init__(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server = HTTPServer(("127.0.0.1", 0), Receiver)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes print no traceback
        self.server.seen = []  # type: ignore[attr-defined]
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port, self.seen = self.server.server_port, self.server.seen  # type: ignore[attr-defined]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Every name of `.example` is this machine, which the setting lets in."""
    settings.OUTGOING_ALLOW = ["127.0.0.1"]
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        return real("127.0.0.1" if host.endswith(".example") else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _problem(url: str) -> Problem:
    with pytest.raises(NotSent) as caught:
        post(url, b"{}", {})
    return caught.value.problem


@pytest.mark.usefixtures("here")
def test_a_certificate_must_be_trusted_in_time_and_of_the_typed_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, old = _certificate(tmp_path, "good.example", days=1), _certificate(tmp_path, "old.example", days=-1)
    one, other = Serving(good), Serving(old)
    try:
        assert _problem(f"https://good.example:{one.port}/") == Problem.TLS
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(good.read_bytes() + old.read_bytes())
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert post(f"https://good.example:{one.port}/", b"{}", {}).status == 204
        assert one.seen == [f"good.example:{one.port}"]
        assert _problem(f"https://other.example:{one.port}/") == Problem.TLS
        assert _problem(f"https://127.0.0.1:{one.port}/") == Problem.TLS
        assert _problem(f"https://old.example:{other.port}/") == Problem.TLS
        assert (len(one.seen), other.seen) == (1, [])
    finally:
        for serving in (one, other):
            serving.server.shutdown()
            serving.server.server_close()


@pytest.mark.usefixtures("here")
def test_a_server_that_never_greets_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert _problem(f"https://silent.example:{silent.getsockname()[1]}/") == Problem.TIMEOUT
