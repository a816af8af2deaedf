"""What is wrong between people and the desk: it asks itself through `DESK_PUBLIC_URL`, as a browser would, and compares.

Nothing else than that address is asked, for at most a minute, without a cookie, a key or another secret.
"""

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from lib.network import probes
from lib.network.public_url_problems import SENTENCES, WARNINGS, Problem

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
# Of an event that is sent at once: a proxy on the other side of the world takes less.
LATE_SECONDS = 1.5
CERTIFICATE_DAYS = 14  # of validity left, below which it is to be renewed
MAX_CLOCK_SECONDS = 30
MAX_ANSWER_BYTES = 65_536
# An address that no machine has (RFC 5737): what a visitor would claim to be.
CLAIMED_ADDRESS = "192.0.2.77"
# OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED, …_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH
_CERTIFICATE_PROBLEMS = {10: Problem.CERTIFICATE_EXPIRED, 62: Problem.CERTIFICATE_HOST, 64: Problem.CERTIFICATE_HOST}


# What nginx, Apache and servers in Go write to who speaks plain HTTP at a port for TLS, with the status 400.
_TLS_WANTED = (
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
    "sent an HTTP request to an HTTPS server",
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `values` are what its sentence names."""

    problem: Problem
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in the active language."""
        return str(SENTENCES[self.problem]) % self.values

    @property
    def is_warning(self) -> bool:
        """Whether the desk can be used all the same."""
        return self.problem in WARNINGS

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Finding | None":
        """Return a finding as it was kept; None for one of another version."""
        try:
            return cls(Problem(kept["problem"]), dict(kept["values"]))
        except (KeyError, TypeError, ValueError):
            return None


class NotThere(Exception):
    """The address gives no answer of the desk. `finding` says why."""

    def __init__(self, problem: Problem, **values: Any) -> None:
        self.finding = Finding(problem, values)


class _Stream(Protocol):
    def read1(self, amount: int = -1, /) -> bytes: ...


def examine(public_url: str) -> list[Finding]:
    """Return what is wrong with the way through `public_url`; `[]` where all arrives as it should.

    Takes about 20 seconds, for the stream's sake, and a minute at most.
    """
    address, token = urlsplit(public_url), probes.new_token()
    findings: list[Finding] = []
    try:
        with _connection(address, findings) as connection:
            facts = _ask(connection, address, token)
            findings += _of_facts(facts, address)
            findings += _of_clock(facts["time"], str(address.hostname))
        with _connection(address, []) as connection:
            findings += _of_stream(connection, address, token)
    except NotThere as not_there:
        findings.append(not_there.finding)
    return findings


@contextlib.contextmanager
def _connection(address: SplitResult, findings: list[Finding]) -> Iterator[http.client.HTTPConnection]:
    """Connect. A certificate that is not good is told in `findings`, and then not looked at: the rest is seen as well."""
    host, port = str(address.hostname), address.port or (443 if address.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    try:
        try:
            connection.connect()
            if address.scheme == "https":
                connection.sock = _with_tls(connection.sock, host, port, findings)
        except ssl.SSLError as error:
            raise NotThere(Problem.NO_TLS, host=host, port=port, reason=error.reason or "") from None
        except (OSError, UnicodeError) as error:
            raise NotThere(Problem.UNREACHABLE, host=host, port=port, reason=_reason(error)) from None
        connection.sock.settimeout(ANSWER_SECONDS)
        yield connection
    finally:
        connection.close()


def _with_tls(plain: socket.socket, host: str, port: int, findings: list[Finding]) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    try:
        secure = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        problem = _CERTIFICATE_PROBLEMS.get(error.verify_code, Problem.CERTIFICATE_UNTRUSTED)
        findings.append(Finding(problem, {"host": host, "reason": error.verify_message}))
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection((host, port), CONNECT_SECONDS), server_hostname=host)
    if ends := (secure.getpeercert() or {}).get("notAfter"):
        days = int((ssl.cert_time_to_seconds(str(ends)) - time.time()) // 86400)
        if days < CERTIFICATE_DAYS:
            findings.append(Finding(Problem.CERTIFICATE_SOON, {"host": host, "days": days}))
    return secure


def _get(
    connection: http.client.HTTPConnection, address: SplitResult, what: str, *, encodings: str = "identity"
) -> http.client.HTTPResponse:
    """Ask as a browser would; and as a visitor who claims another address. Raises `NotThere`."""
    headers = {
        "Origin": origin_of(address),
        "X-Forwarded-For": CLAIMED_ADDRESS,
        "Accept-Encoding": encodings,
        "User-Agent": "thuesim-desk-probe",
    }
    try:
        connection.request("GET", f"{address.path}{probes.PATH}{what}", headers=headers)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise NotThere(Problem.NO_ANSWER, host=address.hostname, reason=_reason(error)) from None


def _ask(connection: http.client.HTTPConnection, address: SplitResult, token: str) -> dict[str, Any]:
    """Return what the desk says that it saw. Raises `NotThere`."""
    began = connection.sock.getsockname()[:2]
    response = _get(connection, address, f"{token}/")
    try:
        body = response.read(MAX_ANSWER_BYTES).decode("latin-1")
    except (OSError, http.client.HTTPException) as error:
        raise NotThere(Problem.NO_ANSWER, host=address.hostname, reason=_reason(error)) from None
    facts = probes.facts_of(body, token)
    if facts is not None:
        return {**facts, "is_direct": facts["peer"] == list(began), "asked_from": str(began[0])}
    whole, status = f"{origin_of(address)}{address.path}/", response.status
    if address.scheme == "http" and status == HTTPStatus.BAD_REQUEST and any(words in body for words in _TLS_WANTED):
        raise NotThere(Problem.TLS_WANTED, host=address.hostname, port=address.port or 80)
    if status == HTTPStatus.UNAUTHORIZED and "WWW-Authenticate" in response.headers:
        raise NotThere(Problem.BASIC_AUTHENTICATION, address=whole)
    if status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}:
        raise NotThere(Problem.DESK_AWAY, address=whole, status=status)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        to = urlsplit(response.headers.get("Location", ""))
        raise NotThere(Problem.REDIRECTED, address=whole, to=f"{to.scheme}://{to.netloc}" if to.netloc else "/")
    # A desk whose clock is far from ours takes the probe for an old one.
    with contextlib.suppress(TypeError, ValueError):
        there = parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        for finding in _of_clock(there, str(address.hostname)):
            raise NotThere(finding.problem, **finding.values)
    raise NotThere(Problem.OTHER_PROGRAM, address=whole, status=status)


def _of_facts(facts: dict[str, Any], address: SplitResult) -> Iterator[Finding]:
    """Compare what arrived with what was sent."""
    expected = origin_of(address)
    host = expected.partition("://")[2]
    if facts["host"].lower() != host:
        yield Finding(Problem.HOST_CHANGED, {"seen": facts["host"][:100], "expected": host})
    if facts["origin"] != expected:
        yield Finding(Problem.ORIGIN_CHANGED, {"seen": facts["origin"][:100], "expected": expected})
    if facts["is_direct"]:
        return
    peer = str(facts["peer"][0])
    if facts["is_unproven"]:
        yield Finding(Problem.SECRET_MISSING, {"peer": peer})
        return
    if address.scheme == "https" and facts["scheme"] != "https":
        is_https = facts["said_scheme"].rpartition(",")[2].strip().lower() == "https"
        yield Finding(Problem.SCHEME_NOT_BELIEVED if is_https else Problem.SCHEME_LOST, {"peer": peer})
    yield from _of_client(facts, peer)


def _of_client(facts: dict[str, Any], peer: str) -> Iterator[Finding]:
    addresses = [one.strip() for one in facts["said_client"].split(",") if one.strip()]
    if not facts["peer_is_proxy"]:
        yield Finding(Problem.CLIENT_NOT_BELIEVED, {"peer": peer})
    elif not addresses:
        yield Finding(Problem.CLIENT_LOST, {"peer": peer})
    # Where this machine is in DESK_PROXIES and asks itself, its own address, which the proxy added, is passed over.
    is_added = facts["asked_from"] in addresses[1:]
    if addresses == [CLAIMED_ADDRESS] or (facts["client"] == CLAIMED_ADDRESS and not is_added):
        yield Finding(Problem.CLIENT_CLAIMED, {"claimed": CLAIMED_ADDRESS})


def _of_clock(there: float, host: str) -> Iterator[Finding]:
    seconds = round(abs(time.time() - there))
    if seconds > MAX_CLOCK_SECONDS:
        yield Finding(Problem.CLOCKS, {"host": host, "seconds": seconds})


def _of_stream(connection: http.client.HTTPConnection, address: SplitResult, token: str) -> Iterator[Finding]:
    """See whether events come as they are sent, and whether the connection lives through a silence."""
    began = time.monotonic()
    try:
        response = _get(connection, address, f"{token}/stream", encodings="gzip, deflate, br, zstd")
    except NotThere as not_there:
        # The head of the answer waits with its first event where a proxy fills a buffer before it sends anything.
        if not isinstance(not_there.__context__, TimeoutError):
            raise
        yield Finding(Problem.BUFFERED, {"seconds": round(time.monotonic() - began)})
        return
    if response.status != HTTPStatus.OK:
        raise NotThere(Problem.NO_ANSWER, host=address.hostname, reason=f"HTTP {response.status}")
    if encoding := response.headers.get("Content-Encoding", ""):
        yield Finding(Problem.COMPRESSED, {"encoding": encoding[:20]})
        return
    arrived = _arrivals(connection.sock, response)
    first = arrived[0] - began if arrived else None
    if first is None or first > LATE_SECONDS:
        yield Finding(Problem.BUFFERED, {"seconds": round(first or time.monotonic() - began)})
    if len(arrived) < EVENTS:
        last_sent = began + probes.SECOND_EVENT_SECONDS * max(0, len(arrived) - 1)
        yield Finding(Problem.CUT, {"seconds": round(time.monotonic() - last_sent)})


EVENTS = 3


def _arrivals(sock: socket.socket, response: _Stream) -> list[float]:
    """Return when each event came (monotonic, seconds), until the stream ends or is cut off."""
    arrived: list[float] = []
    sock.settimeout(probes.SILENT_SECONDS + ANSWER_SECONDS)
    with contextlib.suppress(OSError, http.client.HTTPException):
        while len(arrived) < EVENTS and (part := response.read1(MAX_ANSWER_BYTES)):
            arrived += [time.monotonic()] * part.count(b"\n\n")
    return arrived


def origin_of(address: SplitResult) -> str:
    """Return the origin of an address as a browser writes it: without the scheme's own port."""
    host = f"[{address.hostname}]" if ":" in str(address.hostname) else str(address.hostname)
    own = {"https": 443, "http": 80}[address.scheme]
    return f"{address.scheme}://{host}" + (f":{address.port}" if address.port and address.port != own else "")


def _reason(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0][:120]
