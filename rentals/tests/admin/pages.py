"""What the tests of the Django admin share."""

from typing import Any

from django.urls import reverse

from accounts.models import AuditRecord, Team

VALUE = "4321-0123456789abcdef0123456789abea57"


def at(name: str, *args: object) -> str:
    return reverse(f"admin:rentals_{name}", args=args)


def audited() -> list[str]:
    """What was recorded, but for sign-ins, the oldest first."""
    return list(AuditRecord.objects.exclude(action="sign_in").order_by("pk").values_list("action", flat=True))


def token_form(team: Team, **over: Any) -> dict[str, Any]:
    """The form of a token that is added."""
    return {"name": "Main", "new_value": VALUE, "teams": [team.pk], "waiting_limit": "", **over}
