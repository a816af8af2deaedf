from django.db import migrations

from rentals.models.plain_text import postgresql_expression

WORDS = {
    "message_text_plain": ("rentals_message", "text"),
    "rental_purpose_plain": ("rentals_rental", "purpose"),
}
# What the search asked for before.
BEFORE = {
    "message_text_words": "rentals_message USING gin (UPPER(text) gin_trgm_ops)",
    "rental_purpose_words": "rentals_rental USING gin (UPPER(purpose) gin_trgm_ops)",
}


def _has_trigrams(connection):
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        return cursor.fetchone() is not None


def add_indexes(apps, schema_editor):
    if not _has_trigrams(schema_editor.connection):
        return
    for name, (table, column) in WORDS.items():
        words = f"{table} USING gin (({postgresql_expression(column)}) gin_trgm_ops)"
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")  # left by an attempt that was cut off
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {words}")
    for name in BEFORE:
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


def restore_indexes(apps, schema_editor):
    if not _has_trigrams(schema_editor.connection):
        return
    for name, words in BEFORE.items():
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {words}")
    for name in WORDS:
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):
    atomic = False  # an index of a large table is made while others write

    dependencies = [("rentals", "0020_newer_prefixes")]

    operations = [migrations.RunPython(add_indexes, restore_indexes)]
