"""A program: carry on with the database of a release from the moment in which it was cut off, until its orders have codes.

`python -m thuesim_site.tests.releases.carry_on FOLDER KILLED_AT`. `FOLDER` has the database and the books of the sandbox, as
the release left them; `KILLED_AT` is in seconds since 1970. It prints what became of them, as JSON.
"""

import json
import os
import sys
import time
from typing import Any

import time_machine

from sandbox.catalog import demo_token
from sandbox.server import Sandbox

LATER_SECONDS = 30.0  # the numbers that waited have their messages by then
MAX_SECONDS = 60.0


def carry_on(folder: str) -> dict[str, Any]:
    """Migrate, work as the ticks do, and return the facts."""
    token = demo_token(seed=1)
    with Sandbox(state=f"{folder}/sandbox.sqlite3", token=token, gap=0.2, message_after=(0.1, 0.2)) as upstream:
        os.environ |= {"THUESIM_BASE_URL": upstream.url, "DESK_DATA_DIR": folder, "THUESIM_RENT_GAP": "0.2"}
        import django
        from django.core.management import call_command

        django.setup()
        from rentals import enqueue, sums, tasks
        from rentals.models import LedgerEntry, Message, Rental, Status, Token

        before = dict(Rental.objects.order_by().values_list("pk", "status"))
        call_command("migrate", verbosity=0)
        enqueue.put_instead(lambda wakeup: None)
        begun = time.monotonic()
        while Rental.objects.filter(status__in=Status.open()).exists() and time.monotonic() - begun < MAX_SECONDS:
            for pk in Token.objects.values_list("pk", flat=True):
                tasks.place(pk)
                tasks.poll_token(pk)
            time.sleep(0.05)
        tasks.fold_sums()
        return {
            "before": before,
            "after": dict(Rental.objects.order_by().values_list("pk", "status")),
            "numbers": len(set(Rental.objects.values_list("upstream_id", flat=True))),
            "with_code": Message.objects.exclude(code="").values("rental").distinct().count(),
            "charged": LedgerEntry.objects.filter(kind=LedgerEntry.Kind.RENT).count(),
            "paid": sum(line["kind"] == "charge" for line in upstream.books(token)["ledger"]),
            "wrong_sums": len(sums.differences()),
        }


if __name__ == "__main__":
    with time_machine.travel(float(sys.argv[2]) + LATER_SECONDS, tick=True):
        print(json.dumps(carry_on(sys.argv[1])))
