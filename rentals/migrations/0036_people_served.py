import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

NEW = {"rental_person_served": "rentals_rental (person_id, token_id, attempt_at)"}
# The new one begins with the same column.
SPARE = {"rentals_rental_person_id_aaa3cefb": "rentals_rental (person_id)"}


def _replace(schema_editor, made, dropped):
    concurrently = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    for name, columns in made.items():
        if concurrently:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")  # left by an attempt that was cut off
        schema_editor.execute(f"CREATE INDEX {concurrently} IF NOT EXISTS {name} ON {columns}")
    for name in dropped:
        schema_editor.execute(f"DROP INDEX {concurrently} IF EXISTS {name}")


def change_indexes(apps, schema_editor):
    _replace(schema_editor, NEW, SPARE)


def change_back(apps, schema_editor):
    _replace(schema_editor, SPARE, NEW)


class Migration(migrations.Migration):
    atomic = False  # an index of a large table is made while others write

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("rentals", "0035_words_folded_sooner"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(change_indexes, change_back)],
            state_operations=[
                migrations.AlterField(
                    model_name="rental",
                    name="person",
                    field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="rentals", to=settings.AUTH_USER_MODEL, verbose_name="person"),
                ),
                migrations.AddIndex(
                    model_name="rental",
                    index=models.Index(fields=["person", "token", "attempt_at"], name="rental_person_served"),
                ),
            ],
        ),
    ]
