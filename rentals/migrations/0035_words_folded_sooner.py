from django.db import migrations

from rentals.models.plain_text import FROM, MARKS, TO, postgresql_expression

NEW = {
    "message_text_folded": ("rentals_message", "text"),
    "rental_purpose_folded": ("rentals_rental", "purpose"),
}
# What the search asked for before.
BEFORE = {
    "message_text_plain": ("rentals_message", "text"),
    "rental_purpose_plain": ("rentals_rental", "purpose"),
}


def _expression_before(column):
    return f"TRANSLATE(LOWER({column}), '{FROM}{MARKS}', '{TO}')"


def _has_trigrams(connection):
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        return cursor.fetchone() is not None


def _replace(schema_editor, made, expression, dropped):
    if not _has_trigrams(schema_editor.connection):
        return
    for name, (table, column) in made.items():
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")  # left by an attempt that was cut off
        schema_editor.execute(
            f"CREATE INDEX CONCURRENTLY {name} ON {table} USING gin (({expression(column)}) gin_trgm_ops)"
        )
        # The planner knows how rare a text is once the new expression has statistics.
        schema_editor.execute(f"ANALYZE {table}")
    for name in dropped:
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


def change_indexes(apps, schema_editor):
    _replace(schema_editor, NEW, postgresql_expression, BEFORE)


def change_back(apps, schema_editor):
    _replace(schema_editor, BEFORE, _expression_before, NEW)


class Migration(migrations.Migration):
    atomic = False  # an index of a large table is made while others write

    dependencies = [("rentals", "0034_machine")]

    operations = [migrations.RunPython(change_indexes, change_back)]
