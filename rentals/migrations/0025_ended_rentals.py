import django.db.models.deletion
from django.db import migrations, models

# Others begin with the same column.
SPARE = (
    "rentals_rental_team_id_d61ae9e4",
    "rentals_rental_token_id_10615e8f",
    "rentals_ledgerentry_token_id_8c2f2250",
)
ENDED = "IF NOT EXISTS rental_team_ended ON rentals_rental (team_id, ended_at)"


def change_indexes(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    concurrently = "CONCURRENTLY" if postgresql else ""
    if postgresql:
        schema_editor.execute("DROP INDEX IF EXISTS rental_team_ended")  # left by an attempt that was cut off
    schema_editor.execute(f"CREATE INDEX {concurrently} {ENDED}")
    for name in SPARE:
        schema_editor.execute(f"DROP INDEX {concurrently} IF EXISTS {name}")


def change_back(apps, schema_editor):
    schema_editor.execute("DROP INDEX rental_team_ended")
    for name in SPARE:
        table = name.rpartition("_id_")[0].rpartition("_")[0]
        column = name.removeprefix(f"{table}_").rpartition("_")[0]
        schema_editor.execute(f"CREATE INDEX {name} ON {table} ({column})")


def _without_index(model, name, to, related_name, verbose_name):
    field = models.ForeignKey(
        db_index=False,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related_name,
        to=to,
        verbose_name=verbose_name,
    )
    return migrations.AlterField(model_name=model, name=name, field=field)


class Migration(migrations.Migration):
    atomic = False  # an index of a large table is made while others write

    dependencies = [
        ("accounts", "0011_api_keys"),
        ("rentals", "0024_sums_of_spending"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(change_indexes, change_back)],
            state_operations=[
                _without_index("ledgerentry", "token", "rentals.token", "ledger", "token"),
                _without_index("rental", "team", "accounts.team", "rentals", "team"),
                _without_index("rental", "token", "rentals.token", "rentals", "token"),
                migrations.AddIndex(
                    model_name="rental",
                    index=models.Index(fields=["team", "ended_at"], name="rental_team_ended"),
                ),
            ],
        )
    ]
