from django.db import migrations, models

from rentals import missing_refunds


def install(apps, schema_editor):
    # SQLite's are made after all migrations: it changes a table by making it anew.
    if schema_editor.connection.vendor == "postgresql":
        missing_refunds.install(schema_editor.execute, "postgresql")


def remove(apps, schema_editor):
    missing_refunds.remove(schema_editor.execute, schema_editor.connection.vendor)


class Migration(migrations.Migration):

    dependencies = [
        ("rentals", "0036_people_served"),
    ]

    operations = [
        migrations.AddField(
            model_name="rental",
            name="refund_missing",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(install, remove),
    ]
