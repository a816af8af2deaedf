from django.db import migrations, models

ON_RENTALS = ("cancel", "copy", "hand_over", "listen", "order", "read", "reveal")
OTHERS = " AND ".join(f"NOT (action = '{action}')" for action in ON_RENTALS)
NEW = {
    "audit_address": "accounts_auditrecord (address)",
    "audit_team_others": f"accounts_auditrecord (team_id, id DESC) WHERE {OTHERS}",
}


def make_indexes(apps, schema_editor):
    concurrently = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    for name, columns in NEW.items():
        if concurrently:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")  # left by an attempt that was cut off
        schema_editor.execute(f"CREATE INDEX {concurrently} IF NOT EXISTS {name} ON {columns}")


def drop_indexes(apps, schema_editor):
    concurrently = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    for name in NEW:
        schema_editor.execute(f"DROP INDEX {concurrently} IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False  # an index of a large table is made while others write

    dependencies = [
        ('accounts', '0014_single_sign_on'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(make_indexes, drop_indexes)],
            state_operations=[
                migrations.AddIndex(
                    model_name='auditrecord',
                    index=models.Index(fields=['address'], name='audit_address'),
                ),
                migrations.AddIndex(
                    model_name='auditrecord',
                    index=models.Index(condition=models.Q(*(models.Q(('action', action), _negated=True) for action in ON_RENTALS)), fields=['team', '-id'], name='audit_team_others'),
                ),
            ],
        ),
    ]
