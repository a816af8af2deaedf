"""The audit log: `record` alone writes its audit records; `Action`, `about` and `label` give them their words."""

import contextvars
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from django.conf import settings
from django.db import connection, models, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, AuditRecord, Team, User
from lib import batches
from lib.time_zones import desk_day


class Action(models.TextChoices):
    """What was done. The values are stored in `AuditRecord.action` and never change; the labels are for readers."""

    SIGN_IN = "sign_in", _("Signed in")
    SIGN_OUT = "sign_out", _("Signed out")
    SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
    SIGN_IN_THROTTLED = "sign_in_throttled", _("Sign-in stopped after too many tries")
    TWO_FACTOR_FAILED = "second_step_failed", _("Two-factor authentication failed")
    TWO_FACTOR_ADDED = "second_step_added", _("Two-factor method added")
    TWO_FACTOR_REMOVED = "second_step_removed", _("Two-factor method removed")
    TWO_FACTOR_RESET = "second_step_reset", _("Two-factor authentication reset")
    RECOVERY_CODES_MADE = "recovery_codes_made", _("Recovery codes generated")
    PASSWORD_CHANGED = "password_changed", _("Password changed")
    PASSWORD_RESET = "password_reset", _("Password set by a link")
    PASSWORD_LINK = "password_link", _("Password link created")
    EMAIL_CHANGED = "email_changed", _("E-mail address changed")
    NAME_CHANGED = "name_changed", _("Name changed")
    SESSIONS_ENDED = "sessions_ended", _("Sessions ended")
    ORDER = "order", _("Ordered")
    CANCEL = "cancel", _("Cancelled an order")
    HAND_OVER = "hand_over", _("Handed a number over")
    REVEAL = "reveal", _("Revealed a code")
    READ = "read", _("Read a code")
    COPY = "copy", _("Copied a code")
    LISTEN = "listen", _("Played a recording")
    EXPORT = "export", _("Exported")
    AUDIT_EXPORT = "audit_export", _("Exported the audit log")
    INVITE = "invite", _("Invited")
    INVITE_REVOKED = "invite_withdrawn", _("Invitation revoked")
    JOIN = "join", _("Joined the team")
    ROLE_CHANGED = "role", _("Role changed")
    BUDGETS_CHANGED = "limits", _("Budgets changed")
    ADDED = "added", _("Added to the team")
    REMOVED = "removed", _("Removed from the team")
    DEACTIVATED = "deactivated", _("Account deactivated")
    ACTIVATED = "activated", _("Account activated")
    TEAM_SETTINGS = "team_settings", _("Team settings changed")
    TEAM_SERVICES = "team_services", _("Allowed services changed")
    TOKEN_ADD = "token_add", _("Token added")
    TOKEN_ADD_REFUSED = "token_add_refused", _("New token refused")
    TOKEN_CHANGE = "token_change", _("Token changed")
    TOKEN_ROTATE = "token_rotate", _("Token's value replaced")
    TOKEN_ROTATE_REFUSED = "token_rotate_refused", _("Token's new value refused")
    TOKEN_PAUSE = "token_pause", _("Token paused")
    TOKEN_RESUME = "token_resume", _("Token resumed")
    TOKEN_CHECK = "token_check", _("Token checked")
    CALLBACK_REPLACE = "callback_replace", _("Callback address replaced")
    CALLBACK_END = "callback_end", _("Replaced callback addresses revoked")
    BALANCE_ANSWER = "balance_answer", _("Question about a balance answered")
    LEDGER_ENTRY = "ledger_entry", _("Top-up or correction entered")
    LEDGER_TAKE_BACK = "ledger_take_back", _("Ledger line taken back")
    KEY_MADE = "key_made", _("API key made")
    KEY_REVOKED = "key_revoked", _("API key revoked")
    KEY_EXPIRED = "key_expired", _("Expired API key used")
    DESTINATION_ADD = "destination_add", _("Destination added")
    DESTINATION_CHANGE = "destination_change", _("Destination changed")
    DESTINATION_SECRET = "destination_secret", _("Destination's secret replaced")
    DESTINATION_ON = "destination_on", _("Destination switched on")
    DESTINATION_OFF = "destination_off", _("Destination switched off")
    DESTINATION_TEST = "destination_test", _("Test sent to a destination")
    DESTINATION_AGAIN = "destination_again", _("Event sent again")
    DESTINATION_DELETE = "destination_delete", _("Destination deleted")
    NETWORK_CHANGE = "network_change", _("Network changed")
    PROVIDER_LINKED = "provider_linked", _("Connected with a sign-in provider, by e-mail")
    PROVIDER_CONNECTED = "provider_connected", _("Connected with a sign-in provider")
    PROVIDER_DISCONNECTED = "provider_disconnected", _("Disconnected from a sign-in provider")
    ADMIN_BY_GROUP = "admin_by_group", _("Admin rights changed by sign-in groups")
    GROUP_RULE_ADD = "grouprule_add", _("Group rule added")
    GROUP_RULE_CHANGE = "grouprule_change", _("Group rule changed")
    BREAK_GLASS_LINK = "break_glass_link", _("Emergency sign-in link made on the machine")
    BREAK_GLASS_USED = "break_glass_used", _("Signed in by an emergency link")
    USER_ADD = "user_add", _("Person added")
    USER_CHANGE = "user_change", _("Person changed")
    TEAM_ADD = "team_add", _("Team added")
    TEAM_CHANGE = "team_change", _("Team changed")


class Numbered(StrEnum):
    """The things that `AuditRecord.target` names by their number, as in `rental 7`. All others it names by their text."""

    RENTAL = "rental"
    FILE = "file"
    INVITATION = "invitation"
    MESSAGE = "message"
    CALLBACK = "callback"


# Models whose word in `AuditRecord.target` is not their name.
_STORED_WORDS = {"backgroundjob": Numbered.FILE}
# The target of an export: the rentals that a search of the history found.
ALL_RENTALS = "rentals"
MAX_TARGET = 120  # characters
# The database refuses to delete a younger record, whatever AUDIT_DAYS says.
MIN_DAYS = 30

# What was recorded today, as far as this process knows: so that most page views write nothing, and ask nothing.
_MAX_REMEMBERED = 100_000
_remembered: set["OncePerDay"] = set()
_remembered_day: date | None = None

_request: contextvars.ContextVar[HttpRequest | None] = contextvars.ContextVar("audited_request", default=None)


@contextmanager
def during(request: HttpRequest) -> Iterator[None]:
    """Write the address that `request` came from into the records of the block."""
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
    detail: Mapping[str, object] | None = None,
) -> AuditRecord:
    """Write who did what. `action` is an `Action`; `target` comes from `about` and never holds a secret."""
    request = request or _request.get()
    return AuditRecord.objects.create(
        action=action,
        person=person,
        team=team,
        target=target[:MAX_TARGET],
        detail=dict(detail or {}),
        address=_address_of(request),
        key_id=_key_of(request),
    )


class OncePerDay(NamedTuple):
    """What is recorded once a day, however often it is done: who did what in which team (their ids), on which target, and
    with which API key."""

    action: Action
    person_id: int
    team_id: int
    target: str
    key_id: int | None = None


def record_once_a_day(done: Iterable[OncePerDay], *, request: HttpRequest | None = None) -> None:
    """Write a record of each for today, unless there is one. At most one query, none for what this process has recorded."""
    global _remembered_day
    today = desk_day()
    if _remembered_day != today or len(_remembered) > _MAX_REMEMBERED:
        _remembered.clear()
        _remembered_day = today
    request = request or _request.get()
    key_id = _key_of(request)
    fresh = {one._replace(key_id=key_id) if key_id else one for one in done} - _remembered
    if not fresh:
        return
    in_order = sorted(fresh, key=lambda one: (*one[:4], one.key_id or 0))
    rows = [AuditRecord(**one._asdict(), day=today, address=_address_of(request)) for one in in_order]
    AuditRecord.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    transaction.on_commit(lambda: _remembered.update(fresh))


def forget_recorded() -> None:
    """Forget what this process has recorded today: the next time, the database is asked."""
    _remembered.clear()


def current_address() -> str | None:
    """Return the address that the request came from, inside of `during`."""
    return _address_of(_request.get())


def _address_of(request: HttpRequest | None) -> str | None:
    return request.META.get("REMOTE_ADDR") or None if request else None


def _key_of(request: HttpRequest | None) -> int | None:
    """Return the id of the API key that the request came with: see `accounts.api_keys.authenticate`."""
    key: ApiKey | None = getattr(request, "api_key", None)
    return key.pk if key else None


def about(row: models.Model) -> str:
    """Return what `AuditRecord.target` says of a row: its kind and number, as in `rental 7`, or its text, as in `Mai`.

    A person is named with their number, as in `Linh Trần (linh) #7`: names can be changed.
    """
    model = row._meta.model_name or ""
    kind = _STORED_WORDS.get(model, model)
    if isinstance(row, User):
        number = f" #{row.pk}"
        return str(row)[: MAX_TARGET - len(number)] + number
    return f"{kind} {row.pk}" if kind in set(Numbered) else str(row)


def read_target(target: str) -> tuple[Numbered, int] | None:
    """Return the kind and the number that `about` wrote; None for a target that is a text."""
    kind, _space, number = target.partition(" ")
    if kind in set(Numbered) and number.isdecimal():
        return Numbered(kind), int(number)
    return None


def label(action: str) -> str:
    """Return the label of an action in the reader's language. An old record may have an action that is no `Action`: it is
    returned as it is stored.
    """
    try:
        return str(Action(action).label)
    except ValueError:
        return action


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """Return what differs as `{name: [before, after]}`."""
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


def delete_old(*, batch: int = 1000) -> int:
    """Delete the records past their own retention, `AUDIT_DAYS`. Returns how many were deleted."""
    cutoff = timezone.now() - timedelta(days=max(settings.AUDIT_DAYS, MIN_DAYS))
    deleted = 0
    for old in batches.oldest_first(AuditRecord.objects.filter(at__lt=cutoff), batch):
        with _retention_ends(cutoff):
            # Past the model, which deletes nothing: this is the one place that may.
            deleted += AuditRecord.objects.filter(pk__in=[pk for _at, pk in old])._raw_delete("default")
    return deleted


@contextmanager
def _retention_ends(cutoff: datetime) -> Iterator[None]:
    """Let this transaction delete records from before `cutoff`. The database refuses every other deletion."""
    with transaction.atomic(), connection.cursor() as cursor:
        at = connection.ops.adapt_datetimefield_value(cutoff)
        cursor.execute("INSERT INTO accounts_auditretention (cutoff) VALUES (%s)", [at])
        yield
        cursor.execute("DELETE FROM accounts_auditretention")
