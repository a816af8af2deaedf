import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0011_api_keys"),
        ("rentals", "0027_team_price_limit_of_an_order"),
    ]

    operations = [
        migrations.CreateModel(
            name="CountedDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("changes", models.PositiveIntegerField(default=0)),
                ("counted", models.IntegerField(default=-1)),
                ("waiting", models.PositiveIntegerField(default=0)),
                ("at", models.DateTimeField(null=True)),
                ("figures", models.JSONField(default=list)),
                (
                    "team",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.team",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("team", "day"), name="one_count_per_team_and_day")
                ],
            },
        ),
    ]
