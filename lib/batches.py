"""Rows in batches, for jobs that delete what is old."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet


def oldest_first(rows: QuerySet[Any], batch: int, *columns: str, by: str = "at") -> Iterator[list[Any]]:
    """Yield the oldest `batch` rows, as tuples of `by`, the key and `columns`, until none is left. The caller deletes each
    batch before the next.

    The next one begins where this one ended: PostgreSQL keeps the index entries of deleted rows until it vacuums, and would
    read past all of them again for each batch.
    """
    rest = rows.order_by(by)
    while found := list(rest.values_list(by, "pk", *columns)[:batch]):
        yield found
        rest = rows.order_by(by).filter(**{f"{by}__gte": found[-1][0]})
