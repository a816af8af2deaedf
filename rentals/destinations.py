"""Where a team's events go: added, changed, switched, and their secrets replaced. Each leaves its audit record."""

from datetime import timedelta
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts import audit, mail, one_time_keys
from accounts.audit import Action
from accounts.models import Membership, Role, Team, User
from accounts.one_time_keys import Key
from lib.encryption import Secret
from rentals import enqueue
from rentals.models import Delivery, Destination
from rentals.models.destinations import TEST, new_signing_secret

MAX_PER_TEAM = 20
# Both secrets sign for so long, while the receiver is given the new one.
OVERLAP = timedelta(hours=24)
# Kept out of the audit log: a reader of them could post to the receiver, or as the bot.
_SECRETS = frozenset({"address", "secret"})


class NotDone(Exception):
    """What a person asked for is not done. `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def add(team: Team, *, by: User, language: str, form_key: Key | None = None, **fields: Any) -> Destination:
    """Add a destination. A webhook gets a signing secret, to be shown once.

    The same form sent again, with the same `form_key`, adds nothing: it returns what the first one added.
    Raises `NotDone`.
    """
    asked = ["destination", team.pk, fields["kind"], fields["name"]]
    try:
        one_time_keys.raise_if_used(form_key, asked)
        return one_time_keys.once(
            form_key, asked, lambda: _write(team, by=by, language=language, **fields), refusal=NotDone
        )
    except one_time_keys.DoneAlready as done:
        added = Destination.objects.filter(pk=done.made, team=team).first()
        if added is None or done.differs:
            raise NotDone(
                _("This form has added a destination already. Open the page anew to add another one.")
            ) from None
        return added


def _write(team: Team, *, by: User, language: str, **fields: Any) -> Destination:
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if Destination.objects.filter(team=team).count() >= MAX_PER_TEAM:
        raise NotDone(_("A team has at most %(most)s destinations. Delete one first.") % {"most": MAX_PER_TEAM})
    if fields["kind"] == Destination.Kind.WEBHOOK:
        fields["secret"] = new_signing_secret()
    destination = Destination.objects.create(team=team, language=language, **fields)
    _record(Action.DESTINATION_ADD, destination, by, {"kind": destination.kind, **_described(destination)})
    return destination


@transaction.atomic
def change(destination: Destination, *, by: User, **fields: Any) -> bool:
    """Change a destination. False where nothing differs."""
    before, secrets_before = _described(destination), [getattr(destination, name) for name in sorted(_SECRETS)]
    for name, value in fields.items():
        setattr(destination, name, value)
    detail = audit.changes(before, _described(destination))
    if secrets_before != [getattr(destination, name) for name in sorted(_SECRETS)]:
        detail["address"] = ["…", destination.shown_address]
    if not detail:
        return False
    destination.save(update_fields=list(fields))
    _record(Action.DESTINATION_CHANGE, destination, by, detail)
    return True


def _described(destination: Destination) -> dict[str, object]:
    return {
        "name": destination.name,
        "to": destination.shown_address,
        "events": sorted(destination.events),
        "services": sorted(destination.services),
        "for": str(destination.person) if destination.person else "",
        "codes": destination.includes_codes,
    }


@transaction.atomic
def replace_secret(destination: Destination, *, by: User) -> Secret:
    """Give a webhook a new secret, and return it. The one before signs too for 24 hours."""
    destination.old_secret, destination.old_secret_until = destination.secret, timezone.now() + OVERLAP
    secret = destination.secret = new_signing_secret()
    destination.save(update_fields=["secret", "old_secret", "old_secret_until"])
    _record(Action.DESTINATION_SECRET, destination, by)
    return secret


@transaction.atomic
def switch_on(destination: Destination, *, by: User) -> bool:
    """Switch on; what waited is sent, but for codes whose time is over. False where it is on."""
    row = Destination.objects.filter(pk=destination.pk).exclude(off_reason="")
    if not row.update(off_reason="", off_at=None, failing_since=None):
        return False
    _record(Action.DESTINATION_ON, destination, by)
    enqueue.deliver(destination.pk)
    return True


@transaction.atomic
def switch_off(destination: Destination, reason: Destination.OffReason, *, by: User | None = None) -> bool:
    """Switch off: nothing more is written for it, nothing is sent. Its team's managers get an e-mail where no person did
    it. False where it is off."""
    row = Destination.objects.filter(pk=destination.pk, off_reason="")
    if not row.update(off_reason=reason, off_at=timezone.now()):
        return False
    destination.off_reason = reason
    _record(Action.DESTINATION_OFF, destination, by, {"reason": reason})
    if by is None:
        transaction.on_commit(lambda: _tell_managers(destination))
    return True


def _tell_managers(destination: Destination) -> None:
    if not mail.is_set_up():
        return
    managers = Membership.objects.filter(team=destination.team, role=Role.MANAGER, user__is_active=True)
    for membership in managers.exclude(user__email="").select_related("user"):
        with translation.override(membership.user.language or translation.get_language()):
            words = {"name": destination.name, "team": str(destination.team)}
            subject = _("The destination “%(name)s” is switched off") % words
            reason = Destination.OffReason(destination.off_reason).label
            body = _("The team %(team)s sends no more events to “%(name)s”:") % words
            last = _("Once it is well, switch it on again on the page of the team's destinations.")
            mail.send(EmailMessage(subject, f"{body} {reason}.\n\n{last}\n", to=[membership.user.email]))


@transaction.atomic
def delete(destination: Destination, *, by: User) -> None:
    """Delete a destination with its log."""
    _record(Action.DESTINATION_DELETE, destination, by)
    destination.delete()


@transaction.atomic
def send_test(destination: Destination, *, by: User) -> Delivery:
    """Write an event that only says that it is a test, and have it sent. Raises `NotDone`."""
    _raise_if_off(destination)
    _record(Action.DESTINATION_TEST, destination, by)
    now = timezone.now()
    data = {"team": {"id": destination.team_id, "name": destination.team.name}, "person": str(by)}
    delivery = Delivery.objects.create(destination=destination, event=TEST, at=now, next_try=now, data=data)
    enqueue.deliver(destination.pk)
    return delivery


@transaction.atomic
def send_again(delivery: Delivery, *, by: User) -> None:
    """Have a delivery sent once more, under the same id, so that a receiver may know it. Raises `NotDone`."""
    destination, now = delivery.destination, timezone.now()
    _raise_if_off(destination)
    if delivery.drop_after is not None and delivery.drop_after < now:
        raise NotDone(_("The number's time is over: its code is not sent any more."))
    fresh = {"state": Delivery.State.PENDING, "attempts": 0, "next_try": now}
    if Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.State.PENDING).update(**fresh):
        _record(Action.DESTINATION_AGAIN, destination, by, {"event": delivery.event, "id": delivery.webhook_id})
    else:  # it waits for its next try
        Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.PENDING).update(next_try=now)
    enqueue.deliver(destination.pk)


def _raise_if_off(destination: Destination) -> None:
    if not destination.is_on:
        raise NotDone(_("The destination is switched off. Switch it on first."))


def _record(action: Action, destination: Destination, by: User | None, detail: dict[str, Any] | None = None) -> None:
    audit.record(action, person=by, team=destination.team, target=audit.about(destination), detail=detail)
