"""The one way an audit record is written, and what it says in words."""

import contextvars
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditRecord, Team, User

# What happened, in words. An action that is not here, such as a model's `token_change`, is shown as it is.
ACTIONS: Mapping[str, Promise] = {
    "sign_in": _("Signed in"),
    "sign_out": _("Signed out"),
    "sign_in_failed": _("Sign-in failed"),
    "sign_in_throttled": _("Sign-in stopped after too many tries"),
    "second_step_failed": _("Second step failed"),
    "second_step_added": _("Second step added"),
    "second_step_removed": _("Second step removed"),
    "second_step_reset": _("Second step taken off the account"),
    "recovery_codes_made": _("Recovery codes made"),
    "password_changed": _("Password changed"),
    "password_reset": _("Password set by a link"),
    "password_link": _("Password link made"),
    "sessions_ended": _("Sessions ended"),
    "order": _("Ordered"),
    "cancel": _("Cancelled an order"),
    "reveal": _("Revealed a code"),
    "export": _("Exported"),
    "audit_export": _("Exported the audit record"),
    "invite": _("Invited"),
    "invite_withdrawn": _("Invitation withdrawn"),
    "join": _("Joined the team"),
    "role": _("Role changed"),
    "limits": _("Limits changed"),
    "added": _("Added to the team"),
    "removed": _("Removed from the team"),
    "deactivated": _("Account deactivated"),
    "activated": _("Account activated"),
    "team_settings": _("Team settings changed"),
    "team_services": _("Allowed services changed"),
    "token_add": _("Token added"),
    "token_change": _("Token changed"),
    "token_rotate": _("Token's value replaced"),
    "token_rotate_refused": _("Token's new value refused"),
    "token_pause": _("Token paused"),
    "token_resume": _("Token resumed"),
    "token_check": _("Token checked"),
    "callback_replace": _("Callback address replaced"),
    "callback_end": _("Replaced callback addresses ended"),
    "network_change": _("Network changed"),
    "user_add": _("Person added"),
    "user_change": _("Person changed"),
    "team_add": _("Team added"),
    "team_change": _("Team changed"),
}
# The database keeps what is younger, whatever anybody asks for.
LEAST_DAYS = 30

_request: contextvars.ContextVar[HttpRequest | None] = contextvars.ContextVar("audited_request", default=None)


@contextmanager
def during(request: HttpRequest) -> Iterator[None]:
    """Records that are written meanwhile are from where `request` came."""
    before = _request.set(request)
    try:
        yield
    finally:
        _request.reset(before)


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
    request = request or _request.get()
    return AuditRecord.objects.create(
        action=action,
        person=person,
        team=team,
        target=target[:120],
        detail=dict(detail or {}),
        address=request.META.get("REMOTE_ADDR") or None if request else None,
    )


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """Return what differs as `{name: [before, after]}`."""
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


def delete_old(*, batch: int = 1000) -> int:
    """Delete the records past their own retention, `AUDIT_DAYS`. Returns how many were deleted."""
    cutoff = timezone.now() - timedelta(days=max(settings.AUDIT_DAYS, LEAST_DAYS))
    deleted = 0
    while old := list(AuditRecord.objects.filter(at__lt=cutoff).order_by("at").values_list("pk", flat=True)[:batch]):
        with _retention_ends(cutoff):
            # Past the model, which deletes nothing: this is the one place that may.
            deleted += AuditRecord.objects.filter(pk__in=old)._raw_delete("default")
    return deleted


@contextmanager
def _retention_ends(cutoff: datetime) -> Iterator[None]:
    """Let this transaction delete records from before `cutoff`. The database lets nobody else, and never the young ones."""
    with transaction.atomic(), connection.cursor() as cursor:
        at = connection.ops.adapt_datetimefield_value(cutoff)
        cursor.execute("INSERT INTO accounts_auditretention (cutoff) VALUES (%s)", [at])
        yield
        cursor.execute("DELETE FROM accounts_auditretention")
