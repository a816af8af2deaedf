"""The page of the team: who is in it, who is invited, its budgets and settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.forms import model_to_dict
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import audit, lookalikes
from accounts.audit import Action, about
from accounts.desk_request import DeskRequest
from accounts.forms import InviteForm, TeamNameForm, TeamSettingsForm
from accounts.models import Invitation, Membership, Role, Team, User
from lib import announce
from lib.first_rows import first_rows
from lib.web.query_params import text
from pages.presenters.options import Kind, options
from rentals import budgets
from rentals.models import Service
from rentals.models.catalog import with_key
from thuesim.folding import without_accents

# That the page shows; a search finds the other people, and the other invitations end by themselves.
MAX_PEOPLE, MAX_INVITATIONS = 100, 50


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the team, with what they spent and rented there."""

    membership: Membership
    day: int
    month: int
    rentals: int
    has_double: bool  # a name that looks like another's in the team


def managed_team(request: DeskRequest) -> Team:
    """Return the team that the person manages. Raises `PermissionDenied`."""
    if request.access.team is None or not request.access.manages:
        raise PermissionDenied(_("Only a manager of the team may do this."))
    return request.access.team


@require_safe
@never_cache
def team(request: DeskRequest) -> HttpResponse:
    """Show the team."""
    if request.access.team is None:
        raise Http404
    return page(request)


def page(
    request: DeskRequest,
    *,
    settings_form: TeamSettingsForm | None = None,
    invite_form: InviteForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the team's page, with a form that has errors in the place of a fresh one."""
    team = request.access.team
    if team is None:
        raise Http404
    q = text(request.GET, "q")
    names, found, doubles = _names(team, q)
    shown = found[:MAX_PEOPLE]
    # What each spent is shown to managers alone.
    spent = budgets.spent_now(team, [*shown, request.access.person_id]) if request.access.manages else None
    context: dict[str, object] = {
        "members": _members(team, shown, budgets.spent_by_person(spent or []), doubles),
        "more_people": len(found) - len(shown),
        "people": names,
        "q": q,
        "budgets": budgets.remaining_for(request.access, spent=spent),
    }
    if request.access.manages:
        chosen = list(team.services.order_by("search_name"))
        usable = team.invitations.filter(Invitation.usable()).select_related("invited_by")
        invitations, more_invitations = first_rows(usable, MAX_INVITATIONS)
        context |= {
            "settings_form": settings_form or TeamSettingsForm(instance=team, by=request.user),
            "invite_form": invite_form or InviteForm(),
            "invitations": invitations,
            "more_invitations": more_invitations,
            "services": chosen,
            "other_services": options(request.access, request.GET, (Kind.SERVICE,))[Kind.SERVICE].with_keys,
        }
    return render(request, "pages/team/team.html", context, status=status)


def _names(team: Team, q: str) -> tuple[int, list[int], set[int]]:
    """Return how many people the team has, the ids of those whose name contains `q` by name, and of those whose name looks
    like another's. Of thousands of people, no more than the names is read."""
    people = User.objects.filter(memberships__team=team).order_by("-is_active", "username")
    names = [
        (pk, username, f"{first_name} {last_name}".strip())
        for pk, username, first_name, last_name in people.values_list("pk", "username", "first_name", "last_name")
    ]
    wanted = without_accents(q)
    found = [pk for pk, username, name in names if not q or wanted in without_accents(User.named(name, username))]
    return len(names), found, lookalikes.resembling(names)


def _members(
    team: Team, shown: list[int], spent: Mapping[int, tuple[int, int, int]], doubles: set[int]
) -> list[Member]:
    """Return the members with these ids, by name. `spent` has what each spent."""
    memberships = team.memberships.filter(user__in=shown).select_related("user")
    return [
        Member(m, *spent.get(m.user_id, (0, 0, 0)), m.user_id in doubles)
        for m in memberships.order_by("-user__is_active", "user__username")
    ]


@require_POST
def team_settings(request: DeskRequest) -> HttpResponse:
    """Change the team's settings and budgets."""
    team = Team.objects.get(pk=managed_team(request).pk)
    before = model_to_dict(team, TeamSettingsForm.Meta.fields)
    form = TeamSettingsForm(request.POST, instance=team, by=request.user)
    if not form.is_valid():
        return page(request, settings_form=form, status=422)
    save_settings(form, before)
    messages.success(request, _("Saved."))
    return redirect("team")


def save_settings(form: TeamNameForm, before: Mapping[str, object]) -> None:
    """Store and record what a valid form changed of its team; `before` has the values of before it was read."""
    team = form.instance
    detail = audit.changes(before, {name: getattr(team, name) for name in form.Meta.fields})
    if detail:
        with transaction.atomic():
            team.save(update_fields=list(detail))
            audit.record(Action.TEAM_SETTINGS, person=form.by, team=team, target=about(team), detail=detail)
            announce.team(team.pk, "refresh")


@require_POST
def team_services(request: DeskRequest) -> HttpResponse:
    """Allow one more service, or one less. A team with none chosen may order all."""
    team = managed_team(request)
    adds = "add" in request.POST
    # Where there are many, one may type the key of one that the list has not.
    key = (request.POST.get("add") or text(request.POST, "find_service")) if adds else request.POST.get("remove", "")
    service = Service.objects.filter(with_key(key)).first()
    if service is None:
        messages.error(request, _("There is no such service. Choose one from the list."))
        return redirect("team")
    with transaction.atomic():
        before = sorted(chosen.key for chosen in team.services.all())
        team.services.add(service) if adds else team.services.remove(service)
        after = sorted(chosen.key for chosen in team.services.all())
        detail = audit.changes({"services": before}, {"services": after})
        if detail:
            audit.record(Action.TEAM_SERVICES, person=request.user, team=team, target=about(service), detail=detail)
    return redirect(f"{reverse('team')}#services")


def roles() -> list[tuple[str, str]]:
    """Return the roles to choose from."""
    return [(str(value), str(label)) for value, label in Role.choices]
