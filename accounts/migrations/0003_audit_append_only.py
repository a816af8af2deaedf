"""The database itself refuses to change the audit record, and to delete what is younger than 30 days."""

from django.db import migrations

POSTGRESQL = """
CREATE FUNCTION accounts_auditrecord_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '30 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The audit record cannot be changed.' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER accounts_auditrecord_append_only BEFORE UPDATE OR DELETE ON accounts_auditrecord
    FOR EACH ROW EXECUTE FUNCTION accounts_auditrecord_append_only();
"""
POSTGRESQL_BACK = """
DROP TRIGGER accounts_auditrecord_append_only ON accounts_auditrecord;
DROP FUNCTION accounts_auditrecord_append_only();
"""
# On SQLite deleting is left to the model: a program that can write the file can drop a trigger as well, and the tests that
# empty their tables between two runs do it by DELETE.
SQLITE = """
CREATE TRIGGER accounts_auditrecord_append_only BEFORE UPDATE ON accounts_auditrecord
BEGIN
    SELECT RAISE(ABORT, 'The audit record cannot be changed.');
END
"""
SQLITE_BACK = "DROP TRIGGER accounts_auditrecord_append_only"


def _run(postgresql, sqlite):
    def run(apps, schema_editor):
        schema_editor.execute(postgresql if schema_editor.connection.vendor == "postgresql" else sqlite)

    return run


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_limits_and_invitations")]

    operations = [migrations.RunPython(_run(POSTGRESQL, SQLITE), _run(POSTGRESQL_BACK, SQLITE_BACK))]
