"""Who may do and see what. Every page, fragment, stream and export asks here and nowhere else.

| may                                     | viewer | operator           | manager    | admin (staff)  |
|-----------------------------------------|--------|--------------------|------------|----------------|
| see the team's rentals                  | yes    | yes                | yes        | yes            |
| read the codes of own rentals           | masked | yes                | yes        | yes            |
| read the codes of others' rentals       | masked | if the team shares | yes        | yes            |
| read others' codes that faded           | masked | masked             | masked     | masked         |
| rent, rent again                        | no     | yes                | yes        | yes            |
| cancel a queued order                   | no     | own                | yes        | yes            |
| reveal a masked code (recorded)         | no     | yes                | yes        | yes            |
| hand a waiting number over              | no     | own                | yes        | yes            |
| see who saw a code                      | no     | own                | yes        | yes            |
| export                                  | no     | no                 | yes        | yes            |
| see who is in the team                  | yes    | yes                | yes        | yes            |
| invite, change roles, budgets, settings | no     | no                 | yes        | yes            |
| book top-ups, corrections, answers      | no     | no                 | yes        | yes            |
| read and export the audit log           | no     | no                 | yes        | yes            |
| read what is recorded of oneself        | yes    | yes                | yes        | yes            |
| deactivate, end sessions, password link | no     | no                 | own team's | not superusers |
| hold API keys that act as themselves    | no     | yes                | yes        | yes            |
| see and revoke others' API keys         | no     | no                 | yes        | yes            |
| set tokens up, hold them                | no     | no                 | no         | yes            |

An admin has these rights in every team; all others only in the teams that they are a member of. "Own team's": a manager
cannot act on the account of an admin, or of a person who is also in a team that the manager does not manage. Codes fade
some minutes after they came, where the team says so. In a team that requires two-factor
authentication, a person without it has no rights; an admin has none anywhere while any team requires it.

What allauth's pages do, and by what rule, stands in `docs/security.md`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol, TypedDict

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django_stubs_ext import WithAnnotations

from accounts.audit import Action
from accounts.models import Membership, Role, Team, User
from lib.web.query_params import whole_number

# What a manager reads of the team's people in the audit log, beside what was done in the team itself.
SIGN_IN_ACTIONS = (
    Action.SIGN_IN,
    Action.SIGN_OUT,
    Action.SIGN_IN_FAILED,
    Action.SIGN_IN_THROTTLED,
    Action.TWO_FACTOR_FAILED,
    Action.TWO_FACTOR_ADDED,
    Action.TWO_FACTOR_REMOVED,
    Action.RECOVERY_CODES_MADE,
    Action.PASSWORD_CHANGED,
    Action.PASSWORD_RESET,
    Action.EMAIL_CHANGED,
    Action.NAME_CHANGED,
    Action.SESSIONS_ENDED,
)


# So many teams are read for a person's team switch. Who may work in more looks the others up on a page of their own.
MAX_TEAMS = 50


class TeamRental(Protocol):
    """What the rules read of a rental: whose it is, and when its code came."""

    @property
    def team_id(self) -> int | None: ...
    @property
    def person_id(self) -> int | None: ...
    @property
    def received_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Access:
    """What one person may do in the team they are working in now. `team` is None where they have none, or where it
    requires two-factor authentication and they have none. `teams` are those they may work in: some of them, where they are
    more than `MAX_TEAMS`."""

    person_id: int
    is_admin: bool
    team: Team | None
    role: Role | None
    teams: tuple[Team, ...] = ()
    needs_two_factor: bool = False
    # In that team; an admin may have none. Not in the representation, by which the live stream tells people apart.
    membership: Membership | None = field(default=None, repr=False, compare=False)

    @property
    def team_id(self) -> int | None:
        return self.team.pk if self.team else None

    @property
    def has_many_teams(self) -> bool:
        """Whether they have more teams than a list is good for."""
        return len(self.teams) > MAX_TEAMS

    def reachable_teams(self) -> QuerySet[Team]:
        """Return all the teams that they may work in, by name."""
        return Team.objects.filter(Q() if self.is_admin else Q(memberships__user=self.person_id)).order_by("name", "pk")

    def reachable_team(self, number: str | None) -> Team | None:
        """Return the team of a number from a form or an address, if they may work in it."""
        return self.reachable_teams().filter(pk=whole_number(number) or 0).first()

    @property
    def may_rent(self) -> bool:
        return self.team is not None and self.role in {Role.OPERATOR, Role.MANAGER}

    @property
    def manages(self) -> bool:
        """Whether the person invites, changes roles, budgets and settings, and reads the audit log."""
        return self.team is not None and self.role == Role.MANAGER

    @property
    def tour(self) -> str:
        """Which tour of the desk is theirs: their role's, the admin's, or `""` where they have no team."""
        if self.team is None or self.role is None:
            return ""
        return "admin" if self.is_admin else self.role.value

    @property
    def may_export(self) -> bool:
        return self.manages

    @property
    def holds_tokens(self) -> bool:
        """Whether they add tokens, make callback addresses and say which teams rent on which token."""
        return self.is_admin and self.team is not None

    @property
    def may_hold_keys(self) -> bool:
        """Whether they may make API keys, each of which acts as themselves in this team."""
        return self.may_rent

    def keys(self) -> Q:
        """Return which API keys of the team they see, and may revoke."""
        if self.team is None or not self.may_hold_keys:
            return Q(pk__in=())
        return Q(team=self.team) if self.manages else Q(team=self.team, person=self.person_id)

    def may_see(self, rental: TeamRental) -> bool:
        return self.team is not None and rental.team_id == self.team.pk

    def sees_code(self, rental: TeamRental) -> bool:
        """Whether the code and the message are shown in full without asking."""
        if not self.may_see(rental) or self.team is None or self.role == Role.VIEWER:
            return False
        if rental.person_id == self.person_id:
            return True
        fades_at = self.code_fades_at(rental)
        faded = fades_at is not None and fades_at <= timezone.now()
        return (self.role == Role.MANAGER or self.team.shares_codes) and not faded

    def code_fades_at(self, rental: TeamRental) -> datetime | None:
        """Return when the code fades for this person; None for their own, and where codes do not fade."""
        minutes = self.team.codes_fade_minutes if self.team else None
        if minutes is None or rental.received_at is None or rental.person_id == self.person_id:
            return None
        return rental.received_at + timedelta(minutes=minutes)

    def readable(self) -> Q:
        """Return the condition of `sees_code` for a queryset of the team's rentals."""
        if self.team is None or self.role == Role.VIEWER:
            return Q(pk__in=())
        own = Q(person=self.person_id)
        if self.role != Role.MANAGER and not self.team.shares_codes:
            return own
        fades = self._fades_before
        return Q() if fades is None else own | Q(received_at=None) | Q(received_at__gt=fades)

    @property
    def _fades_before(self) -> datetime | None:
        """Codes that came before this are masked for all but their owners; None where they do not fade."""
        minutes = self.team.codes_fade_minutes if self.team else None
        return None if minutes is None else timezone.now() - timedelta(minutes=minutes)

    def may_reveal(self, rental: TeamRental) -> bool:
        return self.may_see(rental) and self.may_rent

    def may_cancel(self, rental: TeamRental) -> bool:
        return self._answers_for(rental)

    def may_hand_over(self, rental: TeamRental) -> bool:
        """Whether they may give the number to a colleague. One that was rented elsewhere is nobody's to give."""
        return rental.person_id is not None and self._answers_for(rental)

    def may_see_accesses(self, rental: TeamRental) -> bool:
        """Whether they may see who saw the code."""
        return self._answers_for(rental)

    def _answers_for(self, rental: TeamRental) -> bool:
        """Whether the rental is their own, or of the team that they manage."""
        return self.may_see(rental) and (self.manages or (self.may_rent and rental.person_id == self.person_id))

    def audited(self) -> tuple[Q, ...]:
        """Return which audit records the person may read, those that meet one of these conditions: what was done in the
        team, and how its people signed in. No record meets two, and each is served by an index as an OR of them is not.
        """
        if not self.manages:
            return (Q(pk__in=()),)
        people = Membership.objects.filter(team=self.team_id).values("user")
        return Q(team=self.team_id), Q(team=None, action__in=SIGN_IN_ACTIONS, person__in=people)

    def any_audited(self) -> Q:
        """Return `audited` as one condition."""
        return Q(*self.audited(), _connector=Q.OR)

    def own_records(self) -> Q:
        """Return the audit records of what the person did themselves: in this team, and to their account."""
        return Q(person=self.person_id) & (Q(team=None) | Q(team=self.team_id))

    def may_change_account(self, person: User) -> bool:
        """Whether they may act on the account of `person` as a whole: deactivate it, end its sessions, make a password link.

        Never on their own: the account pages are for that, and a manager cannot lock themselves out. Two queries at most.
        """
        if person.pk == self.person_id or not self.manages:
            return False
        if self.is_admin:
            return not person.is_superuser or User.objects.filter(pk=self.person_id, is_superuser=True).exists()
        teams = set(person.memberships.values_list("team", flat=True))
        managed = Membership.objects.filter(user=self.person_id, role=Role.MANAGER).values_list("team", flat=True)
        return not (person.is_staff or person.is_superuser) and self.team_id in teams and teams <= set(managed)


class _Strict(TypedDict):
    any_is_strict: bool


def access_for(person: User, *, team_id: int | None = None) -> Access:
    """Return what `person` may do: in the team they last worked in, else in their first one. Three queries at most.

    With a `team_id`, in that team alone, as an API key does. A deactivated person has no team, so nothing at all.
    """
    return accesses_for([person], team_id=team_id)[person.pk]


def accesses_for(people: Collection[User], *, team_id: int | None = None) -> dict[int, Access]:
    """Return by id what each of `people` may do, as `access_for` does. Three queries at most, however many they are."""
    active = [person for person in people if person.is_active]
    memberships: dict[int, dict[int, Membership]] = {person.pk: {} for person in active}
    last_teams = {person.team_id for person in active}
    for membership in _memberships([person.pk for person in active], last_teams | {team_id}):
        memberships[membership.user_id][membership.team_id] = membership
    admins = [person for person in active if person.is_staff]
    every_team = tuple(_teams_of_admins({person.team_id for person in admins} | {team_id})) if admins else ()

    @cache  # read only where a team requires it
    def with_two_factor() -> frozenset[int]:
        return frozenset(_two_factor_methods(user__in=active).values_list("user_id", flat=True))

    def access(person: User) -> Access:
        if not person.is_active:
            return Access(person.pk, False, None, None)
        own = memberships[person.pk]
        is_admin = person.is_staff
        own_teams = tuple(membership.team for membership in own.values())
        teams = every_team if is_admin else own_teams
        by_id = {team.pk: team for team in own_teams + teams}
        last = by_id.get(person.team_id or 0)
        chosen = last or next(iter(own_teams), None) or next(iter(teams), None)
        team = chosen if team_id is None else by_id.get(team_id)
        if team is None:
            return Access(person.pk, is_admin, None, None, teams)
        # An admin reaches every team, by the switch and in the Django admin, so any team's rule is theirs.
        strict = any(team.any_is_strict for team in every_team) if is_admin else team.requires_second_step
        if strict and not person.two_factor_at_provider and person.pk not in with_two_factor():
            return Access(person.pk, is_admin, None, None, teams, needs_two_factor=True)
        role = Role.MANAGER if is_admin else Role(own[team.pk].role)
        return Access(person.pk, is_admin, team, role, teams, membership=own.get(team.pk))

    return {person.pk: access(person) for person in people}


def _teams_of_admins(named: Collection[int | None]) -> "QuerySet[WithAnnotations[Team, _Strict]]":
    """Return the first teams by name, one more than `MAX_TEAMS`, and those with the ids `named`. `any_is_strict` says of all
    whether any team there is requires two-factor authentication."""
    first = Team.objects.order_by("name", "pk").values("pk")[: MAX_TEAMS + 1]
    shown = Team.objects.filter(Q(pk__in=first) | Q(pk__in=[pk for pk in named if pk is not None]))
    return shown.order_by("name", "pk").annotate(any_is_strict=Exists(Team.objects.filter(requires_second_step=True)))


# Written out: every request asks it, and Django takes five times as long to put a queryset into SQL as to answer this.
# A date is not among the columns: a raw query on SQLite gives it as text.
_COLUMNS = [field.attname for field in Membership._meta.concrete_fields if field.name != "created_at"]
_MEMBERSHIPS = f"""
    SELECT * FROM (
        SELECT team.*, {", ".join(f"membership.{column} AS member_{column}" for column in _COLUMNS)},
            ROW_NUMBER() OVER (PARTITION BY membership.user_id ORDER BY team.name, team.id) AS place
        FROM accounts_team AS team JOIN accounts_membership AS membership ON membership.team_id = team.id
        WHERE membership.user_id IN ({{people}})
    ) AS own WHERE place <= %s OR id IN ({{named}}) ORDER BY name
"""  # noqa: S608 - names of columns


def _memberships(people: Sequence[int], named: Collection[int | None]) -> Iterator[Membership]:
    """Return the memberships of `people` with their teams, in the order of the teams' names: of each person the first ones,
    one more than `MAX_TEAMS`, and those in the teams with the ids `named`. One query."""
    if not people:
        return
    marks = {name: ", ".join(["%s"] * len(values)) for name, values in (("people", people), ("named", named))}
    for team in Team.objects.raw(_MEMBERSHIPS.format(**marks), [*people, MAX_TEAMS + 1, *named]):
        membership = Membership.from_db(team._state.db, _COLUMNS, [getattr(team, f"member_{c}") for c in _COLUMNS])
        membership.team = team
        yield membership


def people_who_may_rent(team: Team) -> QuerySet[User]:
    """Return the team's active members whose role lets them rent, by name. Where the team requires two-factor
    authentication, those who have it."""
    roles = Membership.objects.filter(team=team, role__in=[Role.OPERATOR, Role.MANAGER])
    people = User.objects.filter(is_active=True, pk__in=roles.values("user"))
    if team.requires_second_step:
        people = people.filter(Exists(two_factor_methods(OuterRef("pk"))) | Q(two_factor_at_provider=True))
    return people.order_by("first_name", "last_name", "username")


def has_two_factor(person: User) -> bool:
    """Whether they have a two-factor method, or their provider checked one at the last sign-in. One query at most."""
    return person.two_factor_at_provider or two_factor_methods(person.pk).exists()


def two_factor_methods(person: int | OuterRef) -> QuerySet[Authenticator]:
    """Return a person's authenticator app and passkeys. Recovery codes alone are no two-factor method."""
    return _two_factor_methods(user=person)


def _two_factor_methods(**whose: Any) -> QuerySet[Authenticator]:
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    methods: QuerySet[Authenticator] = Authenticator.objects.filter(type__in=kinds, **whose)
    return methods


def must_keep_two_factor(person: User) -> bool:
    """Whether a team of theirs requires two-factor authentication, so that the last method cannot be removed."""
    strict = Team.objects.filter(requires_second_step=True)
    return (strict if person.is_staff else strict.filter(memberships__user=person.pk)).exists()
