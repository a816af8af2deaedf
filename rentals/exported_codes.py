"""Whose codes an export handed out: noted before it does, and found again by the rental.

A row of `ExportedCode` tells it of the rentals of `SPAN` keys: one for each code took a third of an export's time.
"""

from collections.abc import Iterable

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, Max, Min, QuerySet

from rentals.models import ExportedCode, Rental

SPAN = 63  # so many bits has a number in the database beside its sign


def note(record: int, rentals: Iterable[int]) -> None:
    """Note that the export with this audit record hands out the codes of the rentals with these keys. One query. An export
    that is made anew may note them again."""
    first_of: dict[int, int] = {}
    codes: dict[int, int] = {}
    for key in sorted(rentals):
        first = first_of.setdefault(key // SPAN, key)
        codes[first] = codes.get(first, 0) | 1 << (key - first)
    if not codes:
        return
    rows = ", ".join([f"({record}, {first}, {bits})" for first, bits in codes.items()])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {ExportedCode._meta.db_table} AS noted (record_id, rental_id, codes) VALUES {rows}"  # noqa: S608 - numbers
            " ON CONFLICT (record_id, rental_id) DO UPDATE SET codes = noted.codes | excluded.codes"
        )


def records_with(rentals: QuerySet[Rental]) -> list[int]:
    """Return the keys of the audit records of the exports that handed out the code of one of these rentals. One query."""
    try:
        keys, values = rentals.order_by().annotate(rental=F("pk")).values_list("rental").query.sql_with_params()
    except EmptyResultSet:
        return []
    noted = ExportedCode._meta.db_table
    with connection.cursor() as cursor:
        # Rows of the version before are many, of one rental each: its own index leads past them to those of several.
        cursor.execute(
            f"WITH wanted AS ({keys}) SELECT record_id FROM wanted JOIN {noted} ON rental_id = rental"  # noqa: S608 - own text
            f" UNION SELECT record_id FROM wanted JOIN {noted}"
            f" ON codes > 1 AND rental_id / {SPAN} = rental / {SPAN} AND rental_id <= rental"
            " AND (codes >> CAST(rental - rental_id AS integer)) & 1 = 1",
            values,
        )
        return [record for (record,) in cursor]


def near_exported(rentals: QuerySet[Rental]) -> QuerySet[Rental]:
    """Return those of many rentals that lie between the first and the last one of all exports. One query."""
    ends = ExportedCode.objects.aggregate(first=Min("rental"), last=Max("rental"))
    return rentals.filter(pk__range=(ends["first"] or 0, (ends["last"] or 0) + SPAN - 1))


def take_over(imported: Rental, rental: Rental) -> None:
    """Note of an order what is noted of the import that it takes the place of. With that, the rows are deleted that begin at
    it: what they tell of others is noted anew."""
    for record in records_with(Rental.objects.filter(pk=imported.pk)):
        note(record, [rental.pk])
    for record, codes in imported.exported.values_list("record", "codes"):
        note(record, [imported.pk + n for n in range(1, SPAN) if codes >> n & 1])
