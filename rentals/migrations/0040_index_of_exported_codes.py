from django.db import migrations, models


def add_index(apps, schema_editor):
    concurrently = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    remove_index(apps, schema_editor)  # left by an attempt that was cut off
    schema_editor.execute(
        f"CREATE INDEX {concurrently} exported_several ON rentals_exportedcode ((rental_id / 63)) WHERE codes > 1"
    )


def remove_index(apps, schema_editor):
    schema_editor.execute("DROP INDEX IF EXISTS exported_several")


class Migration(migrations.Migration):
    atomic = False  # an index of a large table is made while others write

    dependencies = [
        ("rentals", "0039_exported_codes_of_many"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add_index, remove_index)],
            state_operations=[
                migrations.AddIndex(
                    model_name="exportedcode",
                    index=models.Index(models.F("rental") / 63, condition=models.Q(codes__gt=1), name="exported_several"),
                ),
            ],
        ),
    ]
