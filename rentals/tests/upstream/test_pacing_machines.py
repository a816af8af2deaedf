"""The gap between number-taking calls holds between two machines on one database whose clocks differ."""

import json
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
# Two machines for each token, each a process with a clock of its own: they take turns until the time is over. Each prints
# the token and the turns by the clock of this host, and how long it stood still at most. All begin at once.
MACHINES = """
import json, os, sys, time
database, cases = sys.argv[1], json.loads(sys.argv[2])
actual = time.time
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = database
django.setup()
from datetime import datetime, timezone as zone
from django.utils import timezone
from lib import clock
from rentals.models import Token
from rentals.upstream import pacing

def take_turns(name, skew, token, gap, seconds):
    time.time = lambda: actual() + skew
    timezone.now = lambda: datetime.fromtimestamp(time.time(), zone.utc)
    clock.boot = lambda: name
    settings.THUESIM_RENT_GAP_SECONDS = gap
    mine, turns = Token.objects.get(pk=token), []
    os.close(ready)
    os.read(begin, 1)
    end, longest = time.perf_counter() + seconds, 0.0
    while (began := time.perf_counter()) < end:
        if (turn := pacing.claim_turn(mine)) is not None:
            turns.append(turn)
        time.sleep(0.04)
        took = time.perf_counter() - began
        longest = max(longest, took)
        end += took if took > 0.5 else 0  # the host stood still
    os.write(1, json.dumps([token, turns, longest]).encode() + b"\\n")  # whole: the others write, too

all_ready, ready = os.pipe()
begin, all_begin = os.pipe()
children = []
for token, gap, seconds, skew in cases:
    for name, ahead in (("one machine", 0.0), ("another machine", skew)):
        if not (child := os.fork()):
            os.close(all_begin)
            take_turns(name, ahead, token, gap, seconds)
            os._exit(0)
        children.append(child)
os.close(ready)
os.read(all_ready, 1)  # it ends when each child has closed its end
os.close(all_begin)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""
CASES = [(1.0, 5, 1.0), (1.0, 5, 2.0), (1.0, 5, -2.0), (5.0, 11, -2.0)]  # gap, seconds, and how far the other is ahead


def test_the_gap_holds_though_the_other_machine_is_ahead_or_behind() -> None:
    tokens = {make_token().pk: case for case in CASES}
    cases = [[token, *case] for token, case in tokens.items()]
    run = subprocess.run(
        [sys.executable, "-c", MACHINES, str(connection.settings_dict["NAME"]), json.dumps(cases)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=settings.BASE_DIR,
        timeout=180,
        check=True,
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(results) == 2 * len(CASES)
    for token, (gap, _seconds, _skew) in tokens.items():
        turns = sorted(turn for of_token, turns, _longest in results for turn in turns if of_token == token)
        stood_still = max(longest for of_token, _turns, longest in results if of_token == token)
        assert len(turns) >= 3
        assert min(later - earlier for earlier, later in pairwise(turns)) >= gap
        assert max(later - earlier for earlier, later in pairwise(turns)) < gap + 0.5 + stood_still


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
