from django.db import migrations, models

from rentals import missing_refunds

INDEX = models.Index(condition=models.Q(("refund_missing", True)), fields=["team", "-queued_at"], name="rental_refund_missing")


def find(apps, schema_editor):
    rental = apps.get_model("rentals", "Rental")
    if schema_editor.connection.vendor == "postgresql":
        missing_refunds.install(schema_editor.execute, "postgresql")
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX.name}")  # left by an attempt that was cut off
        schema_editor.add_index(rental, INDEX, concurrently=True)
        missing_refunds.correct(schema_editor.connection.alias)
        schema_editor.execute("ANALYZE rentals_rental (refund_missing)")  # else the index looks as if it had half of the rentals
    else:
        # The triggers are made after all migrations: SQLite changes a table by making it anew.
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX.name}")
        schema_editor.add_index(rental, INDEX)


def forget(apps, schema_editor):
    missing_refunds.remove(schema_editor.execute, schema_editor.connection.vendor)
    schema_editor.remove_index(apps.get_model("rentals", "Rental"), INDEX)


class Migration(migrations.Migration):
    atomic = False  # others write while all that expired are read

    dependencies = [
        ("rentals", "0037_missing_refunds"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(find, forget)],
            state_operations=[migrations.AddIndex(model_name="rental", index=INDEX)],
        ),
    ]
