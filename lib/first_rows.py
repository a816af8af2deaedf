"""The first rows of a list that may be long, and how many more there are."""

from typing import TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def first_rows(rows: QuerySet[M], most: int) -> tuple[list[M], int]:
    """Return the first `most` rows, and how many there are beside them. One query, two where there are more."""
    shown = list(rows[: most + 1])
    return shown[:most], rows.count() - most if len(shown) > most else 0
