"""The sums of spending are what the rentals and the ledger say, at every moment and whatever changes them."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import thuesim
from accounts.models import ApiKey, Team, User
from rentals import lifecycle, missing_refunds, sums, word_index
from rentals.models import LedgerEntry, Rental, SpendSum, Status, Uncounted
from rentals.sums import Kind, Payers, Sum, folding, reading
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token
from rentals.tests.office import Office, assert_missing_refunds_are_known

pytestmark = pytest.mark.django_db

SINCE, UNTIL = date(2020, 1, 1), date(2030, 12, 31)


def recounted(team: Team, kind: Kind) -> dict[str, tuple[int, ...]]:
    """Count a team's sums rental by rental."""
    counted: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for rental in Rental.objects.filter(team=team, placed_at__isnull=False):
        refunds = rental.ledger.filter(kind="refund", taken_back=False).values_list("amount", flat=True)
        more = max(0, rental.price - rental.agreed_price) if rental.price and rental.agreed_price else 0
        figures = (1, rental.status == Status.RECEIVED, rental.price or 0, sum(refunds), more > 0, more)
        for at, figure in enumerate(figures):
            counted[name_of(rental, kind)][at] += figure
    return {name: tuple(figures) for name, figures in counted.items()}


def name_of(rental: Rental, kind: Kind) -> str:
    if kind == Kind.DAY:
        assert rental.placed_at
        return str(timezone.localtime(rental.placed_at).date())
    if kind == Kind.SERVICE:
        return f"{rental.service_id}|{rental.phone[3:5]}|{rental.network}"
    if kind == Kind.PURPOSE:
        return rental.purpose
    person = rental.ordered_by_id or rental.person_id or ""
    return f"{person}.{rental.token_id}.{rental.api_key_id or ''}.{int(rental.imported)}"


def summed(team: Team, kind: Kind, since: date = SINCE, until: date = UNTIL) -> dict[str, tuple[int, ...]]:
    return {row.name: row[1:] for row in sums.read(team.pk, kind, since, until) if any(row[1:])}


def assert_exact(*teams: Team) -> None:
    for team in teams:
        for kind in Kind:
            assert summed(team, kind) == recounted(team, kind), kind
    assert sums.differences() == []


@pytest.fixture
def office() -> Office:
    return Office()


def test_sums_follow_every_change_before_and_after_they_are_merged(office: Office) -> None:
    rng = random.Random(7)
    for _ in range(40):
        office.live(rng)
    assert_exact(*office.teams)
    assert sums.fold() > 0
    assert not SpendSum.objects.exclude(piece=0).exists()
    assert_exact(*office.teams)
    office.live(rng)
    assert_exact(*office.teams)


def test_on_sqlite_merging_and_counting_leave_other_writers_a_turn_after_a_long_batch(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    # This module's alone: a thread that an earlier test left behind sleeps meanwhile.
    monkeypatch.setattr(folding, "time", mock.Mock(wraps=time, sleep=pauses.append))
    monkeypatch.setattr(folding, "SHORT_SECONDS", 0.0)
    for _ in range(3):
        make_rental(Status.RECEIVED, team=office.teams[0], token=office.token, service=office.services[0])
    is_sqlite = connection.vendor == "sqlite"
    batches = -(-SpendSum.objects.exclude(piece=0).count() // 7)
    sums.fold(batch=7)
    assert len(pauses) == (batches + 1 if is_sqlite else 0)  # the last one is empty
    pauses.clear()
    sums.start_over()
    assert sums.count_older(batch=1)
    assert len(pauses) == (Rental.objects.count() if is_sqlite else 0)
    assert all(0 < pause <= folding.MAX_PAUSE_SECONDS for pause in pauses)
    assert_exact(*office.teams)


def test_a_number_that_was_imported_first_is_counted_once(office: Office) -> None:
    team, person = office.teams[0], office.people[office.teams[0].pk][0]
    imported = make_rental(Status.EXPIRED, team=team, token=office.token, imported=True, person=None, upstream_key="77")
    LedgerEntry.objects.create(token=office.token, rental=imported, kind="rent", amount=-1450, at=timezone.now())
    lifecycle.refund(imported, office.reading)
    rental = lifecycle.queue(team=team, person=person, token=office.token, service=office.services[0])
    lifecycle.start_attempt(rental)
    lifecycle.number_taken(rental, thuesim.Rented("77.02", "+84961234567", 1450, None, "", "", None, ""))
    assert_exact(team)
    assert [row.rentals for row in sums.read(team.pk, Kind.DAY, SINCE, UNTIL)] == [1]


def test_a_period_has_its_days_alone_however_it_lies_to_months_and_years() -> None:
    team, rng = make_team(), random.Random(3)
    token, service = make_token(team), make_service()
    first = datetime(2024, 11, 20, 3, tzinfo=UTC)
    for _ in range(60):
        at = first + timedelta(minutes=rng.randrange(600 * 24 * 60))
        make_rental(Status.RECEIVED, team=team, token=token, service=service, placed_at=at)
    sums.fold()
    for _ in range(40):
        since = date(2024, 11, 15) + timedelta(days=rng.randrange(400))
        until = since + timedelta(days=rng.randrange(400))
        days = [timezone.localtime(at).date() for at in Rental.objects.values_list("placed_at", flat=True)]
        expected = sum(since <= day <= until for day in days)
        for kind in Kind:
            assert sum(row.rentals for row in sums.read(team.pk, kind, since, until)) == expected


@time_machine.travel("2026-11-27T12:00:00+07:00")
@pytest.mark.parametrize(
    ("since", "until", "parts"),
    [
        (date(2026, 10, 29), date(2026, 11, 27), ["+2026-11", "+2026-10-29..2026-10-31", "-2026-11-28..2026-11-30"]),
        (date(2026, 11, 5), date(2026, 11, 27), ["+2026-11", "-2026-11-01..2026-11-04", "-2026-11-28..2026-11-30"]),
        (date(2026, 11, 21), date(2026, 11, 27), ["+2026-11-21..2026-11-27"]),
        (date(2026, 8, 25), date(2026, 10, 3), ["+2026-09", "+2026-08-25..2026-08-31", "+2026-10-01..2026-10-03"]),
        (
            date(2025, 11, 28),
            date(2026, 11, 27),
            ["+2026", "+2025-12", "+2025-11-28..2025-11-30", "-2026-11-28..2026-12-31"],
        ),
        (date(2026, 2, 1), date(2026, 11, 30), ["+2026", "-2026-01", "-2026-12-01..2026-12-31"]),
    ],
)
def test_a_period_is_read_as_few_days_beside_whole_months_and_years(since: date, until: date, parts: list[str]) -> None:
    def written(part: reading.Part) -> str:
        last = part.end - timedelta(days=1)
        names = {
            sums.Span.DAY: f"{part.start}..{last}",
            sums.Span.MONTH: f"{part.start:%Y-%m}",
            sums.Span.YEAR: f"{part.start:%Y}",
        }
        span = names[part.span]
        return f"{'+' if part.sign > 0 else '-'}{span}"

    assert [written(part) for part in reading.parts_of(since, until, Kind.PURPOSE)] == parts


@pytest.mark.parametrize(("at", "day"), [("16:59:59.999999", "2026-10-31"), ("17:00:00", "2026-11-01")])
def test_a_day_ends_at_vietnams_midnight(at: str, day: str) -> None:
    team = make_team()
    make_rental(Status.WAITING, team=team, placed_at=datetime.fromisoformat(f"2026-10-31T{at}+00:00"))
    assert list(summed(team, Kind.DAY)) == [day]


def test_the_most_expensive_names_come_first() -> None:
    team = make_team()
    for price, purpose in ((100, "a"), (300, "b"), (200, "c"), (300, "d"), (50, "e")):
        make_rental(Status.RECEIVED, team=team, price=price, purpose=purpose)
    rows = sums.read(team.pk, Kind.PURPOSE, SINCE, UNTIL, most=3)
    assert [row.name for row in rows] == ["b", "d", "c"]
    assert rows[0] == Sum("b", 1, 1, 300, 0, 0, 0)


@pytest.mark.parametrize("counted", [True, False])
def test_people_and_tokens_are_added_up_by_the_database(*, counted: bool) -> None:
    team = make_team()
    tokens, people = [make_token(team) for _ in range(3)], [make_person(team) for _ in range(2)]
    key = ApiKey.objects.create(person=people[0], team=team, name="key", secret_digest="key")
    now, today = timezone.now(), timezone.localdate()
    paid: dict[str, Any] = {"status": Status.RECEIVED, "team": team, "placed_at": now}
    for n, token in enumerate(tokens):
        for person in people:
            make_rental(**paid, token=token, person=person, price=10**n)
        make_rental(**paid, token=token, person=people[0], api_key=key, price=5000)
    make_rental(**paid, token=tokens[0], person=None, imported=True, price=7)
    if not counted:
        sums.start_over()
    most: dict[Kind | Payers, int | None] = {Payers.PEOPLE: None, Payers.TOKENS: 2}
    for since in (today, today - timedelta(days=29), today - timedelta(days=364)):
        found = sums.read_kinds(team.pk, most, since, today, dearer=())
        assert sorted((row.name, row.rentals, row.charged) for row in found[Payers.PEOPLE]) == sorted(
            [(str(people[0].pk), 6, 15_111), (str(people[1].pk), 3, 111), ("", 1, 7)]
        )
        assert [row[:4] for row in found[Payers.TOKENS]] == [
            (str(tokens[2].pk), 3, 3, 5200),
            (str(tokens[1].pk), 3, 3, 5020),
        ]


def test_names_are_counted_up_to_a_bound_and_of_the_index_alone() -> None:
    team, today = make_team(), timezone.localdate()
    for purpose in "abcc":
        make_rental(Status.RECEIVED, team=team, price=1, purpose=purpose, placed_at=timezone.now())
    bounds = (0, 2, 3)
    assert [sums.has_more_than(n, team.pk, Kind.PURPOSE, today, today) for n in bounds] == [False, False, False]
    sums.fold()
    with CaptureQueriesContext(connection) as queries:
        assert [sums.has_more_than(n, team.pk, Kind.PURPOSE, today, today) for n in bounds] == [True, True, False]
    yesterday = today - timedelta(days=1)
    assert not sums.has_more_than(0, team.pk, Kind.PURPOSE, yesterday, yesterday)
    assert not sums.has_more_than(0, make_team().pk, Kind.PURPOSE, today, today)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {queries[0]['sql']}")
            plan = str(cursor.fetchall())
        assert "USING COVERING INDEX" in plan
        assert "(team_id=? AND kind=? AND is_month=? AND day>? AND day<?)" in plan


def test_rentals_that_are_not_counted_yet_are_read_all_the_same(office: Office) -> None:
    rng = random.Random(5)
    for _ in range(20):
        office.live(rng)
    before = {(team.pk, kind): summed(team, kind) for team in office.teams for kind in Kind}
    spent = [sorted(sums.spent(team.pk, [Status.QUEUED])) for team in office.teams]
    sums.start_over()
    assert not SpendSum.objects.exists()
    for batch in (7, 1000):
        assert {(team.pk, kind): summed(team, kind) for team in office.teams for kind in Kind} == before
        assert [sorted(sums.spent(team.pk, [Status.QUEUED])) for team in office.teams] == spent
        sums.count_older(seconds=-1 if batch == 7 else 10, batch=batch)
    assert not Uncounted.objects.exists()
    assert_exact(*office.teams)


@pytest.mark.parametrize("counted", [True, False])
def test_the_sums_of_one_payer_are_read_without_those_of_others(*, counted: bool) -> None:
    team = make_team()
    person = make_person(team)
    alike = User.objects.create_user("alike", pk=int(f"{person.pk}0"))
    tokens = [make_token(team) for _ in range(2)]
    for payer in (person, alike, make_person(team)):
        for token in tokens:
            make_rental(Status.RECEIVED, team=team, person=payer, token=token, price=100, placed_at=timezone.now())
    if not counted:
        sums.start_over()
    today = timezone.localdate()
    for since in (today, today - timedelta(days=29), today - timedelta(days=364)):
        rows = sums.read_payers_of(person.pk, team.pk, since, today)
        assert sorted(rows) == [Sum(f"{person.pk}.{token.pk}..0", 1, 1, 100, 0) for token in tokens]
    assert sums.read_payers_of(person.pk, make_team().pk, today, today) == []
    before = sums.read_payers_of(person.pk, team.pk, today - timedelta(days=9), today - timedelta(days=1))
    assert not any(figure for row in before for figure in row[1:])


@pytest.mark.parametrize("counted", [True, False])
def test_what_one_person_spent_is_added_up_by_the_database(monkeypatch: pytest.MonkeyPatch, *, counted: bool) -> None:
    team = make_team()
    tokens = [make_token(team) for _ in range(4)]
    person, other = make_person(team), make_person(team)
    # Whose number begins alike.
    alike = User.objects.create_user("alike", pk=int(f"{person.pk}0"))
    key, other_key = (ApiKey.objects.create(person=person, team=team, name=name, secret_digest=name) for name in "ab")
    for token, price in zip(tokens, (1, 10, 100, 1000), strict=True):
        order = {"team": team, "token": token, "price": price, "placed_at": timezone.now()}
        make_rental(Status.RECEIVED, **order, person=person)
        make_rental(Status.RECEIVED, **order, person=person, api_key=key)
        make_rental(Status.RECEIVED, **order, person=person, api_key=other_key)
        make_rental(Status.RECEIVED, **order, person=other)
        make_rental(Status.RECEIVED, **order, person=alike)
        make_rental(Status.RECEIVED, **order, person=person, imported=True)
    make_rental(Status.QUEUED, team=team, token=tokens[0], person=person, service=make_service(price=20_000))
    if not counted:
        sums.start_over()
    fetched = []

    def read(*asked: Any) -> Any:
        fetched.append(reading_rows(*asked))
        return fetched[-1]

    reading_rows = reading._read
    monkeypatch.setattr(reading, "_read", read)
    spent = sums.spent(team.pk, [Status.QUEUED], only=(person.pk, key.pk))
    assert sorted((row.person_id == person.pk, row.key_id == key.pk, *row[2:]) for row in spent) == [
        (False, False, 2222, 8, 2222),
        (True, False, 22_222, 9, 22_222),
        (True, True, 1111, 4, 1111),
    ]
    assert len(fetched[-1]) == 6  # today's and the month's, whatever the tokens
    every = sums.spent(team.pk, [Status.QUEUED])
    assert sorted((row.person_id, row.key_id or 0, row.day) for row in every) == sorted(
        [
            (person.pk, 0, 21_111),
            (person.pk, key.pk, 1111),
            (person.pk, other_key.pk, 1111),
            (other.pk, 0, 1111),
            (alike.pk, 0, 1111),
        ]
    )
    if connection.vendor == "postgresql":
        assert len(fetched[-1]) == 10


def test_the_command_finds_a_wrong_sum_and_counts_anew(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(10):
        office.live(random.Random(seed))
    sums.fold()
    call_command("rebuild_sums", "--check")
    SpendSum.objects.filter(kind=Kind.SERVICE).update(charged=7)
    with pytest.raises(CommandError):
        call_command("rebuild_sums", "--check")
    call_command("rebuild_sums")
    assert_exact(*office.teams)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite counts all sums anew after a migration")
def test_the_sums_of_years_are_made_from_those_of_months(office: Office) -> None:
    for seed in range(20):
        office.live(random.Random(seed))
    sums.fold()
    for seed in range(20, 30):
        office.live(random.Random(seed))
    SpendSum.objects.filter(kind__endswith="-year").delete()
    with connection.cursor() as cursor:
        sums.add_years(cursor.execute)
    assert_exact(*office.teams)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL changes its tables in place")
@pytest.mark.django_db(transaction=True)
def test_a_migration_may_make_the_tables_anew_and_what_it_changes_is_counted() -> None:
    team = make_team()
    rental = make_rental(Status.WAITING, team=team)
    plan = [("a migration", False)]
    for module in (sums, missing_refunds, word_index):
        module.before_migrations(using="default", plan=plan)
    longer = models.CharField(max_length=41, blank=True)
    longer.set_attributes_from_name("network")
    with connection.schema_editor() as editor:
        network = Rental._meta.get_field("network")
        editor.alter_field(Rental, network, longer)
        editor.alter_field(Rental, longer, network)
    Rental.objects.filter(pk=rental.pk).update(price=777)
    for module in (sums, missing_refunds, word_index):
        module.after_migrations(using="default", plan=plan)
    assert summed(team, Kind.PURPOSE) == {"": (1, 0, 777, 0, 0, 0)}
    sums.count_older()
    make_rental(Status.RECEIVED, team=team, price=1000)
    assert_exact(team)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL changes its tables in place")
def test_a_migrate_without_migrations_leaves_the_triggers_and_the_sums() -> None:
    team = make_team()
    make_rental(Status.WAITING, team=team)
    call_command("migrate", verbosity=0)
    make_rental(Status.WAITING, team=team)
    assert not Uncounted.objects.exists()
    assert_exact(team)


WRITERS, LIVES, MAX_LIVES = 4, 12, 500


@pytest.fixture
def writers(transactional_db: None) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        yield pool


def _write(office: Office, seed: int, has_merged: threading.Event) -> None:
    """Write for a while, and until something of it was merged meanwhile."""
    try:
        rng = random.Random(seed)
        for number in range(MAX_LIVES):
            # A moment in which SQLite is free: it lets writers in by chance, and they left the merging none.
            if number >= LIVES and has_merged.wait(0.05):
                break
            office.live(rng)
    finally:
        connection.close()


@pytest.mark.parametrize("starts_over", [False, True])
@pytest.mark.django_db(transaction=True)
def test_sums_are_exact_under_writers_while_they_are_merged_and_counted(
    writers: ThreadPoolExecutor, starts_over: bool
) -> None:
    office, done, has_merged = Office(), threading.Event(), threading.Event()
    for seed in range(10):
        office.live(random.Random(seed))

    def merge() -> None:
        try:
            for number in count():
                if done.is_set():
                    break
                # Not each time: what is written before its day is counted needs no merging.
                if starts_over and number % 5 == 0 and not Uncounted.objects.exists():
                    with suppress(OperationalError):
                        sums.start_over(patient=False)
                sums.count_older(seconds=-1, batch=3)
                if sums.fold(batch=5):
                    has_merged.set()
        finally:
            connection.close()

    merging = writers.submit(merge)
    writing: list[Any] = [writers.submit(_write, office, 100 + seed, has_merged) for seed in range(WRITERS)]
    for each in writing:
        each.result()
    done.set()
    merging.result()
    assert has_merged.is_set()
    sums.count_older()
    sums.fold()
    assert_exact(*office.teams)
    assert_missing_refunds_are_known()


@pytest.mark.django_db(transaction=True)
def test_a_reader_never_sees_a_sum_half_merged(writers: ThreadPoolExecutor) -> None:
    team = make_team()
    token, service = make_token(team), make_service()
    for _ in range(60):
        make_rental(Status.RECEIVED, team=team, token=token, service=service, price=100)

    def merge() -> None:
        try:
            while sums.fold(batch=1):
                pass
        finally:
            connection.close()

    merging = writers.submit(merge)
    while not merging.done():
        assert [row.charged for row in sums.read(team.pk, Kind.PURPOSE, SINCE, UNTIL)] == [6000]
    merging.result()
