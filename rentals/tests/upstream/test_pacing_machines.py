"""The gap between number-taking calls holds between two machines on one database whose clocks differ."""

import subprocess
import sys
from itertools import pairwise

import pytest
from django.conf import settings
from django.db import connection, transaction

from rentals.lifecycle.money import hold_token
from rentals.tests.factories import make_token
from rentals.upstream import pacing

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is one machine's own database"),
]
# A machine with a clock of its own: it takes turns until the time is over, and prints their times by the clock of this host,
# and at last how long it stood still at most.
MACHINE = """
import sys, time
name, database, token, gap, skew, seconds = sys.argv[1:]
actual = time.time
time.time = lambda: actual() + float(skew)
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = database
settings.THUESIM_RENT_GAP_SECONDS = float(gap)
django.setup()
from datetime import datetime, timezone as zone
from django.utils import timezone
timezone.now = lambda: datetime.fromtimestamp(time.time(), zone.utc)
from lib import clock
clock.boot = lambda: name
from rentals.models import Token
from rentals.upstream import pacing
mine = Token.objects.get(pk=int(token))
print("ready", flush=True)
sys.stdin.readline()
end, longest = time.perf_counter() + float(seconds), 0.0
while (began := time.perf_counter()) < end:
    if (turn := pacing.claim_turn(mine)) is not None:
        print(turn, flush=True)
    time.sleep(0.04)
    took = time.perf_counter() - began
    longest = max(longest, took)
    end += took if took > 0.5 else 0  # the host stood still
print(longest, flush=True)
"""


@pytest.mark.parametrize(("gap", "seconds", "skew"), [(1.0, 5, 1.0), (1.0, 5, 2.0), (1.0, 5, -2.0), (5.0, 11, -2.0)])
def test_the_gap_holds_though_the_other_machine_is_ahead_or_behind(gap: float, seconds: int, skew: float) -> None:
    token = make_token()
    database = str(connection.settings_dict["NAME"])
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", MACHINE, name, database, str(token.pk), str(gap), str(ahead), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=settings.BASE_DIR,
        )
        for name, ahead in [("one machine", 0.0), ("another machine", skew)]
    ]
    for machine in machines:
        assert machine.stdout is not None
        assert machine.stdout.readline() == "ready\n"
    said, stood_still = [], []
    for machine in machines:
        assert machine.stdin is not None
        machine.stdin.write("\n")
        machine.stdin.flush()
    for machine in machines:
        output, _ = machine.communicate(timeout=180)
        *turns_of_machine, longest = output.split()
        said += turns_of_machine
        stood_still.append(float(longest))
    turns = sorted(map(float, said))
    assert len(turns) >= 3
    assert min(later - earlier for earlier, later in pairwise(turns)) >= gap
    assert max(later - earlier for earlier, later in pairwise(turns)) < gap + 0.5 + max(stood_still)


def test_an_order_can_be_written_while_a_far_worker_holds_its_token() -> None:
    token, web = make_token(), connection.copy()
    try:
        with transaction.atomic(), web.cursor() as cursor:
            assert pacing.claim_turn(token) is not None
            hold_token(token.pk)
            # What the database asks of the token's row for an order that refers to it.
            cursor.execute(
                "SELECT count(*) FROM (SELECT FROM rentals_token WHERE id = %s FOR KEY SHARE NOWAIT) AS row", [token.pk]
            )
            assert cursor.fetchone() == (1,)
    finally:
        web.close()
