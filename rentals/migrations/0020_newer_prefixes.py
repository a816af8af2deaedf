from django.db import migrations

from rentals.migrations import _seed_prefixes


def seed(apps, schema_editor):
    _seed_prefixes.seed(apps.get_model("rentals", "Network"), apps.get_model("rentals", "Prefix"))


class Migration(migrations.Migration):
    dependencies = [("rentals", "0019_money_spent_per_figure")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
