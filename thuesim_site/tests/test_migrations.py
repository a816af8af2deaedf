"""An upgrade migrates while processes of the version before still work."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from django.apps import apps
from django.db import migrations, models
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.fields import NOT_PROVIDED

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.tests.migration_rules import breaches

RELEASES = BASE_DIR / "thuesim_site" / "tests" / "releases"
# The last migrations that were written for an upgrade with a stop: for the way from 0.2.0.
WITH_A_STOP = {"accounts": "0013", "rentals": "0030"}
# What breaks a rule and does no harm, with the reason: `app.migration: operation`.
HARMLESS: dict[str, str] = {
    "rentals.0036_people_served: Custom state/database change combination": "makes one index, and drops what it begins with",
}


def test_the_version_before_can_live_with_each_migration() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    new = [key for key in loader.disk_migrations if key[0] in WITH_A_STOP and key[1][:4] > WITH_A_STOP[key[0]]]
    found = [
        breach
        for app, name in sorted(new)
        for breach in breaches(loader.disk_migrations[app, name], loader.project_state((app, name), at_end=False))
        if breach.rpartition(": ")[0] not in HARMLESS
    ]
    assert found == []


def test_the_last_release_can_insert_rows_into_every_table_that_it_has() -> None:
    with closing(sqlite3.connect(":memory:")) as release:
        release.executescript((RELEASES / "0.2.0-desk.sql").read_text())
        missing = [
            f"{table}.{field.column}"
            for model in apps.get_models(include_auto_created=True)
            if (columns := _columns(release, table := model._meta.db_table))
            for field in model._meta.local_concrete_fields
            if field.column not in columns and not field.null and field.db_default is NOT_PROVIDED
        ]
    assert missing == []


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[0] for row in database.execute("SELECT name FROM pragma_table_info(?)", [table])}


OTHER = models.ForeignKey("desk.Other", models.CASCADE)
NEW_INDEX = migrations.AddIndex("row", models.Index(fields=["short"], name="row_short"))
BY_CODE = migrations.RunPython(migrations.RunPython.noop)


def faults(*operations: Any, atomic: bool = True) -> list[str]:
    """What is said of a migration with these operations on a table `row` with columns `short` and `maybe`."""
    state = ProjectState()
    fields: list[tuple[str, Any]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("short", models.CharField(max_length=20, db_default="")),
        ("maybe", models.IntegerField(null=True)),
    ]
    state.add_model(ModelState("desk", "Row", fields))
    state.add_model(ModelState("desk", "Other", fields))
    kind = type("Next", (Migration,), {"operations": list(operations), "atomic": atomic})
    return list(breaches(kind("0002_next", "desk"), state))


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (migrations.RemoveField("row", "short"), "still reads and writes"),
        (migrations.RenameField("row", "short", "brief"), "still reads and writes"),
        (migrations.DeleteModel("Row"), "still reads and writes"),
        (migrations.RenameModel("Row", "Line"), "still reads and writes"),
        (migrations.AddField("row", "new", models.IntegerField(default=0)), "db_default"),
        (migrations.AddField("row", "new", models.IntegerField(null=True, unique=True)), "locks the table"),
        (
            migrations.AddField("row", "new", models.ForeignKey("desk.Other", models.CASCADE, null=True)),
            "locks the table",
        ),
        (migrations.AlterField("row", "maybe", models.IntegerField(default=0)), "writes NULL"),
        (migrations.AlterField("row", "short", models.CharField(max_length=10, db_default="")), "longer values"),
        (migrations.AlterField("row", "short", models.CharField(max_length=20)), "without it"),
        (migrations.AlterField("row", "maybe", models.TextField(null=True)), "other type"),
        (migrations.AlterField("row", "maybe", models.IntegerField(null=True, db_index=True)), "locks the table"),
        (NEW_INDEX, "CONCURRENTLY"),
        (migrations.AddConstraint("row", models.UniqueConstraint(fields=["short"], name="one")), "rows of the version"),
        (BY_CODE, "atomic = False"),
        (migrations.RunSQL("SELECT 1"), "atomic = False"),
        (migrations.SeparateDatabaseAndState(), "cannot be read"),
        (migrations.SeparateDatabaseAndState([BY_CODE], [NEW_INDEX]), "atomic = False"),
        (migrations.SeparateDatabaseAndState([BY_CODE], [migrations.RemoveField("row", "maybe")]), "cannot be read"),
    ],
)
def test_what_the_version_before_cannot_live_with_is_named(operation: Any, words: str) -> None:
    [fault] = faults(operation)
    assert fault.startswith(f"desk.0002_next: {operation.describe()}: ")
    assert words in fault


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("row", "new", models.IntegerField(null=True)),
        migrations.AddField("row", "new", models.IntegerField(default=0, db_default=0)),
        migrations.AddField("row", "new", models.ForeignKey("desk.Other", models.CASCADE, null=True, db_index=False)),
        migrations.AlterField("row", "short", models.CharField(max_length=40, db_default="")),
        migrations.AlterField("row", "short", models.CharField("a name", max_length=20, db_default="")),
        migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True)), ("of", OTHER)]),
        migrations.AlterModelOptions("row", {"verbose_name": "row"}),
    ],
)
def test_what_it_can_live_with_passes(operation: Any) -> None:
    assert faults(operation) == []


def test_a_new_table_may_have_indexes_and_constraints() -> None:
    table = migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])
    assert faults(table, migrations.AddIndex("new", models.Index(fields=["id"], name="new_id"))) == []


def test_work_in_parts_passes() -> None:
    assert faults(BY_CODE, migrations.SeparateDatabaseAndState([BY_CODE], [NEW_INDEX]), atomic=False) == []
