"""Setting up the true service, for admins: a token, its callback address, the team and its people, the first number.

Each step is a page of its own that may be left and opened again; `pages.presenters.setup` reads how far it is.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.forms import model_to_dict
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import audit, invitations, one_time_keys
from accounts.audit import Action
from accounts.desk_request import DeskRequest
from accounts.forms import InviteForm, TeamNameForm
from accounts.memberships import NotDone
from accounts.models import Invitation, Role, Team
from lib import announce
from lib.encryption import Secret
from lib.web.urls import absolute_reverse
from pages.forms import NewTokenForm, TokenTeamsForm
from pages.presenters import setup as presenter
from pages.views.team.team import save_settings
from rentals import enqueue, token_adding
from rentals.models import Callback, Token
from rentals.upstream import callback_addresses

# Where a token comes from, for a desk that works with the sandbox so far.
THUESIM = "https://thuesim.xyz"

_View = Callable[..., HttpResponse]


def _for_admins(view: _View) -> _View:
    """Refuse everybody who holds no tokens, and look the token up for those who do."""

    @wraps(view)
    def checked(request: DeskRequest, pk: int | None = None) -> HttpResponse:
        if not request.access.holds_tokens:
            raise PermissionDenied(_("Only an admin sets up tokens. Ask an admin."))
        return view(request) if pk is None else view(request, get_object_or_404(Token, pk=pk))

    return checked


def _team(request: DeskRequest) -> Team:
    """Return the team that the admin works in: `holds_tokens` says that there is one."""
    return Team.objects.get(pk=request.access.team_id or 0)


def _page(
    request: DeskRequest, step: str, token: Token | None, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    steps = presenter.steps(request.access, token)
    at = [item.name for item in steps].index(step)
    following = steps[at + 1] if at + 1 < len(steps) else None
    context |= {"steps": steps, "step": steps[at], "following": following, "token": token}
    return render(request, f"pages/setup/{step}.html", context, status=status)


@require_safe
@never_cache
@_for_admins
def setup(request: DeskRequest) -> HttpResponse:
    """Lead to the first step that is open."""
    token = presenter.current_token(request.access)
    return redirect(presenter.next_step(presenter.steps(request.access, token)).url)


@sensitive_post_parameters("new_value")
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@_for_admins
def setup_token(request: DeskRequest) -> HttpResponse:
    """Take a token, ask ThueSim about it, and store it where ThueSim accepts it."""
    data = request.POST if request.method == "POST" else None
    form = NewTokenForm(data, initial={"name": token_adding.free_name(_("Main token"))})
    wants_value = not form.is_valid()
    if form.is_valid():
        value, name = Secret(form.cleaned_data["new_value"]), form.cleaned_data["name"]
        added = token_adding.add(value, name=name, teams=[_team(request)], by=request.user)
        if added.token:
            answer = {"answer": presenter.answer(added.findings), "gap": presenter.gap_seconds()}
            return _page(request, "token", added.token, {**answer, "leads_on": True})
        form.add_error("new_value", added.refused)
        wants_value = added.is_unknown
    thuesim = THUESIM if settings.DEMO else settings.THUESIM_BASE_URL
    context = {"form": form, "tokens": Token.objects.all(), "thuesim": thuesim, "wants_value": wants_value}
    token = presenter.current_token(request.access)
    return _page(request, "token", token, context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@_for_admins
def setup_callback(request: DeskRequest, token: Token) -> HttpResponse:
    """Make a callback address and show it, this once; say whether ThueSim has called."""
    address = ""
    if request.method == "POST":
        with transaction.atomic():
            made = callback_addresses.replace(token)
            audit.record(
                Action.CALLBACK_REPLACE, person=request.user, target=audit.about(token), detail={"id": token.pk}
            )
        address = absolute_reverse("callback", args=[made.secret.reveal()], request=request)
    valid = list(callback_addresses.valid_addresses(token))
    made_at = valid[0].created_at if valid else None
    calls = token.callbacks.filter(at__gte=made_at).order_by("at") if made_at else token.callbacks.none()
    called = calls.filter(state__in=Callback.PROVEN).first()
    stranger = None if called else calls.filter(state__in=Callback.UNPROVEN).last()
    if request.htmx and called is None and (stranger is None or str(stranger.pk) == request.GET.get("seen")):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)  # what waits on the page stays as it is
    here = absolute_reverse("desk", request=request)
    context = {
        "address": address,
        "message": presenter.message_to_thuesim(address),
        "made_at": made_at,
        "overlap": len(valid) > 1,
        "called": called,
        "stranger": stranger,
        "here": here,
        "is_private": presenter.is_private(here) and called is None,
        "leads_on": made_at is not None or presenter.is_private(here),
    }
    return _page(request, "callback", token, context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@_for_admins
def setup_people(request: DeskRequest, token: Token) -> HttpResponse:
    """Name the team, say who rents on the token, and invite people, each by a link that is shown this once."""
    if "invite" in request.POST:
        return _invite(request, token)
    team = _team(request)
    data = request.POST if request.method == "POST" else None
    before = model_to_dict(team, TeamNameForm.Meta.fields)
    name_form = TeamNameForm(data, instance=team, by=request.user)
    teams_form = _teams_form(token, data)
    if name_form.is_valid() and (teams_form is None or teams_form.is_valid()):
        save_settings(name_form, before)
        if teams_form:
            _give(request, token, teams_form.cleaned_data["teams"])
        messages.success(request, _("Saved."))
        return redirect("setup_people", token.pk)
    context = {"name_form": name_form, "teams_form": teams_form}
    return _people_page(request, token, context, status=422 if data else 200)


def _teams_form(token: Token, data: Any = None) -> TokenTeamsForm | None:
    """Return the form for the teams of `token`; None where there is one team, and it has the token."""
    only_team = Team.objects.count() == 1 and token.teams.exists()
    return None if only_team else TokenTeamsForm(data, instance=token)


def _people_page(request: DeskRequest, token: Token, context: dict[str, Any], status: int = 200) -> HttpResponse:
    team = _team(request)
    context = {
        "leads_on": True,
        "name_form": TeamNameForm(instance=team, by=request.user),
        "teams_form": _teams_form(token),
        "invite_form": InviteForm(),
        "memberships": team.memberships.select_related("user").order_by("-role", "user__username"),
        "invitations": team.invitations.filter(Invitation.usable()),
        **context,
    }
    return _page(request, "people", token, context, status=status)


def _invite(request: DeskRequest, token: Token) -> HttpResponse:
    """Make a link into the team and show it within the step."""
    form, key = InviteForm(request.POST), one_time_keys.key_of(request)
    if not form.is_valid():
        return _people_page(request, token, {"invite_form": form}, status=422)
    asked = form.cleaned_data
    try:
        invitation, secret = invitations.invite(
            request.user, _team(request), role=Role(asked["role"]), note=asked["note"], days=asked["days"], key=key
        )
    except NotDone as refused:
        messages.error(request, refused.sentence)
        return redirect("setup_people", token.pk)
    link = absolute_reverse("join", args=[secret], request=request)
    return _people_page(request, token, {"invitation": invitation, "link": link})


def _give(request: DeskRequest, token: Token, teams: Any) -> None:
    """Let these teams rent on the token, and no other."""
    with transaction.atomic():
        before = list(token.teams.all())
        after = list(teams)
        detail = audit.changes({"teams": [str(team) for team in before]}, {"teams": [str(team) for team in after]})
        if not detail:
            return
        token.teams.set(after)
        audit.record(
            Action.TOKEN_CHANGE, person=request.user, target=audit.about(token), detail={"id": token.pk, **detail}
        )
        for team in {*before, *after}:
            announce.team(team.pk, "tokens")
        enqueue.place(token.pk)


@require_safe
@never_cache
@_for_admins
def setup_number(request: DeskRequest, token: Token) -> HttpResponse:
    """Offer services to rent the first number of, with their prices, and list what is done."""
    services = presenter.offered(request.access)
    if request.htmx and not services:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    context = {
        "is_ours": token.teams.contains(_team(request)),
        "services": services,
        "rental": presenter.first_rental(token),
    }
    return _page(request, "number", token, context)
