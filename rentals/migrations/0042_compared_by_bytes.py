from django.db import migrations

from rentals.models.catalog import in_order


def compare_by_bytes(apps, schema_editor):
    # By which the index finds the sums of a payer, whose names begin alike. It is made anew: orders wait for a second where
    # there are a million rentals.
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE rentals_spendsum ALTER COLUMN name TYPE varchar(160) COLLATE "C"')


def compare_as_before(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE rentals_spendsum ALTER COLUMN name TYPE varchar(160)")


def write_names(apps, schema_editor):
    services = apps.get_model("rentals", "Service").objects.using(schema_editor.connection.alias)
    rows = list(services.only("search_name"))
    for row in rows:
        row.sort_name = in_order(row.search_name)
    services.bulk_update(rows, ["sort_name"], batch_size=500)


class Migration(migrations.Migration):
    atomic = False  # each table is locked by its own statement alone

    dependencies = [
        ("rentals", "0041_names_in_order"),
    ]

    operations = [
        migrations.RunPython(write_names, migrations.RunPython.noop),
        migrations.RunPython(compare_by_bytes, compare_as_before),
    ]
