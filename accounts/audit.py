"""The one way an audit record is written."""

from typing import TYPE_CHECKING

from django.http import HttpRequest

from accounts.models import AuditRecord, Team, User

if TYPE_CHECKING:
    from collections.abc import Mapping


def record(
    action: str,
    *,
    person: User | None = None,
    team: Team | None = None,
    target: str = "",
    request: HttpRequest | None = None,
    detail: "Mapping[str, object] | None" = None,
) -> AuditRecord:
    """Write who did what. `action` is a short word such as `reveal`; `target` names the thing, never a secret."""
    return AuditRecord.objects.create(
        action=action,
        person=person,
        team=team,
        target=target[:120],
        detail=dict(detail or {}),
        address=request.META.get("REMOTE_ADDR") or None if request else None,
    )
