"""How soon a connection to another machine ends when that falls silent: power lost, cable pulled, network gone.

No packet says then that the other side is gone. With the defaults of Linux, what was sent is repeated for fifteen minutes,
and who waits for an answer waits for more than two hours: a worker that hangs, or a row that stays locked.
"""

import socket

CONNECT_SECONDS = 3
# A silent connection is probed after IDLE_SECONDS, and given up after PROBES without an answer: after seven seconds.
IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 3, 1, 4
UNANSWERED_MILLISECONDS = 7_000  # what was sent and is not acknowledged

_KEEPALIVE = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNANSWERED_MILLISECONDS,
}


def socket_options() -> dict[int, int]:
    """Return the options of a TCP socket, as far as this system has them."""
    return {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}


def postgresql_options(*, for_server: bool) -> dict[str, str | int]:
    """Return the parameters of a connection to PostgreSQL. `for_server` has the server watch for us, too: else it keeps the
    locks of a machine that is gone. PgBouncer takes no such parameter; it has settings of its own."""
    server = {
        "tcp_keepalives_idle": IDLE_SECONDS,
        "tcp_keepalives_interval": INTERVAL_SECONDS,
        "tcp_keepalives_count": PROBES,
        "tcp_user_timeout": UNANSWERED_MILLISECONDS,
    }
    return {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": IDLE_SECONDS,
        "keepalives_interval": INTERVAL_SECONDS,
        "keepalives_count": PROBES,
        "tcp_user_timeout": UNANSWERED_MILLISECONDS,
        **({"options": " ".join(f"-c {name}={value}" for name, value in server.items())} if for_server else {}),
    }
