from django.db import migrations

from rentals import word_index


def make(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        word_index.make(schema_editor.execute)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        word_index.remove(schema_editor.execute)
        for table in ("rentals_message", "rentals_rental"):
            schema_editor.execute(f"DROP TABLE IF EXISTS {table}_words")


class Migration(migrations.Migration):

    dependencies = [("rentals", "0028_counted_days")]

    operations = [migrations.RunPython(make, drop)]
