"""Only the job that ends the audit record's retention deletes from it, and nothing empties it.

A transaction that deletes must say so first, by a row in `accounts_auditretention`; what is younger than 30 days
stays all the same. PostgreSQL refuses TRUNCATE; SQLite refuses DELETE, and INSERT OR REPLACE, which is one in disguise.
"""

from django.db import migrations

COMMON = "CREATE TABLE accounts_auditretention (cutoff {timestamp} NOT NULL)"
POSTGRESQL = """
CREATE OR REPLACE FUNCTION accounts_auditrecord_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < now() - interval '30 days'
           AND EXISTS (SELECT FROM accounts_auditretention WHERE OLD.at < cutoff) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'The audit record cannot be changed.' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER accounts_auditrecord_not_emptied BEFORE TRUNCATE ON accounts_auditrecord
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_auditrecord_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER accounts_auditrecord_not_emptied ON accounts_auditrecord;
CREATE OR REPLACE FUNCTION accounts_auditrecord_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The audit record cannot be changed.' USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""
SQLITE = [
    """
    CREATE TRIGGER accounts_auditrecord_not_deleted BEFORE DELETE ON accounts_auditrecord
    WHEN OLD.at >= datetime('now', '-30 days')
        OR NOT EXISTS (SELECT 1 FROM accounts_auditretention WHERE OLD.at < cutoff)
    BEGIN
        SELECT RAISE(ABORT, 'The audit record cannot be changed.');
    END
    """,
    """
    CREATE TRIGGER accounts_auditrecord_not_replaced BEFORE INSERT ON accounts_auditrecord
    WHEN EXISTS (SELECT 1 FROM accounts_auditrecord WHERE id = NEW.id)
    BEGIN
        SELECT RAISE(ABORT, 'The audit record cannot be changed.');
    END
    """,
]


def _forwards(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(COMMON.format(timestamp="timestamptz"))
        schema_editor.execute(POSTGRESQL)
    else:
        for statement in [COMMON.format(timestamp="datetime"), *SQLITE]:
            schema_editor.execute(statement)


def _backwards(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL_BACK)
    else:
        for name in ("not_deleted", "not_replaced"):
            schema_editor.execute(f"DROP TRIGGER accounts_auditrecord_{name}")
    schema_editor.execute("DROP TABLE accounts_auditretention")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_preferences_per_person")]

    operations = [migrations.RunPython(_forwards, _backwards)]
