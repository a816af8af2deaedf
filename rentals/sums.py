"""What numbers cost, summed by day and month: the spend page and the budgets read these sums instead of the rentals.

Triggers write them, in the transaction of whatever changes a rental or its refund, so that they are exact with every commit.
A change writes rows of its own (`SpendSum.piece`), and no two writers wait for one row; `fold` merges such rows soon. The
rentals from before the triggers (`Uncounted`) are added by `count_older` in batches; meanwhile `read` counts them itself.
Days, months and years are those of `placed_at` in the desk's zone. docs/scale.md has the reasons.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain, product
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from django.db.models import Exists, F, OuterRef

from lib.time_zones import desk_day
from lib.web.query_params import MAX_DAY, desk_midnight
from rentals.models import CountedDay, Rental, SpendSum, Uncounted

BATCH = 2000
# How long a batch may hold SQLite's lock without a pause after it, and the longest pause, since SQLite's writers look every
# 0.1 s whether it is their turn.
SHORT_SECONDS, MAX_PAUSE_SECONDS = 0.05, 0.2


class Kind(StrEnum):
    """What a sum is by: the values of `SpendSum.kind`. `DAY` has one name, `""`, and neither months nor years."""

    DAY = "day"
    PAYER = "payer"  # `payer.token.API key.1`: ids or `""`, and at the end whether it was rented elsewhere
    SERVICE = "service"  # `service|prefix|network`: an id, two digits or `""`, a name or `""`
    PURPOSE = "purpose"


class Span(StrEnum):
    """How long a sum is of. The sums of years have a kind of their own: see `_kind`."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Sum(NamedTuple):
    """A row that `read` returns: numbers, codes, what was charged and refunded in đồng; and how many cost how much more than
    was shown at the order."""

    name: str
    rentals: int
    codes: int
    charged: int
    refunded: int
    dearer: int = 0
    more: int = 0


_FIGURES = ("rentals", "codes", "charged", "refunded", "dearer", "more")
_NAMES = ", ".join(_FIGURES)
# PostgreSQL adds amounts up as decimal numbers, which takes a third longer. As doubles they are exact up to 9e15 đồng.
_SUM = {figure: f"SUM({figure})" for figure in _FIGURES}
_SUM |= {figure: f"SUM(CAST({figure} AS double precision))" for figure in ("charged", "refunded", "more")}
_SUMS = {figure: f"CAST({total} AS bigint)" for figure, total in _SUM.items()}
# The columns of a rental that its sums depend on.
_COLUMNS = (
    *("team_id", "person_id", "ordered_by_id", "api_key_id", "token_id", "service_id", "status", "purpose", "imported"),
    *("phone", "network", "price", "agreed_price", "placed_at"),
)


def _kind(kind: Kind, span: Span) -> str:
    """Return the value of `SpendSum.kind`. A year has `is_month` as well: it is no day."""
    return f"{kind}-year" if span == Span.YEAR else kind.value


_KINDS = " UNION ALL ".join(
    ["SELECT 'day' AS kind, 'day' AS name, 'day' AS span"]
    + [f"SELECT '{_kind(kind, span)}', '{kind}', '{span}'" for kind in Kind if kind != Kind.DAY for span in Span]
)
_NAME = """CASE g.name WHEN 'day' THEN '' WHEN 'purpose' THEN r.purpose
    WHEN 'service' THEN r.service_id || '|' || substr(r.phone, 4, 2) || '|' || r.network
    ELSE COALESCE(COALESCE(r.ordered_by_id, r.person_id) || '', '') || '.' || r.token_id || '.'
        || COALESCE(r.api_key_id || '', '') || CASE WHEN r.imported THEN '.1' ELSE '.0' END END"""
_LOCAL = "r.placed_at AT TIME ZONE 'Asia/Ho_Chi_Minh'"
_DAY = {
    "postgresql": f"date_trunc(g.span, {_LOCAL})::date",
    # To the second: SQLite would round up the last half millisecond of a day.
    "sqlite": "date(substr(r.placed_at, 1, 19), '+7 hours', 'start of ' || g.span)",
}
_REFUND = "kind = 'refund' AND NOT taken_back"


def _of_rental(row: str, sign: int) -> str:
    """Return the SQL of what a row of rentals counts, once added or taken away. `refunded` has its sign already."""
    columns = ", ".join(f"{row}.{column}" for column in ("id", *_COLUMNS))
    refunds = f"SELECT SUM(amount) FROM rentals_ledgerentry WHERE rental_id = {row}.id AND {_REFUND}"
    return f"SELECT {columns}, {sign} AS sign, {sign} * COALESCE(({refunds}), 0) AS refunded"


def _of_refund(row: str, sign: int) -> str:
    """Return the SQL of what a line of the ledger counts for its rental."""
    columns = ", ".join(f"x.{column}" for column in ("id", *_COLUMNS))
    return (
        f"SELECT {columns}, 0 AS sign, {sign} * {row}.amount AS refunded FROM rentals_rental x"
        f" WHERE x.id = {row}.rental_id AND {row}.kind = 'refund' AND NOT {row}.taken_back"
    )


def _lines(source: str, vendor: str, kinds: str = _KINDS) -> str:
    """Return the SQL of the rows of `SpendSum` that the rentals of `source` make, one for each rental, kind and span."""
    return f"""SELECT r.team_id, g.kind, g.span <> 'day' AS is_month, {_DAY[vendor]} AS day, {_NAME} AS name, r.id AS piece,
    r.sign AS rentals, CASE WHEN r.status = 'received' THEN r.sign ELSE 0 END AS codes,
    r.sign * COALESCE(r.price, 0) AS charged, r.refunded,
    CASE WHEN r.price > r.agreed_price THEN r.sign ELSE 0 END AS dearer,
    CASE WHEN r.price > r.agreed_price THEN r.sign * (r.price - r.agreed_price) ELSE 0 END AS more
    FROM ({source}) AS r CROSS JOIN ({kinds}) AS g WHERE r.placed_at IS NOT NULL"""


def _add(lines: str, *, piece: str) -> str:
    """Return the SQL that adds `lines` to the sums: to the rows with `piece`, new ones where there are none.

    They are written day by day, however many at once: a period's rows lie together, which halves the time of reading it.
    """
    sums = ", ".join(f"SUM({name})" for name in _FIGURES)
    some = " OR ".join(f"SUM({name}) <> 0" for name in _FIGURES)
    added = ", ".join(f"{name} = rentals_spendsum.{name} + excluded.{name}" for name in _FIGURES)
    return f"""INSERT INTO rentals_spendsum (team_id, kind, is_month, day, name, piece, {", ".join(_FIGURES)})
    SELECT team_id, kind, is_month, day, name, {piece}, {sums} FROM ({lines}) AS line
    GROUP BY team_id, kind, is_month, day, name HAVING {some} ORDER BY day, kind
    ON CONFLICT (team_id, kind, is_month, day, name, piece) DO UPDATE SET {added}"""


def _triggers(vendor: str) -> Iterable[tuple[str, str, str, str, str]]:
    """Yield each trigger's name, table, operation, condition and statement."""
    for table, of_row in (("rentals_rental", _of_rental), ("rentals_ledgerentry", _of_refund)):
        key = "id" if table == "rentals_rental" else "rental_id"
        columns = _COLUMNS if table == "rentals_rental" else ("rental_id", "kind", "amount", "taken_back")
        for operation, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            counts = "{}.placed_at IS NOT NULL" if table == "rentals_rental" else "{}.kind = 'refund'"
            condition = f"({' OR '.join(counts.format(row) for row in rows)})"
            source = " UNION ALL ".join(of_row(row, 1 if row == "NEW" else -1) for row in rows)
            lines = _lines(source, vendor)
            lines += " AND NOT EXISTS (SELECT 1 FROM rentals_uncounted u WHERE r.id > u.after AND r.id <= u.upto)"
            if operation == "DELETE":
                # A counted rental has its sums; where all tables are being emptied, nothing is written into this one again.
                lines += " AND EXISTS (SELECT 1 FROM rentals_spendsum)"
            name = f"{table}_sums_{operation.lower()}"
            event = f"UPDATE OF {', '.join(columns)}" if operation == "UPDATE" else operation
            # A piece is a rental's: whoever writes one has locked that rental.
            yield (
                name,
                table,
                f"{event} ON {table}",
                condition,
                _locking(vendor, key, rows) + _add(lines, piece="MAX(piece)"),
            )


def _locking(vendor: str, key: str, rows: Sequence[str]) -> str:
    if vendor != "postgresql" or key == "id":
        return ""
    # Else a rental could change its service, say, while its refund is booked for the one that it had.
    keys = ", ".join(f"{row}.{key}" for row in rows)
    return f"PERFORM 1 FROM rentals_rental WHERE id IN ({keys}) ORDER BY id FOR SHARE; "


def _function(name: str, statement: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {statement}; RETURN NULL; END $$"
    )


def install(execute: Callable[[str], Any], vendor: str) -> None:
    """Make the triggers. Those that are there stay on SQLite, and are replaced on PostgreSQL."""
    for name, table, event, condition, statement in _triggers(vendor):
        if vendor == "postgresql":
            execute(_function(name, statement))
            execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            execute(f"CREATE TRIGGER {name} AFTER {event} FOR EACH ROW WHEN {condition} EXECUTE FUNCTION {name}()")
        else:
            execute(f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} WHEN {condition} BEGIN {statement}; END")


def add_years(execute: Callable[[str], Any]) -> None:
    """Let PostgreSQL's triggers write the sums of years, and add up those of the months so far. In one transaction."""
    # No change may be under way with the triggers of before, nor a batch of older rentals.
    execute("SELECT pg_advisory_xact_lock(hashtext('rentals_spendsum'))")
    execute("LOCK TABLE rentals_rental, rentals_ledgerentry IN SHARE ROW EXCLUSIVE MODE")
    for name, _table, _event, _condition, statement in _triggers("postgresql"):
        execute(_function(name, statement))
    lines = (
        f"SELECT team_id, kind || '-year' AS kind, is_month, date_trunc('year', day)::date AS day, name, {_NAMES}"
        " FROM rentals_spendsum WHERE is_month AND kind NOT LIKE '%-year'"
    )
    execute(_add(lines, piece="0"))


def remove(execute: Callable[[str], Any], vendor: str) -> None:
    """Drop the triggers."""
    for name, *_others in _triggers(vendor):
        if vendor == "postgresql":
            execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")
        else:
            execute(f"DROP TRIGGER IF EXISTS {name}")


def before_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Drop the triggers on SQLite: it changes a table by making it anew, and refuses where a trigger names the old one."""
    if plan and _is_sqlite_with_sums(using):
        with connections[using].cursor() as cursor:
            remove(cursor.execute, "sqlite")


def after_migrations(*, using: str, plan: Sequence[Any] = (), **_others: Any) -> None:
    """Make the triggers on SQLite that are missing, and count anew what migrations may have changed without them."""
    if _is_sqlite_with_sums(using):
        with connections[using].cursor() as cursor:
            install(cursor.execute, "sqlite")
        if plan:
            start_over(using)


def _is_sqlite_with_sums(using: str) -> bool:
    database = connections[using]
    return database.vendor == "sqlite" and SpendSum._meta.db_table in database.introspection.table_names()


def start_over(using: str = DEFAULT_DB_ALIAS, *, patient: bool = True) -> None:
    """Empty the sums, and let `count_older` count every rental again. Writers wait for the moment that this takes.

    Raises `OperationalError` where it is not `patient`, and writers leave no such moment.
    """
    database = connections[using]
    with transaction.atomic(using), database.cursor() as cursor:
        if database.vendor == "postgresql":
            if not patient:
                # It ends before PostgreSQL looks for deadlocks, of which a writer could be the victim.
                cursor.execute("SET LOCAL lock_timeout = '800ms'")
            cursor.execute("LOCK TABLE rentals_rental, rentals_ledgerentry IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("DELETE FROM rentals_uncounted")
        cursor.execute("DELETE FROM rentals_spendsum")
        cursor.execute(
            "INSERT INTO rentals_uncounted (after, upto) SELECT 0, MAX(id) FROM rentals_rental HAVING MAX(id) IS NOT NULL"
        )


def count_older(*, seconds: float = 10.0, batch: int = BATCH) -> bool:
    """Add rentals that are not counted yet to the sums, for some seconds. Returns whether all are counted then.

    May run at any time, twice and at once; each batch is a transaction of its own.
    """
    end = time.monotonic() + seconds
    try:
        while Uncounted.objects.exists():
            if time.monotonic() > end or not _count_batch(batch):
                return False
    except OperationalError:  # a change holds a rental of the batch for long
        return False
    return True


def _count_batch(batch: int) -> bool:
    with _turn() as cursor:
        waiting = Uncounted.objects.select_for_update().first() if _is_alone(cursor) else None
        if waiting is None:
            return False
        rentals = Rental.objects.filter(pk__gt=waiting.after, pk__lte=waiting.upto).order_by("pk")
        # Locked against the triggers of changes under way, which take these rentals for uncounted.
        keys = list(rentals.select_for_update(no_key=True).values_list("pk", flat=True)[:batch])
        upto = keys[-1] if len(keys) == batch else waiting.upto
        source = f"{_of_rental('x', 1)} FROM rentals_rental x WHERE x.id > %s AND x.id <= %s"
        cursor.execute(_add(_lines(source, connection.vendor), piece="0"), [waiting.after, upto])
        Uncounted.objects.filter(pk=waiting.pk).update(after=upto)
        Uncounted.objects.filter(pk=waiting.pk, upto=upto).delete()
    return True


@contextmanager
def _turn() -> Iterator[Any]:
    """The transaction of one batch, with a pause after a long one on SQLite, which has one writer at a time and no queue:
    without pauses between batches, other writers would wait for the last one."""
    with transaction.atomic(), connection.cursor() as cursor:
        start = time.monotonic()
        yield cursor
    held = time.monotonic() - start
    if connection.vendor == "sqlite" and held > SHORT_SECONDS:
        time.sleep(min(held, MAX_PAUSE_SECONDS))


def _is_alone(cursor: Any) -> bool:
    """Whether no other transaction merges sums now: two would wait for each other's rows."""
    if connection.vendor != "postgresql":
        return True
    # No live change shall wait long for us, nor be the one that a deadlock ends.
    cursor.execute("SET LOCAL lock_timeout = '300ms'")
    cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('rentals_spendsum'))")
    return bool(cursor.fetchone()[0])


def fold(*, batch: int = BATCH) -> int:
    """Merge the rows that changes have written into one row for each sum. Returns how many were merged.

    May run at any time, twice and at once.
    """
    merged = 0
    while done := _fold_batch(batch):
        merged += done
    return merged


def _fold_batch(batch: int) -> int:
    with _turn() as cursor:
        if not _is_alone(cursor):
            return 0
        pieces = SpendSum.objects.select_for_update(skip_locked=True).exclude(piece=0).order_by("pk")
        keys = list(pieces.values_list("pk", flat=True)[:batch])
        if keys:
            marks = ", ".join(["%s"] * len(keys))
            cursor.execute(_add(f"SELECT * FROM rentals_spendsum WHERE id IN ({marks})", piece="0"), keys)
            changes = SpendSum.objects.filter(pk__in=keys, is_month=False, team=OuterRef("team"), day=OuterRef("day"))
            CountedDay.objects.filter(Exists(changes)).update(changes=F("changes") + 1)
            SpendSum.objects.filter(pk__in=keys).delete()
    return len(keys)


class _Part(NamedTuple):
    """Days of the table `SpendSum`, from `start` to before `end`, or months, or years; `tag` tells its rows from those of
    others. What has the `sign` -1 is taken away."""

    tag: str
    span: Span
    start: date
    end: date
    sign: int = 1


# A month has about as many names as so many of its days, where names come again, and a year as so many of its months.
_DAYS_OF_A_MONTH, _MONTHS_OF_A_YEAR = 5, 3


def _parts(since: date, until: date, kind: Kind) -> list[_Part]:
    """Return the days of a period; or months and years, and the days and months by which they differ from it, where those
    have fewer rows.

    Thirty days until the 27th are this month and three days of the last one: the days to come have no rows.
    """
    end = until + timedelta(days=1)
    return _fewest(since, end, desk_day() + timedelta(days=1), Span.DAY if kind == Kind.DAY else Span.YEAR)


@lru_cache(maxsize=1000)
def _fewest(start: date, end: date, tomorrow: date, longest: Span, sign: int = 1) -> list[_Part]:
    """Return the parts with the fewest rows from `start` to before `end`, whose spans are at most the `longest`."""
    alternatives = [[_Part("", Span.DAY, start, end, sign)]]
    for span, shorter in ((Span.MONTH, Span.DAY), (Span.YEAR, Span.MONTH)) if start < end else ():
        if longest in {span, Span.YEAR}:
            for first, last in product(_starts(start, span), _starts(end, span)):
                if first < last:
                    around = [(start, first, sign), (first, start, -sign), (last, end, sign), (end, last, -sign)]
                    beside = [_fewest(since, to, tomorrow, shorter, way) for since, to, way in around if since < to]
                    alternatives.append([_Part("", span, first, last, sign), *chain.from_iterable(beside)])
    return min(alternatives, key=lambda parts: sum(_rows(part, tomorrow) for part in parts))


def _rows(part: _Part, tomorrow: date) -> int:
    """Return about how many rows a part has, in those of a day."""
    if part.start >= tomorrow:
        return 0
    if part.span == Span.DAY:
        return (min(part.end, tomorrow) - part.start).days
    months = round((part.end - part.start).days / 30.4)
    return months * _DAYS_OF_A_MONTH if part.span == Span.MONTH else months // 12 * _MONTHS_OF_A_YEAR * _DAYS_OF_A_MONTH


def _starts(day: date, span: Span) -> list[date]:
    """Return when the day's month or year begins and when it ends; where it begins with that day, that alone."""
    first = day.replace(day=1) if span == Span.MONTH else day.replace(month=1, day=1)
    following = first + timedelta(days=31 if span == Span.MONTH else 366)
    return [first] if first == day else [first, following.replace(day=1)]


def _signed(part: _Part) -> str:
    return _NAMES if part.sign > 0 else ", ".join(f"-{figure}" for figure in _FIGURES)


def _of_sums(team_id: int, kind: Kind, parts: Iterable[_Part]) -> tuple[str, list[Any]]:
    """Return the SQL of the rows of all parts, and of a nameless one where some rentals are uncounted; and its values."""
    selects, values = [], []
    for part in parts:
        selects.append(
            f"SELECT '{part.tag}' AS tag, day, name, {_signed(part)} FROM rentals_spendsum"
            " WHERE team_id = %s AND kind = %s AND is_month = %s AND day >= %s AND day < %s"
        )
        days = [connection.ops.adapt_datefield_value(day) for day in (part.start, part.end)]
        values += [team_id, _kind(kind, part.span), part.span != Span.DAY, *days]
    selects.append(f"SELECT NULL, NULL, NULL, {', '.join('0' for _ in _FIGURES)} FROM rentals_uncounted")
    return " UNION ALL ".join(selects), values


def _of_uncounted(team_id: int, kind: Kind, parts: Iterable[_Part]) -> tuple[str, list[Any]]:
    """Return the SQL of what the sums lack of all parts, counted from the rentals, with its values."""
    source = (
        f"{_of_rental('x', 1)} FROM rentals_uncounted u JOIN rentals_rental x ON x.id > u.after AND x.id <= u.upto"
        " WHERE x.team_id = %s AND x.placed_at >= %s AND x.placed_at < %s"
    )
    lines = _lines(source, connection.vendor, f"SELECT '{kind}' AS kind, '{kind}' AS name, 'day' AS span")
    selects, values = [], []
    for part in parts:
        selects.append(f"SELECT '{part.tag}', day, name, {_signed(part)} FROM ({lines}) AS line")
        values += [
            team_id,
            *(connection.ops.adapt_datetimefield_value(desk_midnight(day)) for day in (part.start, part.end)),
        ]
    return " UNION ALL ".join(selects), values


def _read(
    statement: str, team_id: int, kind: Kind, parts: Sequence[_Part], beside: tuple[str, Sequence[Any]] = ("", ())
) -> list[Any]:
    """Return the rows of `statement`, whose `{}` is the SQL of the parts and what stands `beside` them.

    They are read in one statement, since between two a row could be merged. Another one follows as long as rentals are
    uncounted. One would do: but to plan what is empty nearly always costs more than the rest.
    """
    rows, values = _of_sums(team_id, kind, parts)
    with connection.cursor() as cursor:
        cursor.execute(statement.format(rows + beside[0]), [*values, *beside[1]])
        found = cursor.fetchall()
        if any(name is None for _tag, name, *_figures in found):
            more, their_values = _of_uncounted(team_id, kind, parts)
            cursor.execute(
                statement.format(f"{rows} UNION ALL {more}{beside[0]}"), [*values, *their_values, *beside[1]]
            )
            found = cursor.fetchall()
    return [row for row in found if row[1] is not None]


def read(
    team_id: int | None, kind: Kind, since: date, until: date, *, most: int | None = None, dearer: bool = True
) -> list[Sum]:
    """Return the sums of each name of a kind in a period, both days included; the `most` expensive ones first. One query.

    Those of `Kind.DAY` are named by their day instead, as in `2026-10-31`, and come in any order. Where `dearer` is not
    asked for, `Sum.dearer` and `Sum.more` are 0, which takes less time.
    """
    name = "day" if kind == Kind.DAY else "name"
    figures = ", ".join(_SUMS[figure] for figure in (_FIGURES if dearer else _FIGURES[:4]))
    statement = f"SELECT '', {name}, {figures} FROM ({{}}) AS part GROUP BY {name}"
    if most is not None:
        spent = f"{_SUM['charged']} - {_SUM['refunded']}"
        # The row that says that some are uncounted has no name, and comes first.
        statement += f" ORDER BY {name} IS NOT NULL, {spent} DESC, SUM(rentals) DESC, {name}"
        statement += f" LIMIT {most + 1:d}"
    rows = _read(statement, team_id or 0, kind, _parts(since, until, kind))
    return [Sum(str(name), *figures) for _tag, name, *figures in rows[:most]]


def read_days_of(person_id: int, team_id: int | None, since: date, until: date) -> list[Sum]:
    """Return the sums of what one person ordered, named by their day, in any order. One query."""
    figures = ", ".join(_SUMS.values())
    statement = f"SELECT '', day, {figures} FROM ({{}}) AS part WHERE name IS NULL OR name LIKE %s GROUP BY day"
    parts = [_Part("", Span.DAY, since, until + timedelta(days=1))]
    rows = _read(statement, team_id or 0, Kind.PAYER, parts, ("", [f"{person_id}.%"]))
    return [Sum(str(day), *figures) for _tag, day, *figures in rows]


class Spent(NamedTuple):
    """What one person ordered with one API key, or without: đồng and numbers, today and this month."""

    person_id: int | None
    key_id: int | None
    day: int
    day_rentals: int
    month: int


def spent(team_id: int, under_way: Sequence[str]) -> list[Spent]:
    """Return what a team spent today and this month, by who ordered, with its orders in the statuses `under_way` at their
    services' prices. Numbers rented elsewhere are left out. One query."""
    today = desk_day()
    parts = [_Part("day", Span.DAY, today, MAX_DAY), _Part("month", Span.MONTH, today.replace(day=1), MAX_DAY)]
    # In the same statement: between two, an order could stop being under way and be counted by neither.
    marks = ", ".join(["%s"] * len(under_way))
    orders = (
        " UNION ALL SELECT tag, NULL, COALESCE(COALESCE(x.ordered_by_id, x.person_id) || '', '') || '..'"
        " || COALESCE(x.api_key_id || '', '') || '.0', 1, 0,"
        # No join, from which SQLite would begin with the services, and read all their rentals.
        " COALESCE((SELECT s.price FROM rentals_service s WHERE s.id = x.service_id), 0), 0, 0, 0"
        " FROM rentals_rental x CROSS JOIN (SELECT 'day' AS tag UNION ALL SELECT 'month') AS tags"
        f" WHERE x.team_id = %s AND NOT x.imported AND x.status IN ({marks})"
    )
    statement = "SELECT tag, name, SUM(charged) - SUM(refunded), SUM(rentals) FROM ({}) AS part GROUP BY tag, name"
    by_name: dict[tuple[int | None, int | None], list[int]] = {}
    for tag, name, cost, rentals in _read(statement, team_id, Kind.PAYER, parts, (orders, [team_id, *under_way])):
        person, _token, key, imported = name.split(".")
        if imported == "0":
            counted = by_name.setdefault((int(person) if person else None, int(key) if key else None), [0, 0, 0])
            counted[0 if tag == "day" else 2] += int(cost)
            counted[1] += int(rentals) if tag == "day" else 0
    return [Spent(*names, *counted) for names, counted in by_name.items()]


def differences(*, most: int = 20) -> list[tuple[Any, ...]]:
    """Return the sums that are not what the rentals and the ledger say: team, kind, whether of a month, day, name, and how
    much more the rentals say of each of `rentals codes charged refunded dearer more`. One query, which reads everything."""
    source = (
        f"{_of_rental('x', 1)} FROM rentals_rental x WHERE NOT EXISTS (SELECT 1 FROM rentals_uncounted u"
        " WHERE x.id > u.after AND x.id <= u.upto)"
    )
    names = "team_id, kind, is_month, day, name"
    negative = ", ".join(f"-{figure}" for figure in _FIGURES)
    sums, some = (", ".join(f"SUM({figure})" for figure in _FIGURES), " OR ".join(f"SUM({f}) <> 0" for f in _FIGURES))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names}, {sums} FROM (SELECT {names}, {', '.join(_FIGURES)} FROM"
            f" ({_lines(source, connection.vendor)}) AS line UNION ALL SELECT {names}, {negative} FROM rentals_spendsum)"
            f" AS compared GROUP BY {names} HAVING {some} ORDER BY {names} LIMIT {most:d}"
        )
        return list(cursor.fetchall())
