"""Rentals by the million, written by SQL that PostgreSQL and SQLite both read. Needs Django set up.

Nine of ten belong to one team. Each column has a lot of its own, so that every filter finds its share; services and people
are used as unevenly as in life.
"""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from rentals import missing_refunds, sums
from rentals.sums.rows import add, of_rental, rows_of

DAYS = 730

# What the two databases call differently.
POSTGRESQL = """
CREATE OR REPLACE FUNCTION lot(n bigint, kind bigint, sides bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
    AS 'SELECT abs(hashint8extended(n, kind) % sides)';
CREATE OR REPLACE FUNCTION pick(i bigint, list text) RETURNS text LANGUAGE sql IMMUTABLE
    AS 'SELECT split_part(list, ''|'', 1 + i::int)';
CREATE OR REPLACE FUNCTION digits(n bigint, width int) RETURNS text LANGUAGE sql IMMUTABLE
    AS 'SELECT lpad(n::text, width, ''0'')';
CREATE OR REPLACE FUNCTION ago(seconds double precision) RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT now() - seconds * interval ''1 s''';
CREATE OR REPLACE FUNCTION day(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE
    AS 'SELECT (at AT TIME ZONE ''Asia/Ho_Chi_Minh'')::date';
"""
NETWORKS = "VIETTEL|VIETTEL|VIETTEL|VIETTEL|VINAPHONE|VINAPHONE|MOBIFONE|MOBIFONE|VIETNAMOBILE|VIETNAMOBILE"
# {first}: the number of the first; they were ordered evenly from {oldest} to {newest} seconds ago.
RENTALS = f"""
INSERT INTO rentals_rental (team_id, person_id, token_id, token_pinned, service_id, status, purpose, imported, networks,
    prefixes, exclude_prefixes, upstream_id, upstream_key, phone, network, price, unasked, queued_at, attempt_at,
    attempts, placed_at, expires_at, received_at, ended_at, looks, reason, reason_detail)
WITH RECURSIVE numbers(n) AS (SELECT {{first}} UNION ALL SELECT n + 1 FROM numbers WHERE n < {{last}}),
made AS (SELECT n, lot(n, 12, 100) AS s, lot(n, 13, 10) AS p,
    {{newest}} + ({{oldest}} - {{newest}}) * 1.0 * ({{last}} - n) / (1 + {{last}} - {{first}}) AS age FROM numbers)
SELECT CASE WHEN lot(n, 1, 10) = 0 THEN {{other}} ELSE {{team}} END,
    {{person}} + CASE WHEN lot(n, 2, 20) < lot(n, 3, 20) THEN lot(n, 2, 20) ELSE lot(n, 3, 20) END,
    {{token}} + lot(n, 4, 3), false,
    {{service}} + CASE WHEN lot(n, 5, 40) < lot(n, 6, 40) THEN lot(n, 5, 40) ELSE lot(n, 6, 40) END,
    CASE WHEN s < 72 THEN 'received' WHEN s < 92 THEN 'expired' ELSE 'refused' END,
    pick(lot(n, 8, 4), '||QA payments|support ticket ' || lot(n, 7, 5000)), false, '[]', '[]', '[]',
    CASE WHEN s < 92 THEN n || '.02' ELSE '' END, CASE WHEN s < 92 THEN n || '' ELSE '' END,
    CASE WHEN s < 92 THEN '+84' || pick(p, '96|97|98|86|91|94|90|93|92|56') || digits(lot(n, 9, 10000000), 7)
        ELSE '' END,
    CASE WHEN s < 92 THEN pick(p, '{NETWORKS}') ELSE '' END,
    CASE WHEN s < 92 THEN 470 + 10 * lot(n, 10, 300) END, '[]', ago(age), ago(age), 1,
    CASE WHEN s < 92 THEN ago(age) END, ago(age - 300),
    CASE WHEN s < 72 THEN ago(age - 5 - lot(n, 11, 120)) END, ago(age - CASE WHEN s < 72 THEN 125 ELSE 300 END), 3,
    CASE WHEN s < 92 THEN '' ELSE 'out_of_stock' END, ''
FROM made
"""
# Of the rentals past the id {after}. Older messages are deleted by then.
MESSAGES = """
INSERT INTO rentals_message (rental_id, at, code, text, is_call, audio_url, audio, audio_type, audio_tries,
    source, fingerprint, several_codes)
SELECT id, received_at, digits(id * 7919 % 1000000, 6),
    'Ma xac thuc cua ban la ' || digits(id * 7919 % 1000000, 6) || '. Khong chia se. Ma giao dich ' || md5(id || ''),
    false, '', '', '', 0, 'poll', md5(id || ''), ''
FROM rentals_rental WHERE status = 'received' AND id > {after} AND received_at > ago({retention})
"""
CHARGES = """
INSERT INTO rentals_ledgerentry (token_id, rental_id, kind, amount, at, note, taken_back)
SELECT token_id, id, 'rent', -price, placed_at, '', false FROM rentals_rental WHERE price IS NOT NULL AND id > {after}
"""
REFUNDS = """
INSERT INTO rentals_ledgerentry (token_id, rental_id, kind, amount, at, note, taken_back)
SELECT token_id, id, 'refund', price, ended_at, '', false FROM rentals_rental WHERE status = 'expired' AND id > {after}
"""
EVENTS = """
INSERT INTO rentals_rentalevent (rental_id, at, kind, "before", "after", person_id, detail)
SELECT id, at, kind, earlier, later, person_id, '{{}}' FROM (
    SELECT id, queued_at AS at, 'ordered' AS kind, '' AS earlier, 'queued' AS later, person_id FROM rentals_rental UNION ALL
    SELECT id, queued_at, 'asked', 'queued', 'placing', NULL FROM rentals_rental UNION ALL
    SELECT id, placed_at, 'rented', 'placing', 'waiting', NULL FROM rentals_rental WHERE price IS NOT NULL UNION ALL
    SELECT id, ended_at, status, 'waiting', status, NULL FROM rentals_rental) AS line
WHERE id > {after}
"""
AUDIT = """
INSERT INTO accounts_auditrecord (at, person_id, team_id, action, target, detail, day)
SELECT at, person_id, team_id, action, 'rental ' || id, '{{}}', CASE action WHEN 'read' THEN day(at) END FROM (
    SELECT id, queued_at AS at, person_id, team_id, 'order' AS action FROM rentals_rental UNION ALL
    SELECT id, received_at, person_id, team_id, 'read' FROM rentals_rental WHERE received_at IS NOT NULL) AS line
WHERE id > {after}
"""
TABLES = ("rentals_rental", "rentals_message", "rentals_ledgerentry", "rentals_rentalevent", "accounts_auditrecord")


def fill(rentals: int) -> dict[str, int]:
    """Make the tables and `rentals` of the last `DAYS` days, and analyse them.

    Returns the primary keys of the two teams, the measured one first, and of the first person, token and service.
    """
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    first, began = make_people(), time.monotonic()
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for triggers in (sums, missing_refunds):
            triggers.remove(cursor.execute, connection.vendor)
        if postgresql:
            cursor.execute(POSTGRESQL)
            # The rows refer to one another rightly by themselves.
            cursor.execute("SET session_replication_role = replica; SET maintenance_work_mem = '1GB'")
            indexes = _drop_indexes(cursor)
        else:
            _add_functions()
            cursor.execute("PRAGMA synchronous = OFF")
        _write(cursor, rentals, oldest=DAYS * 86400, newest=7200, **first)
        for index in indexes if postgresql else ():
            cursor.execute(index)
        cursor.execute("SET session_replication_role = DEFAULT" if postgresql else "PRAGMA synchronous = FULL")
        count_sums(cursor)
        missing_refunds.correct()
        for triggers in (sums, missing_refunds):
            triggers.install(cursor.execute, connection.vendor)
        cursor.execute("VACUUM ANALYZE" if postgresql else "ANALYZE")
    print(f"{rentals:,} rentals in {time.monotonic() - began:.0f} s", flush=True)
    return first


def add_recent(rentals: int, first: dict[str, int]) -> None:
    """Write rentals that ended within the last half hour, beside what `fill` wrote."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            _add_functions()
        _write(cursor, rentals, oldest=1500, newest=300, **first)


def _write(cursor: Any, rentals: int, *, oldest: int, newest: int, **first: int) -> None:
    cursor.execute("SELECT COALESCE(MAX(id), 0) FROM rentals_rental")
    after = cursor.fetchone()[0]
    names = {"first": after + 1, "last": after + rentals, "oldest": oldest, "newest": newest, "after": after, **first}
    names["retention"] = settings.KEEP_MESSAGES_DAYS * 86400
    for statement in (RENTALS, MESSAGES, CHARGES, REFUNDS, EVENTS, AUDIT):
        began = time.monotonic()
        cursor.execute(statement.format(**names))
        if rentals >= 1_000_000:
            print(f"{statement.split()[2]}: {time.monotonic() - began:.0f} s", flush=True)


def count_sums(cursor: Any) -> None:
    """Count all sums in one statement, while nobody else writes: a desk that is at work counts them in batches."""
    began = time.monotonic()
    if connection.vendor == "postgresql":
        cursor.execute("SET work_mem = '1GB'")
    cursor.execute("DELETE FROM rentals_uncounted")
    cursor.execute("DELETE FROM rentals_spendsum")
    # As a table of its own: else PostgreSQL looks for a rental's refunds once for each sum that it belongs to.
    source = f"{of_rental('x', 1)} FROM rentals_rental x"
    cursor.execute(f"CREATE TEMPORARY TABLE counted AS {source}")
    cursor.execute(add(rows_of("SELECT * FROM counted", connection.vendor), piece="0"))
    cursor.execute("DROP TABLE counted")
    if connection.vendor == "postgresql":
        cursor.execute("RESET work_mem")
    print(f"sums: {time.monotonic() - began:.0f} s", flush=True)


def _drop_indexes(cursor: Any) -> list[str]:
    """Drop the indexes that no constraint needs, and return what makes them again: that is quicker than keeping them."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint) AND indexdef NOT LIKE 'CREATE UNIQUE%%'",
        [list(TABLES)],
    )
    indexes = cursor.fetchall()
    for name, _definition in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition for _name, definition in indexes]


def _add_functions() -> None:
    now = datetime.now(UTC)

    def ago(seconds: float) -> str:
        return (now - timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")

    def lot(n: int, kind: int, sides: int) -> int:
        return int.from_bytes(hashlib.blake2b(b"%d %d" % (n, kind), digest_size=6).digest()) % sides

    def day(at: str) -> str:
        return (datetime.fromisoformat(at) + timedelta(hours=7)).date().isoformat()

    add = connection.connection.create_function
    add("lot", 3, lot)
    add("ago", 1, ago)
    add("day", 1, day)
    add("pick", 2, lambda i, choices: choices.split("|")[i])
    add("digits", 2, lambda n, width: f"{n:0{width}}")
    add("md5", 1, lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def make_people() -> dict[str, int]:
    """Make two teams, people, tokens and services; return the primary key of the first of each."""
    from accounts.models import Membership, Team, User
    from rentals.models import Service, Token

    team, other = (Team.objects.create(name=name) for name in ("Measured", "Other"))
    people = [User.objects.create_user(f"person{n}") for n in range(20)]
    Membership.objects.bulk_create([Membership(user=person, team=team, role="operator") for person in people])
    tokens = [Token.objects.create(name=f"Token {n}", value=f"{n}-{n:032x}") for n in range(1, 4)]
    for token in tokens:
        token.teams.add(team, other)
    services = [
        Service.objects.create(
            sv="02", upstream_id=str(1000 + n), name=f"Service {n}", search_name=f"service {n}", price=1450
        )
        for n in range(40)
    ]
    manager = User.objects.create_superuser("boss", password="only-for-benchmarks")
    Membership.objects.create(user=manager, team=team, role="manager")
    first = {"team": team, "other": other, "person": people[0], "token": tokens[0], "service": services[0]}
    return {name: row.pk for name, row in first.items()}
