"""The rows of `SpendSum`: what there are sums of, and the SQL of the rows that rentals and refunds make."""

from enum import StrEnum


class Kind(StrEnum):
    """What a sum is by: the values of `SpendSum.kind`. `DAY` has one name, `""`, and neither months nor years."""

    DAY = "day"
    PAYER = "payer"  # `payer.token.API key.1`: ids or `""`, and at the end whether it was rented elsewhere
    SERVICE = "service"  # `service|prefix|network`: an id, two digits or `""`, a name or `""`
    PURPOSE = "purpose"


class Span(StrEnum):
    """How long a sum is of. The sums of years have a kind of their own: see `kind_of`."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


FIGURES = ("rentals", "codes", "charged", "refunded", "dearer", "more")
NAMES = ", ".join(FIGURES)
# The columns of a rental that its sums depend on.
COLUMNS = (
    *("team_id", "person_id", "ordered_by_id", "api_key_id", "token_id", "service_id", "status", "purpose", "imported"),
    *("phone", "network", "price", "agreed_price", "placed_at"),
)


def kind_of(kind: Kind, span: Span) -> str:
    """Return the value of `SpendSum.kind`. A year has `is_month` as well: it is no day."""
    return f"{kind}-year" if span == Span.YEAR else kind.value


_KINDS = " UNION ALL ".join(
    ["SELECT 'day' AS kind, 'day' AS name, 'day' AS span"]
    + [f"SELECT '{kind_of(kind, span)}', '{kind}', '{span}'" for kind in Kind if kind != Kind.DAY for span in Span]
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


def of_rental(row: str, sign: int) -> str:
    """Return the SQL of what a row of rentals counts, once added or taken away. `refunded` has its sign already."""
    columns = ", ".join(f"{row}.{column}" for column in ("id", *COLUMNS))
    refunds = f"SELECT SUM(amount) FROM rentals_ledgerentry WHERE rental_id = {row}.id AND {_REFUND}"
    return f"SELECT {columns}, {sign} AS sign, {sign} * COALESCE(({refunds}), 0) AS refunded"


def of_refund(row: str, sign: int) -> str:
    """Return the SQL of what a line of the ledger counts for its rental."""
    columns = ", ".join(f"x.{column}" for column in ("id", *COLUMNS))
    return (
        f"SELECT {columns}, 0 AS sign, {sign} * {row}.amount AS refunded FROM rentals_rental x"
        f" WHERE x.id = {row}.rental_id AND {row}.kind = 'refund' AND NOT {row}.taken_back"
    )


def rows_of(source: str, vendor: str, kinds: str = _KINDS) -> str:
    """Return the SQL of the rows of `SpendSum` that the rentals of `source` make, one for each rental, kind and span."""
    return f"""SELECT r.team_id, g.kind, g.span <> 'day' AS is_month, {_DAY[vendor]} AS day, {_NAME} AS name, r.id AS piece,
    r.sign AS rentals, CASE WHEN r.status = 'received' THEN r.sign ELSE 0 END AS codes,
    r.sign * COALESCE(r.price, 0) AS charged, r.refunded,
    CASE WHEN r.price > r.agreed_price THEN r.sign ELSE 0 END AS dearer,
    CASE WHEN r.price > r.agreed_price THEN r.sign * (r.price - r.agreed_price) ELSE 0 END AS more
    FROM ({source}) AS r CROSS JOIN ({kinds}) AS g WHERE r.placed_at IS NOT NULL"""


def add(lines: str, *, piece: str) -> str:
    """Return the SQL that adds `lines` to the sums: to the rows with `piece`, new ones where there are none.

    They are written day by day, however many at once: a period's rows lie together, which halves the time of reading it.
    """
    sums = ", ".join(f"SUM({name})" for name in FIGURES)
    some = " OR ".join(f"SUM({name}) <> 0" for name in FIGURES)
    added = ", ".join(f"{name} = rentals_spendsum.{name} + excluded.{name}" for name in FIGURES)
    return f"""INSERT INTO rentals_spendsum (team_id, kind, is_month, day, name, piece, {", ".join(FIGURES)})
    SELECT team_id, kind, is_month, day, name, {piece}, {sums} FROM ({lines}) AS line
    GROUP BY team_id, kind, is_month, day, name HAVING {some} ORDER BY day, kind
    ON CONFLICT (team_id, kind, is_month, day, name, piece) DO UPDATE SET {added}"""
