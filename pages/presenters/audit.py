"""The audit log in the reader's words: the target of each action, and its values before and after."""

import json
from collections.abc import Mapping

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.audit import Numbered
from accounts.models import AuditRecord, Membership, Role, Team, User
from lib.formats import dong

# The names of details, as in the settings; others are shown as they are stored.
_LABELS: Mapping[str, object] = {
    **{field.name: field.verbose_name for model in (User, Membership, Team) for field in model._meta.fields},
    "addresses": gettext_lazy("addresses"),
    "amount": gettext_lazy("amount"),
    "answer": gettext_lazy("answer"),
    "asked": gettext_lazy("filter"),
    "expires_at": gettext_lazy("expires at"),
    "background": gettext_lazy("in the background"),
    "by": gettext_lazy("signed in with"),
    "codes": gettext_lazy("codes and texts are sent"),
    "days": gettext_lazy("days"),
    "events": gettext_lazy("events"),
    "for": gettext_lazy("for whom"),
    "invited by": gettext_lazy("invited by"),
    "kind": gettext_lazy("kind"),
    "kinds": gettext_lazy("kind"),
    "note": gettext_lazy("note"),
    "price": gettext_lazy("price"),
    "person": gettext_lazy("person"),
    "purpose": gettext_lazy("purpose"),
    "rental": gettext_lazy("rental"),
    "rentals": gettext_lazy("rentals"),
    "rows": gettext_lazy("rows"),
    "scopes": gettext_lazy("scopes"),
    "service": gettext_lazy("service"),
    "services": gettext_lazy("services allowed"),
    "sessions": gettext_lazy("sessions"),
    "single sign-on": gettext_lazy("single sign-on"),
    # Of an order; the setting of a team has the name of its field.
    "team_max_price": gettext_lazy("the team's max price"),
    "token": gettext_lazy("token"),
}
_MONEY = {"amount", "budget_day", "budget_month", "low_balance", "max_price", "price", "team_max_price"}
# How a person signed in, or which two-factor method it is about.
_WAYS_IN = {"by", "kind", "kinds"}
_WAYS: Mapping[str, object] = {
    "password": gettext_lazy("password"),
    "totp": gettext_lazy("authenticator app"),
    "webauthn": gettext_lazy("passkey"),
    "recovery_codes": gettext_lazy("recovery codes"),
}


def target(record: AuditRecord) -> tuple[str, str]:
    """Return the target of the record in the reader's words, and the address of its page, `""` where it has none."""
    if read := audit.read_target(record.target):
        kind, number = read
        return numbered(kind, number), reverse("rental", args=[number]) if kind == Numbered.RENTAL else ""
    return history() if record.target == audit.ALL_RENTALS else record.target, ""


def history() -> str:
    """Return the target `audit.ALL_RENTALS` in the reader's words."""
    return _("history")


def numbered(kind: Numbered, number: int) -> str:
    """Return the target with this number in the reader's words."""
    match kind:
        case Numbered.RENTAL:
            return _("rental %(n)s") % {"n": number}
        case Numbered.FILE:
            return _("file %(n)s") % {"n": number}
    return f"{kind} {number}"


def details(record: AuditRecord) -> list[tuple[str, str, str | None]]:
    """Return the details as (name, value or value before, value after or None)."""
    detail = record.detail if isinstance(record.detail, dict) else {}
    lines: list[tuple[str, str, str | None]] = []
    for name, value in detail.items():
        label = str(_LABELS.get(name, name.replace("_", " ")))
        if isinstance(value, list) and len(value) == 2 and name != "by":
            lines.append((label, _plain(value[0], name), _plain(value[1], name)))
        elif value not in ("", None, [], {}):
            lines.append((label, _plain(value, name), None))
    return lines


def _plain(value: object, name: str) -> str:
    if value is None or value == "":
        return "–"
    if name in _MONEY and isinstance(value, int):
        return dong(value)
    if name == "role" and value in Role.values:
        return str(Role(value).label)
    if name in _WAYS_IN:
        ways = value if isinstance(value, list) else [value]
        return ", ".join(str(_WAYS.get(str(way), way)) for way in ways) or "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "–"
    return json.dumps(value, ensure_ascii=False)[:200] if isinstance(value, dict) else str(value)
