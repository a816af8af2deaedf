"""No second request hides in the body of a first one: what two servers could read in two ways is refused, and the
connection closed, so that what follows is read by nobody."""

import socket

import pytest

from thuesim_site.tests.test_asgi import port as port

pytestmark = pytest.mark.django_db

POST = b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
HIDDEN = GET + b"\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
ODD = {
    "a length and chunks": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "chunks and a length": CHUNKED + b"Content-Length: 4\r\n\r\n5c\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks that are not the last coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded header": GET + b"X-A: a\r\n b\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 50\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 50\r\n\r\n",
    "a signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length with a space": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "a length past 64 bits": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "a chunk past 64 bits": CHUNKED + b"\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a line feed in a chunk's extension": CHUNKED + b"\r\n5;\nhello\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"\r\n5\nhello\n0\n\n",
    "a chunk's size in C's spelling": CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "no line end after a chunk": CHUNKED + b"\r\n5\r\nhelloXX0\r\n\r\n",
    "a length in the trailer": CHUNKED + b"\r\n0\r\nContent-Length: 50\r\nHost: evil\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "a bare carriage return": GET + b"X-A: a\rX-B: c\r\n\r\n",
    "a NUL": GET + b"X-A: a\x00b\r\n\r\n",
    "a space in a name": GET + b"X A: b\r\n\r\n",
    "a space before a name": b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "no colon": GET + b"garbage\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD.keys())
def test_what_could_be_read_in_two_ways_is_refused_with_all_that_follows(port: int, sent: bytes) -> None:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sender:
        sender.sendall(sent + HIDDEN)
        try:
            while part := sender.recv(65536):
                answer += part
        except ConnectionResetError:  # what was not read any more
            pass
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 400 ")
