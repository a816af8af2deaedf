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
from accounts.models import Invitation, Membership, Role, Team
from lib import announce
from rentals import budgets
from rentals.models import Service


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
    context: dict[str, object] = {"members": _members(team), "budgets": budgets.remaining_for(request.access)}
    if request.access.manages:
        chosen = list(team.services.order_by("search_name"))
        context |= {
            "settings_form": settings_form or TeamSettingsForm(instance=team, by=request.user),
            "invite_form": invite_form or InviteForm(),
            "invitations": team.invitations.filter(Invitation.usable()).select_related("invited_by"),
            "services": chosen,
            "other_services": Service.objects.filter(active=True).exclude(pk__in=[service.pk for service in chosen]),
        }
    return render(request, "pages/team/team.html", context, status=status)


def _members(team: Team) -> list[Member]:
    spent = budgets.spent_by_person(team)
    memberships = list(team.memberships.select_related("user").order_by("-user__is_active", "user__username"))
    doubles = lookalikes.resembling(m.user for m in memberships)
    return [Member(m, *spent.get(m.user_id, (0, 0, 0)), m.user_id in doubles) for m in memberships]


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
    key = request.POST.get("add" if adds else "remove", "")
    sv, _dot, upstream_id = key.rpartition(".")
    service = Service.objects.filter(sv=sv, upstream_id=upstream_id).first()
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
