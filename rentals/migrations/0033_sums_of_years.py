from django.db import migrations, models, transaction

from rentals import sums


def let_the_table_be_made_anew(apps, schema_editor):
    # As SQLite does to change a column; the triggers are there again after all migrations.
    if schema_editor.connection.vendor == "sqlite":
        sums.remove(schema_editor.execute, "sqlite")


def add_years(apps, schema_editor):
    # On SQLite all sums are counted anew after migrations.
    if schema_editor.connection.vendor == "postgresql":
        with transaction.atomic(schema_editor.connection.alias), schema_editor.connection.cursor() as cursor:
            sums.add_years(cursor.execute)


class Migration(migrations.Migration):
    atomic = False  # what this locks is locked for as long as the sums of months are added up

    dependencies = [
        ("rentals", "0032_message_several_codes"),
    ]

    operations = [
        migrations.RunPython(let_the_table_be_made_anew, migrations.RunPython.noop),
        migrations.AlterField(model_name="spendsum", name="kind", field=models.CharField(max_length=12)),
        migrations.RunPython(add_years, migrations.RunPython.noop),
    ]
