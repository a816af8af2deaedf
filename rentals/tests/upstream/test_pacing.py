"""The gap between number-taking calls of one token."""

import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import Value
from django.utils import timezone
from pytest_django import Settings

from lib import clock
from rentals.models import Token
from rentals.tests.factories import make_token
from rentals.upstream import pacing

pytestmark = pytest.mark.django_db


def test_the_gap_is_kept_and_survives_a_stepped_clock(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.THUESIM_RENT_GAP_SECONDS = 5.0
    clock = [1000.0]
    monkeypatch.setattr("rentals.upstream.pacing.time.monotonic", lambda: clock[0])
    token = make_token()
    assert pacing.claim_turn(token) is not None
    clock[0] += 5.05
    assert pacing.claim_turn(token) is None, "50 ms past the gap is too near to it"
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        assert pacing.claim_turn(token) is None, "a clock set forward makes no turn"
    clock[0] += 0.06
    with time_machine.travel(timezone.now() - timedelta(minutes=10)):
        assert pacing.claim_turn(token), "a clock set back takes none away"
    token.refresh_from_db()
    assert pacing.seconds_to_turn(token) == pytest.approx(5.1)


def test_on_another_machine_the_database_s_clock_keeps_the_gap(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.THUESIM_RENT_GAP_SECONDS = 5.0
    monkeypatch.setattr(clock, "database_now", lambda plus=timedelta(0): Value(timezone.now() + plus))
    token = make_token()
    assert pacing.claim_turn(token) is not None
    monkeypatch.setattr(clock, "boot", lambda: "another machine")
    assert pacing.claim_turn(token) is None
    with time_machine.travel(timezone.now() + timedelta(seconds=5.2)):
        assert pacing.claim_turn(token) is not None


@pytest.mark.django_db(transaction=True)
def test_the_gap_counts_from_when_the_row_is_ours_however_long_the_wait_for_it() -> None:
    token, held, let_go = make_token(), threading.Event(), [0.0]

    def hold() -> None:
        try:
            with transaction.atomic():
                Token.objects.filter(pk=token.pk).update(name="held")
                held.set()
                time.sleep(0.3)
                let_go[0] = time.monotonic()
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    turn = pacing.claim_turn(token)
    thread.join()
    assert turn is not None
    assert turn >= let_go[0]


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_turn(settings: Settings) -> None:
    settings.THUESIM_RENT_GAP_SECONDS = 5.0
    token = make_token()
    won = []

    def claim() -> None:
        try:
            won.append(pacing.claim_turn(token) is not None)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
