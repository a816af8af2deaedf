from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rentals", "0038_find_missing_refunds"),
    ]

    operations = [
        migrations.AddField(
            model_name="exportedcode",
            name="codes",
            field=models.BigIntegerField(db_default=1, default=1),
        ),
    ]
