"""The Django admin for people and teams, and the rules that all our admin pages keep."""

from accounts.admin import audit_log, group_rules, invitations, people, teams
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, StaffAdmin, StaffInline

__all__ = [
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "StaffAdmin",
    "StaffInline",
    "audit_log",
    "group_rules",
    "invitations",
    "people",
    "teams",
]
