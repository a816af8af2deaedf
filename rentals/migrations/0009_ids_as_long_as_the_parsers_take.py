from django.db import migrations, models


class Widen(migrations.AlterField):
    """A longer text column. PostgreSQL keeps the table as it is and builds the indexes with conditions anew; SQLite, which
    knows no lengths and would copy the table, has nothing to do."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    dependencies = [
        ('rentals', '0008_background_jobs_know_their_language'),
    ]

    operations = [
        Widen(
            model_name='callback',
            name='upstream_key',
            field=models.CharField(blank=True, max_length=64, verbose_name='ID'),
        ),
        Widen(
            model_name='network',
            name='upstream_id',
            field=models.CharField(blank=True, max_length=64),
        ),
        Widen(
            model_name='rental',
            name='upstream_id',
            field=models.CharField(blank=True, max_length=64, verbose_name='ID'),
        ),
        Widen(
            model_name='rental',
            name='upstream_key',
            field=models.CharField(blank=True, max_length=64),
        ),
        Widen(
            model_name='service',
            name='sv',
            field=models.CharField(blank=True, max_length=64, verbose_name='SV'),
        ),
        Widen(
            model_name='service',
            name='upstream_id',
            field=models.CharField(max_length=64, verbose_name='ID'),
        ),
    ]
