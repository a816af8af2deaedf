"""Who may do and see what. Every page, fragment, stream and export asks here and nowhere else.

| may                                   | viewer | operator | manager | admin (staff) |
|---------------------------------------|--------|----------|---------|---------------|
| see the team's rentals                | yes    | yes      | yes     | yes           |
| read the codes of own rentals         | masked | yes      | yes     | yes           |
| read the codes of others' rentals     | masked | if the team shares | yes | yes         |
| rent, rent again                      | no     | yes      | yes     | yes           |
| cancel a queued order                 | no     | own      | yes     | yes           |
| reveal a masked code (recorded)       | no     | yes      | yes     | yes           |
| export                                | no     | no       | yes     | yes           |

An admin has these rights in every team; anybody else only in the teams that they are a member of.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from accounts.models import Membership, Role, Team, User

if TYPE_CHECKING:
    from rentals.models import Rental


@dataclass(frozen=True, slots=True)
class Access:
    """What one person may do in the team they are working in now. `team` is None where they have none."""

    person_id: int
    is_admin: bool
    team: Team | None
    role: Role | None
    teams: tuple[Team, ...] = ()

    @property
    def team_id(self) -> int | None:
        return self.team.pk if self.team else None

    @property
    def may_rent(self) -> bool:
        return self.team is not None and self.role in {Role.OPERATOR, Role.MANAGER}

    @property
    def manages(self) -> bool:
        return self.team is not None and self.role == Role.MANAGER

    @property
    def may_export(self) -> bool:
        return self.manages

    def may_see(self, rental: "Rental") -> bool:
        return self.team is not None and rental.team_id == self.team.pk

    def sees_code(self, rental: "Rental") -> bool:
        """Whether the code and the message are shown in full without asking."""
        if not self.may_see(rental) or self.team is None or self.role == Role.VIEWER:
            return False
        return self.role == Role.MANAGER or rental.person_id == self.person_id or self.team.shares_codes

    def readable(self) -> Q:
        """Say of the rows of the team's rentals what `sees_code` says of one."""
        if self.team is None or self.role == Role.VIEWER:
            return Q(pk__in=())
        return Q() if self.role == Role.MANAGER or self.team.shares_codes else Q(person=self.person_id)

    def may_reveal(self, rental: "Rental") -> bool:
        return self.may_see(rental) and self.may_rent

    def may_cancel(self, rental: "Rental") -> bool:
        return self.may_see(rental) and (self.manages or (self.may_rent and rental.person_id == self.person_id))


def access_for(person: User) -> Access:
    """Return what `person` may do: in the team they last worked in, else in their first one. Two queries at most.

    A deactivated person has no team, so nothing at all.
    """
    if not person.is_active:
        return Access(person.pk, False, None, None)
    memberships = {
        membership.team_id: membership
        for membership in Membership.objects.filter(user=person).select_related("team").order_by("team__name")
    }
    is_admin = person.is_active and person.is_staff
    teams = tuple(Team.objects.all()) if is_admin else tuple(m.team for m in memberships.values())
    by_id = {team.pk: team for team in teams}
    team = (
        by_id.get(person.team_id or 0) or next((m.team for m in memberships.values()), None) or next(iter(teams), None)
    )
    role: Role | None = None
    if team is not None and person.is_active:
        role = Role.MANAGER if is_admin else Role(memberships[team.pk].role)
    return Access(person.pk, is_admin, team, role, teams)
