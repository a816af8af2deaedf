import django.db.models.deletion
from django.db import migrations, models


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
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="figures", to="rentals.service"),
        ),
    ]
