from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('rentals', '0026_names_of_fields'),
    ]

    operations = [
        migrations.AddField(
            model_name='rental',
            name='team_max_price',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
