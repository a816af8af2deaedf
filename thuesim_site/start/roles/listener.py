"""The socket that the pages are asked on: one for all web processes of a machine, so that none takes its queue along."""

import os
import socket

from thuesim_site.start import signs

BACKLOG = 2048


def listening(host: str, port: int) -> socket.socket:
    """Return the socket that `./run` has made for its web processes, else one of this process's own. Raises OSError."""
    number = os.environ.get(signs.LISTENER)
    listener = socket.socket(fileno=int(number)) if number else new_listener(host, port)
    listener.setblocking(False)
    return listener


def new_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(BACKLOG)
    return listener
