"""A worker as `./run` starts it: `python -m thuesim_site.start.roles.worker NAME QUEUES THREADS LOG_LEVEL`.

As `celery worker` would start it, but without Celery's command line, which loads a terminal of 10 MB.
"""

import contextlib
import os
import socket
import sys
import threading
from typing import Any

from celery import signals
from celery.utils.nodenames import default_nodename, host_format

from lib import garbage_collection
from thuesim_site import sentry
from thuesim_site.celery import app
from thuesim_site.start import signs
from thuesim_site.start.roles.machine import note_machine


def _is_ready(sender: Any, **_: Any) -> None:
    signs.say_ready()
    _sleep_longer(sender.connection)
    # Celery would wait for the end of its question to Redis, which takes ten seconds where no message comes.
    signals.worker_shutting_down.connect(lambda **_: _hang_up(sender), weak=False)


def _sleep_longer(connection: Any) -> None:
    """Leave out that Celery wakes each second for queues that expire: no queue here does."""
    timer = getattr(getattr(connection.transport, "cycle", None), "_binding_expiry_tref", None)
    if timer is not None:
        timer.cancel()


def _hang_up(consumer: Any) -> None:
    """Ask Redis for no more messages. What it has sent meanwhile is found by a tick, as what a killed worker had."""
    if consumer.connection is None:  # Redis is away, and Celery between two attempts
        return
    for channel in getattr(consumer.connection.transport, "channels", ()):
        connection = channel.client.connection
        with contextlib.suppress(OSError, AttributeError):  # it is not connected now
            connection._sock.shutdown(socket.SHUT_RDWR)
    # From a thread, whose call ends the loop's sleep also where it has asked nothing.
    threading.Thread(target=consumer.hub.call_soon, args=(lambda: None,)).start()


def main(name: str, queues: str, threads: str, log_level: str) -> int:
    """Work until a signal comes; return the exit status. `queues` are separated by commas."""
    signals.worker_ready.connect(_is_ready, weak=False)
    garbage_collection.as_python_does()
    sentry.start()
    note_machine()
    os.environ["CELERY_SKIP_CHECKS"] = "true"  # Django's checks of the code, which the tests have made
    worker = app.Worker(
        hostname=host_format(default_nodename(f"{name}@%h")),
        queues=queues,
        pool="threads",
        concurrency=int(threads),
        loglevel=log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
