"""A program of the desk's own code, for `test_processes`: forked, not started anew."""

import os
import signal
import sys
import time

from thuesim_site.start import signs


def _stop(*_: object) -> None:
    print("stopping upper", flush=True)
    sys.exit(3)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    print("upper", os.getpid(), os.environ["DESK_PROCESS"], flush=True)
    signs.say_ready()
    time.sleep(60)
