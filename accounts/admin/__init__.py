"""The Django admin for people and teams, and the rules that all our admin pages keep."""

from accounts.admin import group_rules, invitations, people, records, teams
from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline, StaffAdmin, StaffInline

__all__ = [
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "StaffAdmin",
    "StaffInline",
    "group_rules",
    "invitations",
    "people",
    "records",
    "teams",
]
