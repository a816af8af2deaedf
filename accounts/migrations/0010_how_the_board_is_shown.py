from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_audit_once_a_day_and_by_target"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="dense_board",
            field=models.BooleanField(db_default=False, default=False, verbose_name="dense rows on the desk"),
        ),
        migrations.AddField(
            model_name="user",
            name="codes_first",
            field=models.BooleanField(db_default=False, default=False, verbose_name="newest codes first on the desk"),
        ),
    ]
