from django.db import DatabaseError, migrations, models, transaction

# Words and numbers inside texts, each as Django's `icontains`, `contains` and `iexact` ask for them on PostgreSQL.
WORDS = {
    "message_text_words": "rentals_message USING gin (UPPER(text) gin_trgm_ops)",
    "rental_purpose_words": "rentals_rental USING gin (UPPER(purpose) gin_trgm_ops)",
    "rental_phone_words": "rentals_rental USING gin (phone gin_trgm_ops)",
}
CODES = {"message_code_upper": "rentals_message (UPPER(code))"}
MISSING = """
  PostgreSQL's extension pg_trgm could not be added, so searching for words and parts of numbers reads whole tables.
  Let somebody who may do it run CREATE EXTENSION pg_trgm in this database, and then:
  manage.py migrate rentals 0005 && manage.py migrate rentals
"""


def add_indexes(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    wanted = dict(CODES)
    try:
        with transaction.atomic(connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        wanted |= WORDS
    except DatabaseError:
        print(MISSING)
    for name, columns in wanted.items():
        schema_editor.execute(f"CREATE INDEX {name} ON {columns}")


def drop_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in {**CODES, **WORDS}:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):

    dependencies = [
        ('rentals', '0005_history_indexes'),
    ]

    operations = [
        # For the job that deletes messages after their time.
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['at'], name='message_time'),
        ),
        migrations.RunPython(add_indexes, drop_indexes),
    ]
