"""Which tables a request writes to: a GET changes nothing but the session."""

import re
from typing import Any

from accounts.models import AuditRecord
from rentals import code_access

# The session itself, and when and from where it was seen last.
SESSION_TABLES = {"django_session", "usersessions_usersession"}
# What a page that shows a code writes: that it was seen. A look is a GET, and each has a name on it.
SEEN = set(code_access.SEEN)
AUDIT_LOG = AuditRecord._meta.db_table
_WRITE = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+"?(\w+)"?', re.IGNORECASE)


class Writes:
    """Notes the tables that statements write to, as a wrapper of `connection.execute_wrapper`."""

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self._record_before = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if match := _WRITE.match(sql):
            if match[1] == AUDIT_LOG and AUDIT_LOG not in self.tables:
                self._record_before = AuditRecord.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            self.tables.add(match[1])
        return execute(sql, params, many, context)

    def beside_the_session(self) -> set[str]:
        """Return the tables but those of the session, and of the audit log where it only says that codes were seen."""
        tables = self.tables - SESSION_TABLES
        if AUDIT_LOG in tables:
            actions = AuditRecord.objects.filter(pk__gt=self._record_before).values_list("action", flat=True)
            if set(actions) <= SEEN:
                tables.remove(AUDIT_LOG)
        return tables
