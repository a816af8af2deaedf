"""What managers do to the people of their team: roles, budgets, leaving, sessions, password links.

Each function asks `accounts.policy`, keeps the team's last manager, writes an audit record in the same transaction, and
announces the change to the person's open screens. It refuses by raising `NotDone`, with a sentence for the page.
"""

from collections.abc import Mapping

from allauth.account.adapter import get_adapter
from allauth.account.utils import user_pk_to_url_str
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts import audit
from accounts.audit import Action, about
from accounts.models import ApiKey, Invitation, Membership, Role, Team, User
from accounts.policy import Access
from accounts.sign_in.password_reset_tokens import ResetLinks
from lib import announce


class NotDone(Exception):
    """An action is refused. `sentence` tells the person why."""

    def __init__(self, sentence: str | Promise) -> None:
        super().__init__(str(sentence))
        self.sentence = str(sentence)


def change_role(by: User, access: Access, membership: Membership, role: Role) -> None:
    """Give a member another role. Raises `NotDone`."""
    with transaction.atomic():
        _lock(access, membership)
        if membership.user_id == by.pk and not access.is_admin:
            raise NotDone(
                _("Another manager or an admin must change your own role, so that you do not lock yourself out.")
            )
        if membership.source:
            raise NotDone(
                _("This role comes from the groups at the sign-in provider %(provider)s. Change the group there.")
                % {"provider": membership.source}
            )
        if role != Role.MANAGER:
            _refuse_the_last_manager(membership)
        if role == membership.role:
            return
        detail = audit.changes({"role": membership.role}, {"role": role.value})
        membership.role = role
        membership.save(update_fields=["role"])
        if role != Role.MANAGER:
            revoke_invitations(membership.user, membership.team)
        _record(Action.ROLE_CHANGED, by, membership, detail)


def set_budgets(by: User, access: Access, membership: Membership, budgets: Mapping[str, int | None]) -> None:
    """Set the budgets and the rentals per day of a member. Raises `NotDone`."""
    with transaction.atomic():
        _lock(access, membership)
        detail = audit.changes({name: getattr(membership, name) for name in budgets}, budgets)
        if not detail:
            return
        for name in detail:
            setattr(membership, name, budgets[name])
        membership.save(update_fields=list(detail))
        _record(Action.BUDGETS_CHANGED, by, membership, detail)


def add(by: User, access: Access, person: User, role: Role, budgets: Mapping[str, int | None] | None = None) -> None:
    """Add a person to the team that `access` manages. Raises `NotDone`."""
    if access.team is None or not access.manages:
        raise NotDone(_("Only a manager of the team may do this."))
    budgets_set = {name: budget for name, budget in (budgets or {}).items() if budget is not None}
    with transaction.atomic():
        membership, added = Membership.objects.get_or_create(
            user=person, team=access.team, defaults={"role": role, **budgets_set}
        )
        if not added:
            raise NotDone(_("%(person)s is in this team already.") % {"person": person})
        detail = {"role": [None, role.value], **audit.changes({}, budgets_set)}
        _record(Action.ADDED, by, membership, detail)


def remove(by: User, access: Access, membership: Membership) -> None:
    """Remove a member from the team; their account and their other teams stay. Raises `NotDone`."""
    with transaction.atomic():
        _lock(access, membership)
        if membership.user_id == by.pk and not access.is_admin:
            raise NotDone(
                _("Another manager or an admin must remove you from the team, so that you do not lock yourself out.")
            )
        _refuse_the_last_manager(membership)
        revoke_invitations(membership.user, membership.team)
        revoke_keys(by, membership.user, membership.team)
        _record(Action.REMOVED, by, membership, {"role": [membership.role, None]})
        membership.delete()


def deactivate(by: User, access: Access, person: User) -> None:
    """End an account; `by` manages all of its teams. Raises `NotDone`."""
    _require_account_rights(access, person)
    end_account(by, person, team=access.team)


def activate(by: User, access: Access, person: User) -> None:
    """Let a person sign in again. Raises `NotDone`."""
    _require_account_rights(access, person)
    reopen_account(by, person, team=access.team)


@transaction.atomic
def end_account(by: User, person: User, *, team: Team | None = None) -> bool:
    """End an account: its sessions, open screens, password links and invitations. The name stays on what they did.

    The caller has checked the permission of `by`. The last manager of a team and the account of `by` are refused here.
    False where the account was ended already. Raises `NotDone`.
    """
    if person.pk == by.pk:
        raise NotDone(_("This is your own account. Use the pages in the menu at the top right."))
    list(Team.objects.select_for_update(no_key=True, of=("self",)).filter(memberships__user=person).order_by("pk"))
    for membership in person.memberships.select_related("team", "user"):
        _refuse_the_last_manager(membership)
    if not User.objects.filter(pk=person.pk, is_active=True).update(is_active=False):
        return False
    revoke_invitations(person)
    revoke_keys(by, person)
    detail = {"is_active": [True, False], "sessions": end_sessions(person)}
    audit.record(Action.DEACTIVATED, person=by, team=team, target=about(person), detail=detail)
    return True


@transaction.atomic
def reopen_account(by: User, person: User, *, team: Team | None = None) -> bool:
    """Let a person sign in again whose account was ended. False where it was not."""
    if not User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
        return False
    audit.record(Action.ACTIVATED, person=by, team=team, target=about(person), detail={"is_active": [False, True]})
    return True


def no_longer_admin(person: User) -> None:
    """Revoke the invitations that `person` could make only as an admin, and announce it to their screens."""
    manages = Membership.objects.filter(user=person, role=Role.MANAGER).values("team")
    made = Invitation.objects.filter(Invitation.usable(), invited_by=person).exclude(team__in=manages)
    made.update(revoked_at=timezone.now())
    teams = Membership.objects.filter(user=person).values("team")
    ApiKey.objects.filter(person=person, revoked_at=None).exclude(team__in=teams).update(revoked_at=timezone.now())
    announce.person(person.pk)


def sign_out(by: User, access: Access, person: User) -> int:
    """Sign a person out everywhere. Returns how many sessions ended. Raises `NotDone`."""
    with transaction.atomic():
        _require_account_rights(access, person)
        ended = end_sessions(person)
        record_ended_sessions(person, by=by, count=ended, team=access.team)
    return ended


def password_link(by: User, access: Access, person: User) -> str:
    """Return the address at which `person` sets a new password, once and within a day. Raises `NotDone`."""
    _require_account_rights(access, person)
    if not settings.PASSWORDS:
        raise NotDone(_("Passwords are switched off on this desk. Sign in with the button of your provider."))
    if not person.is_active:
        raise NotDone(_("This account is deactivated. Activate it first."))
    key = f"{user_pk_to_url_str(person)}-{ResetLinks().make_token(person)}"
    audit.record(Action.PASSWORD_LINK, person=by, team=access.team, target=about(person))
    address: str = get_adapter().get_reset_password_from_key_url(key)
    return address


def end_sessions(person: User) -> int:
    """End all sessions of `person` and close their open screens. Returns how many sessions there were."""
    sessions = list(UserSession.objects.filter(user=person.pk))
    for session in sessions:
        session.end()
    announce.person(person.pk)
    return len(sessions)


def record_ended_sessions(person: User, *, by: User, count: int, team: Team | None = None, provider: str = "") -> None:
    """Record that sessions of `person` were ended, by a sign-in provider where one is named, and announce it to their
    screens."""
    detail: dict[str, object] = {"sessions": count, **({"single sign-on": provider} if provider else {})}
    audit.record(Action.SESSIONS_ENDED, person=by, team=team, target=about(person), detail=detail)
    announce.person(person.pk)


def _lock(access: Access, membership: Membership) -> None:
    """Lock the team's roles until the transaction ends, and read the membership again. Raises `NotDone`."""
    if not access.manages or membership.team_id != access.team_id:
        raise NotDone(_("Only a manager of the team may do this."))
    Team.objects.select_for_update(no_key=True).get(pk=membership.team_id)
    membership.refresh_from_db()


def _refuse_the_last_manager(membership: Membership) -> None:
    """Raise `NotDone` where the team has no other active manager. The team is locked by the caller."""
    if membership.role != Role.MANAGER or not membership.user.is_active:
        return
    others = Membership.objects.filter(team=membership.team_id, role=Role.MANAGER, user__is_active=True)
    if not others.exclude(pk=membership.pk).exists():
        raise NotDone(
            _("%(person)s is the last manager of %(team)s. Make another person a manager first.")
            % {"person": membership.user, "team": membership.team}
        )


def _require_account_rights(access: Access, person: User) -> None:
    """Raise `NotDone` where `access` may not act on the account of `person`."""
    if person.pk == access.person_id:
        raise NotDone(_("This is your own account. Use the pages in the menu at the top right."))
    if not access.may_change_account(person):
        raise NotDone(_("This person also works in another team, or is an admin. Only an admin may do this."))


def revoke_invitations(person: User, team: Team | None = None) -> None:
    """Revoke the open invitations of `person`: they end with the right to make them."""
    made = Invitation.objects.filter(Invitation.usable(), invited_by=person)
    (made.filter(team=team) if team else made).update(revoked_at=timezone.now())


def revoke_keys(by: User, person: User, team: Team | None = None) -> None:
    """Revoke the API keys of `person`: they end with the person, and with the membership."""
    held = ApiKey.objects.filter(person=person, revoked_at=None).select_related("team")
    for key in held.filter(team=team) if team else held:
        audit.record(Action.KEY_REVOKED, person=by, team=key.team, target=about(key))
    (held.filter(team=team) if team else held).update(revoked_at=timezone.now())


def _record(action: Action, by: User, membership: Membership, detail: Mapping[str, object]) -> None:
    audit.record(action, person=by, team=membership.team, target=about(membership.user), detail=detail)
    announce.person(membership.user_id)
