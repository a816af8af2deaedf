from django.db import migrations, models


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
    ]
