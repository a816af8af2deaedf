from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('rentals', '0014_prices_agreed_to'),
    ]

    # The database has the defaults too: PostgreSQL adds the columns without rewriting the table, and a worker of the old
    # version can still write.
    operations = [
        migrations.AddField(
            model_name='message',
            name='second_code',
            field=models.CharField(blank=True, db_default='', default='', max_length=40),
        ),
        migrations.AddField(
            model_name='message',
            name='is_earlier',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
