"""Beat as `./run` starts it: `python -m thuesim_site.start.beat LOG_LEVEL`; see `worker`."""

import sys

from thuesim_site.celery import app


def main(log_level: str) -> None:
    """Send the recurring tasks until a signal comes."""
    app.Beat(loglevel=log_level, quiet=True).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
