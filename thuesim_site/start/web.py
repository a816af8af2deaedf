"""A web process as `./run` starts it: `python -m thuesim_site.start.web HOST PORT`.

Several may listen on one port: the kernel shares the connections out among them.
"""

import socket
import sys

import uvicorn

BACKLOG = 2048


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address, beside those of the other web processes. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def main(host: str, port: str) -> int:
    """Answer until a signal comes; return the exit status."""
    config = uvicorn.Config(
        "thuesim_site.asgi:application",
        loop="uvloop",
        http="thuesim_site.connections:Connection",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,  # its own handlers would print past the redaction of ours
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening(host, int(port))])
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
