"""What this machine runs with, for the other machines of the desk; see `rentals.jobs.upkeep.machines`."""

import json
import os
import time

from thuesim_site.start import loading, signs, variables


def run_sign(version: str, roles: str) -> str:
    """Return the value of `signs.RUN`: what settings.RUN is in the processes."""
    return json.dumps({"version": version, "roles": roles, "began": time.time()})


def note_machine() -> None:
    """Begin to note this machine, in a process of `./run`."""
    if signs.RUN in os.environ:
        from rentals.jobs.upkeep import machines  # its models want Django to be set up

        machines.start()


def other_machines(version: str, roles: str) -> tuple[list[str], list[str]]:
    """Return which machines were heard of lately, and sentences in what they and this one differ. Sets Django up, where the
    database is one that machines share."""
    database_url = variables.DATABASE_URL.read()
    if not database_url or variables.is_sqlite(database_url):
        return [], []
    os.environ[signs.RUN] = run_sign(version, roles)
    loading.load_django()
    from django.db import DatabaseError
    from django.utils import translation

    from rentals.jobs.upkeep import machines

    here = machines.this_machine()
    try:
        others = [machine for machine in machines.running() if machine.key != here.key]
    except DatabaseError:  # it has not this version's tables yet
        return [], []
    with translation.override("en"):
        found = [each.sentence for each in machines.differences([*others, here], asking=here)]
    return list(machines.names(others).values()), found
