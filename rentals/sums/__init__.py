"""What numbers cost, summed by day and month: the spend page and the budgets read these sums instead of the rentals.

Triggers write them, in the transaction of whatever changes a rental or its refund, so that they are exact with every commit.
A change writes rows of its own (`SpendSum.piece`), and no two writers wait for one row; `fold` merges such rows soon. The
rentals from before the triggers (`Uncounted`) are added by `count_older` in batches; meanwhile `read` counts them itself.
Days, months and years are those of `placed_at` in the desk's zone. docs/scale.md has the reasons.
"""

from rentals.sums.folding import count_older, differences, fold, start_over
from rentals.sums.reading import (
    Payers,
    Spent,
    Sum,
    has_more_than,
    read,
    read_days_of,
    read_kinds,
    read_payers_of,
    spent,
)
from rentals.sums.rows import Kind, Span
from rentals.sums.triggers import add_years, after_migrations, before_migrations, install, remove

__all__ = [
    "Kind",
    "Payers",
    "Span",
    "Spent",
    "Sum",
    "add_years",
    "after_migrations",
    "before_migrations",
    "count_older",
    "differences",
    "fold",
    "has_more_than",
    "install",
    "read",
    "read_days_of",
    "read_kinds",
    "read_payers_of",
    "remove",
    "spent",
    "start_over",
]
