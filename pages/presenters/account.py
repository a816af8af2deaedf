"""What the page of one's own account shows beside the settings: what is recorded of the person, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from accounts.audit import MIN_DAYS, Action
from accounts.models import AuditRecord
from accounts.policy import Access
from rentals.models import Rental

# What is counted together, by the value of `?of=`: the line, a word for it, and the actions.
GROUPS: Mapping[str, tuple[Promise, Promise, tuple[Action, ...]]] = {
    "codes": (
        gettext_lazy("Codes that you saw, revealed, copied or played"),
        gettext_lazy("Codes"),
        (Action.READ, Action.REVEAL, Action.COPY, Action.LISTEN),
    ),
    "sign-ins": (
        gettext_lazy("Sign-ins, and tries that failed"),
        gettext_lazy("Sign-ins"),
        (Action.SIGN_IN, Action.SIGN_OUT, Action.SIGN_IN_FAILED, Action.SIGN_IN_THROTTLED, Action.TWO_FACTOR_FAILED),
    ),
}
OTHERS = gettext_lazy("All else that you did: orders, exports, changes"), gettext_lazy("All else")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A kind of thing that is recorded of the person: how many there are, where they are listed, for how many days they are
    kept, None for good."""

    label: Promise
    count: int
    address: str
    days: int | None


def recorded(access: Access) -> list[Recorded]:
    """Return what is recorded of the person: their rentals in this team, and what the audit log says they did. Two
    queries."""
    rentals = Rental.objects.filter(team=access.team_id, person=access.person_id).count() if access.team_id else 0
    records = AuditRecord.objects.filter(access.own_records()).order_by()
    counts = dict(records.values_list("action").annotate(n=Count("pk")))
    audit_days, listed = max(settings.AUDIT_DAYS, MIN_DAYS), reverse("account_records")
    lines = [
        Recorded(
            gettext_lazy("Numbers that you rented: when, for what, what they cost"),
            rentals,
            f"{reverse('history')}?{urlencode({'person': access.person_id})}",
            None,
        )
    ]
    for name, (label, _word, actions) in GROUPS.items():
        count = sum(counts.pop(action, 0) for action in actions)
        lines.append(Recorded(label, count, f"{listed}?of={name}", audit_days))
    return [*lines, Recorded(OTHERS[0], sum(counts.values()), f"{listed}?of=others", audit_days)]


def actions_of(group: str) -> tuple[tuple[Action, ...], bool] | None:
    """Return the actions of a value of `?of=`, and whether they are those that are left out; None for no such value."""
    if group == "others":
        return tuple(action for _label, _word, actions in GROUPS.values() for action in actions), True
    return (GROUPS[group][2], False) if group in GROUPS else None
