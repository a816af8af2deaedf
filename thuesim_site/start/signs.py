"""What `./run` and its processes tell each other: signals, and names in the environment that they alone set."""

import contextlib
import os
import signal

LEAVE = signal.SIGUSR1  # to a web process: answer /readyz with 503, and keep no connection open behind an answer
UPGRADE = signal.SIGUSR2  # to `./run`: go on with the code that is in its folder now

LISTENER = "DESK_LISTENER"  # the number of the socket that all web processes listen on
READY = "DESK_READY"  # the number of the file on which a process says that it is ready
REPLACES = "DESK_REPLACES"  # set where a process takes another one's place, and so must be ready before it is asked
FORMER = "DESK_FORMER"  # what the version before hands over, in JSON
RUN = "DESK_RUN"  # what `./run` is: its version, its roles and when it began, in JSON
FOLDER = "DESK_FOLDER"  # of the script `run`, as it was called: with a symbolic link in it, where there was one


def say_ready() -> None:
    """Tell `./run` that this process can do its work. Does nothing in a process that another program has started."""
    number = os.environ.pop(READY, "")
    if number:
        with contextlib.suppress(OSError):  # `./run` waits no longer
            os.write(int(number), b"1")
        os.close(int(number))
