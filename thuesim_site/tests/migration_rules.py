"""What a migration must not do while processes of the version before work on the same database.

`django-migration-linter` knows the first half of this by the SQL of one database. Here the operations themselves are read:
so the rules hold for both databases at once, know `db_default` and this project's way to make an index, and cost no
database.
"""

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.migrations import Migration, RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.fields import NOT_PROVIDED

_GONE = "the version before still reads and writes it; stop using it in one release, and take it away in the next"
_LOCKED = "it locks the table while it is made; in a migration with atomic = False, make it CONCURRENTLY by RunPython"

_TO_THE_END = "what it locks stays locked to the end of the migration; set atomic = False, and go in parts"


def breaches(migration: Migration, before: ProjectState) -> Iterator[str]:
    """Yield a sentence for each operation that the version before cannot live with. `before` is the state before it."""
    state = before.clone()
    new: set[str] = set()
    for operation in migration.operations:
        if isinstance(operation, ops.CreateModel):
            new.add(operation.name_lower)
        model = getattr(operation, "model_name_lower", None) or getattr(operation, "name_lower", "")
        if model not in new:
            fault = _fault(operation, migration, state)
            if fault:
                yield f"{migration.app_label}.{migration.name}: {operation.describe()}: {fault}"
        operation.state_forwards(migration.app_label, state)


def _fault(operation: Operation, migration: Migration, state: ProjectState) -> str:
    match operation:
        case ops.RemoveField() | ops.DeleteModel() | ops.RenameField() | ops.RenameModel() | ops.AlterModelTable():
            return _GONE
        case ops.AddField(field=field):
            return _fault_of_new(field)
        case ops.AlterField(field=field, name=name, model_name_lower=model):
            return _fault_of_change(_field(state.models[migration.app_label, model], name), field)
        case ops.AddIndex() | ops.RemoveIndex():
            return _LOCKED
        case ops.AddConstraint() | ops.AlterUniqueTogether() | ops.AlterIndexTogether():
            return (
                "rows of the version before may break it, and all are read under a lock; check them in the code first"
            )
        case RunPython() | RunSQL() if migration.atomic:
            return _TO_THE_END
        case SeparateDatabaseAndState(database_operations=[RunPython()], state_operations=state_operations) if all(
            isinstance(one, ops.AddIndex | ops.RemoveIndex) for one in state_operations
        ):
            return _TO_THE_END if migration.atomic else ""
        case SeparateDatabaseAndState():
            return "what it does to the database cannot be read here; use RunPython"
    return ""


def _field(model: ModelState, name: str) -> "models.Field[Any, Any]":
    found = model.fields[name]
    assert isinstance(found, models.Field)
    return found


def _fault_of_new(field: "models.Field[Any, Any]") -> str:
    if isinstance(field, models.ManyToManyField):
        return ""
    if field.unique or getattr(field, "db_index", False):
        return _LOCKED
    if not field.null and field.db_default is NOT_PROVIDED:
        return "the version before inserts rows without it; give it null=True or a db_default"
    return ""


def _fault_of_change(before: "models.Field[Any, Any]", after: "models.Field[Any, Any]") -> str:
    if before.null and not after.null:
        return "the version before still writes NULL; in the next release"
    if (after.unique and not before.unique) or (
        getattr(after, "db_index", False) and not getattr(before, "db_index", False)
    ):
        return _LOCKED
    if before.get_internal_type() != after.get_internal_type():
        return "the version before writes the other type, and the table is written anew; add a column"
    if (after.max_length or 0) < (before.max_length or 0):
        return "the version before writes longer values"
    if after.db_column != before.db_column:
        return _GONE
    if before.db_default is not NOT_PROVIDED and after.db_default is NOT_PROVIDED:
        return "the version before may insert rows without it"
    return ""
