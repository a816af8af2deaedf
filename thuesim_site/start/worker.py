"""A worker as `./run` starts it: `python -m thuesim_site.start.worker NAME QUEUES THREADS LOG_LEVEL`.

As `celery worker` would start it, but without Celery's command line, which loads a terminal of 10 MB.
"""

import os
import sys

from celery.utils.nodenames import default_nodename, host_format

from thuesim_site.celery import app


def main(name: str, queues: str, threads: str, log_level: str) -> int:
    """Work until a signal comes; return the exit status. `queues` are separated by commas."""
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
