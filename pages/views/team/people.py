"""One person of the team: their role, budgets, sessions and account."""

from collections.abc import Callable
from functools import wraps

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import memberships
from accounts.desk_request import DeskRequest
from accounts.forms import BudgetsForm
from accounts.models import Membership, Role
from accounts.policy import has_two_factor
from accounts.sign_in import two_factor
from lib.first_rows import first_rows
from pages.views.team.team import managed_team, roles
from rentals import budgets

MAX_SESSIONS = 20  # that the page shows
_Action = Callable[[DeskRequest, Membership], HttpResponse | str]


def _membership(request: DeskRequest, pk: int) -> Membership:
    """Return a membership of the team that the person manages; another person gets 403 or 404."""
    team = managed_team(request)
    return get_object_or_404(Membership.objects.select_related("user", "team"), team=team, user__pk=pk)


@require_safe
@never_cache
def person(request: DeskRequest, pk: int) -> HttpResponse:
    """Show one person of the team to its managers."""
    return _page(request, _membership(request, pk))


def _page(request: DeskRequest, membership: Membership, form: BudgetsForm | None = None) -> HttpResponse:
    access = request.access
    may_change = access.may_change_account(membership.user)
    day, month, rentals = budgets.spent_by(membership.user_id, membership.team)
    # Other people's sessions are shown only to those who may end them.
    every_session = UserSession.objects.filter(user=membership.user).order_by("-last_seen_at")
    sessions, more_sessions = first_rows(every_session, MAX_SESSIONS) if may_change else ([], 0)
    context = {
        "membership": membership,
        "form": form or BudgetsForm(instance=membership),
        "roles": roles(),
        "may_change_account": may_change,
        "has_two_factor": has_two_factor(membership.user),
        "sessions": sessions,
        "more_sessions": more_sessions,
        "spent": {"day": day, "month": month, "rentals": rentals},
    }
    return render(request, "pages/team/person.html", context, status=422 if form else 200)


def _action(view: _Action) -> Callable[..., HttpResponse]:
    """Make the view of a button on a person's page: it does one thing, and shows what was done or why not."""

    @require_POST
    @wraps(view)
    def act(request: DeskRequest, pk: int) -> HttpResponse:
        membership = _membership(request, pk)
        try:
            answer = view(request, membership)
        except memberships.NotDone as refused:
            messages.error(request, refused.sentence)
            return redirect("person", pk)
        if isinstance(answer, HttpResponse):
            return answer
        messages.success(request, answer)
        still_there = Membership.objects.filter(pk=membership.pk).exists() and request.user.pk != pk
        return redirect("person", pk) if still_there else redirect("team")

    return act


@_action
def person_role(request: DeskRequest, membership: Membership) -> str:
    """Give them another role."""
    wanted = request.POST.get("role", "")
    if wanted not in Role.values:
        raise PermissionDenied
    memberships.change_role(request.user, request.access, membership, Role(wanted))
    return _("%(person)s is %(role)s now.") % {"person": membership.user, "role": Role(wanted).label}


@_action
def person_budgets(request: DeskRequest, membership: Membership) -> HttpResponse | str:
    """Set their budgets and rentals per day."""
    form = BudgetsForm(request.POST, instance=membership)
    if not form.is_valid():
        return _page(request, Membership.objects.select_related("user", "team").get(pk=membership.pk), form)
    fresh = Membership.objects.select_related("user", "team").get(pk=membership.pk)
    memberships.set_budgets(request.user, request.access, fresh, form.cleaned_data)
    return _("Saved.")


@_action
def person_remove(request: DeskRequest, membership: Membership) -> str:
    """Take them out of the team."""
    memberships.remove(request.user, request.access, membership)
    return _("%(person)s is no longer in the team.") % {"person": membership.user}


@_action
def person_deactivate(request: DeskRequest, membership: Membership) -> str:
    """Deactivate their account."""
    memberships.deactivate(request.user, request.access, membership.user)
    return _("%(person)s is deactivated and signed out everywhere.") % {"person": membership.user}


@_action
def person_activate(request: DeskRequest, membership: Membership) -> str:
    """Let them sign in again."""
    memberships.activate(request.user, request.access, membership.user)
    return _("%(person)s can sign in again.") % {"person": membership.user}


@_action
def person_sign_out(request: DeskRequest, membership: Membership) -> str:
    """Sign them out everywhere."""
    ended = memberships.sign_out(request.user, request.access, membership.user)
    return ngettext("%d session ended.", "%d sessions ended.", ended) % ended


@_action
def person_two_factor(request: DeskRequest, membership: Membership) -> str:
    """Turn two-factor authentication off for their account."""
    two_factor.turn_off(request.user, request.access, membership.user)
    if settings.PASSWORDS:
        sentence = _("%(person)s signs in by the password alone now, and can set up two-factor authentication again.")
    else:
        sentence = _("%(person)s signs in at the provider alone now, and can set up two-factor authentication again.")
    return sentence % {"person": membership.user}


@_action
@never_cache
def person_password(request: DeskRequest, membership: Membership) -> HttpResponse:
    """Make a link that sets a new password, and show it once."""
    link = memberships.password_link(request.user, request.access, membership.user)
    context = {
        "person": membership.user,
        "link": link,
        "hours": settings.PASSWORD_RESET_TIMEOUT // 3600,
    }
    return render(request, "pages/team/password_link.html", context)
