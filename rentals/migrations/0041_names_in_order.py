from django.db import migrations, models

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
    dependencies = [
        ("rentals", "0040_index_of_exported_codes"),
    ]

    operations = [
        migrations.AddField(
            model_name="service",
            name="sort_name",
            field=models.CharField(db_default="", editable=False, max_length=160),
        ),
        migrations.AlterField(
            model_name="servicefigure",
            name="service",
            field=models.ForeignKey(on_delete=models.deletion.CASCADE, related_name="figures", to="rentals.service"),
        ),
        migrations.RunPython(write_names, migrations.RunPython.noop),
        migrations.RunPython(compare_by_bytes, compare_as_before),
    ]
