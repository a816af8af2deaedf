"""What a person's groups at a provider give them on the desk, read anew at each sign-in there.

Rules give memberships and admin rights, which are marked with the provider they come from and are taken away with the group.
What a person of the desk gave by hand is left alone. The last admin and the last superuser stay.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from unicodedata import normalize

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import audit, memberships
from accounts.audit import Action, about
from accounts.models import GroupRule, Membership, Right, Role, Team, User
from lib import announce

_RANK = {role: rank for rank, role in enumerate((Role.VIEWER, Role.OPERATOR, Role.MANAGER))}
_BATCH = 200


@dataclass(slots=True)
class Granted:
    """What rules give: the best role in each team, by the team's id, and the rights of an admin."""

    roles: dict[int, Role] = field(default_factory=dict)
    is_staff: bool = False
    is_superuser: bool = False

    def __bool__(self) -> bool:
        return bool(self.roles) or self.is_staff


def granted(provider_id: str, groups: Iterable[str]) -> Granted:
    """Return what the rules of a provider give to a person in these groups. One query."""
    total = Granted()
    names = {*(normalize("NFC", name) for name in groups), GroupRule.EVERYONE}
    rules = GroupRule.objects.filter(provider=provider_id, is_on=True)
    # Compared here: a group's name is no pattern, and databases differ in what they take for equal.
    for rule in (each for each in rules if normalize("NFC", each.group) in names):
        if rule.team_id is None:
            total.is_staff = True
            total.is_superuser |= rule.right == Right.SUPERUSER
            continue
        role, before = Role(rule.right), total.roles.get(rule.team_id)
        if before is None or _RANK[role] > _RANK[before]:
            total.roles[rule.team_id] = role
    return total


@transaction.atomic
def apply(person: User, provider_id: str, rights: Granted, *, why: str = "") -> None:
    """Give `person` what `rights` say, and take away what this provider gave before. `why` is for the audit log."""
    teams = set(person.memberships.values_list("team", flat=True)) | set(rights.roles)
    # The order in which `memberships` locks them, too: teams by their number, then the person.
    list(Team.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=teams).order_by("pk"))
    # With the admins where it is about one, in one order: of two who lose the group at once, one must stay.
    concerned = Q(pk=person.pk) | Q(is_staff=True) if rights.is_staff or person.admin_source else Q(pk=person.pk)
    rows = User.objects.select_for_update(no_key=True, of=("self",)).filter(concerned).order_by("pk")
    fresh = next(row for row in rows if row.pk == person.pk)
    detail = {"single sign-on": provider_id, **({"why": why} if why else {})}
    held = {each.team_id: each for each in fresh.memberships.select_related("team", "user")}
    for team_id, membership in held.items():
        if membership.source == provider_id:
            _keep_or_remove(fresh, membership, rights.roles.get(team_id), detail)
    for team in Team.objects.filter(pk__in=set(rights.roles) - set(held)):
        role = rights.roles[team.pk]
        Membership.objects.create(user=fresh, team=team, role=role, source=provider_id)
        _record(Action.ADDED, fresh, team, {"role": [None, role.value], **detail})
    _set_admin(fresh, provider_id, rights, detail)
    person.is_staff, person.is_superuser, person.admin_source = fresh.is_staff, fresh.is_superuser, fresh.admin_source


def _keep_or_remove(person: User, membership: Membership, role: Role | None, detail: dict[str, str]) -> None:
    team, before = membership.team, membership.role
    if role == before:
        return
    if role != Role.MANAGER:
        memberships.revoke_invitations(person, team)
    if role is None:
        memberships.revoke_keys(person, person, team)
        membership.delete()
        _record(Action.REMOVED, person, team, {"role": [before, None], **detail})
    else:
        membership.role = role
        membership.save(update_fields=["role"])
        _record(Action.ROLE_CHANGED, person, team, {"role": [before, role.value], **detail})


def _set_admin(person: User, provider_id: str, rights: Granted, detail: dict[str, str]) -> None:
    """Make the person an admin, or take that away, if their rights are the provider's to give."""
    is_ours = person.admin_source == provider_id or (not person.is_staff and not person.is_superuser)
    before = {"is_staff": person.is_staff, "is_superuser": person.is_superuser}
    after = {"is_staff": rights.is_staff, "is_superuser": rights.is_superuser}
    if not is_ours or before == after:
        return
    others = list(User.objects.filter(is_active=True, is_staff=True).exclude(pk=person.pk))
    for name in ("is_staff", "is_superuser"):
        if before[name] and not after[name] and not any(getattr(other, name) for other in others):
            after[name] = True
            detail = {**detail, "kept": "last admin"}
    after["is_staff"] |= after["is_superuser"]
    # That the last admin is kept is news of a sign-in, and none each time that `end_lapsed` looks.
    if before != after or ("kept" in detail and "why" not in detail):
        audit.record(
            Action.ADMIN_BY_GROUP,
            person=person,
            target=about(person),
            detail={**audit.changes(before, after), **detail},
        )
    if before == after:
        return
    person.is_staff, person.is_superuser = after["is_staff"], after["is_superuser"]
    person.admin_source = provider_id if person.is_staff else ""
    person.save(update_fields=["is_staff", "is_superuser", "admin_source"])
    if not person.is_staff:
        memberships.no_longer_admin(person)
    announce.person(person.pk)


def end_lapsed() -> int:
    """Take away what groups gave to people who have not signed in through the provider for `OIDC_DAYS`.

    Who is deleted at the provider never signs in there again: this ends their API keys, too. Returns how many people it was
    about; the last admin stays one. Two queries where there are none. May run twice and at once.
    """
    cutoff = timezone.now() - timedelta(days=settings.OIDC_DAYS)
    lately = SocialAccount.objects.filter(last_login__gte=cutoff)
    given = Membership.objects.exclude(source="").exclude(
        Exists(lately.filter(user=OuterRef("user"), provider=OuterRef("source")))
    )
    admins = User.objects.exclude(admin_source="").exclude(
        Exists(lately.filter(user=OuterRef("pk"), provider=OuterRef("admin_source")))
    )
    lapsed = {*given.values_list("user", "source")[:_BATCH], *admins.values_list("pk", "admin_source")[:_BATCH]}
    for pk, provider_id in sorted(lapsed):
        person = User.objects.get(pk=pk)
        apply(person, provider_id, Granted(), why=f"no sign-in there for {settings.OIDC_DAYS} days")
    return len(lapsed)


def _record(action: Action, person: User, team: Team, detail: dict[str, object]) -> None:
    audit.record(action, person=person, team=team, target=about(person), detail=detail)
    announce.person(person.pk)
