"""Beat as `./run` starts it: `python -m thuesim_site.start.roles.beat LOG_LEVEL`; see `worker`."""

import os
import sys

from celery import signals

from lib import garbage_collection
from thuesim_site import sentry
from thuesim_site.celery import app
from thuesim_site.start import signs
from thuesim_site.start.roles.machine import note_machine


def main(log_level: str) -> None:
    """Send the recurring tasks until a signal comes."""
    garbage_collection.as_python_does()
    sentry.start()
    note_machine()
    os.environ["CELERY_SKIP_CHECKS"] = "true"  # Django's checks of the code load the migrations and all template tags
    signals.beat_init.connect(lambda **_: signs.say_ready(), weak=False)
    app.Beat(loglevel=log_level, quiet=True).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
