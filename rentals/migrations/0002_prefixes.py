from django.db import migrations

from rentals import seed_prefixes


def seed(apps, schema_editor):
    seed_prefixes.seed(apps.get_model("rentals", "Network"), apps.get_model("rentals", "Prefix"))


class Migration(migrations.Migration):
    dependencies = [("rentals", "0001_initial")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
