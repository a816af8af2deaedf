from typing import Any

from django.db import migrations, models

TOURS = ["admin", "manager", "operator", "viewer"]


def know_the_desk(apps: Any, schema_editor: Any) -> None:
    """Give no tour to the people who have signed in before there were tours."""
    apps.get_model("accounts", "User").objects.exclude(last_login=None).update(tours_seen=TOURS)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_api_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="time_zone",
            field=models.CharField(blank=True, db_default="", max_length=40, verbose_name="time zone"),
        ),
        migrations.AddField(
            model_name="user",
            name="tours_seen",
            field=models.JSONField(blank=True, db_default=[], default=list, verbose_name="tours seen"),
        ),
        migrations.RunPython(know_the_desk, migrations.RunPython.noop),
    ]
