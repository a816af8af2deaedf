"""Joining by a link: managers make and revoke links, and a person with a link joins."""

from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import invitations, one_time_keys
from accounts.desk_request import DeskRequest
from accounts.forms import InviteForm, JoinForm
from accounts.memberships import NotDone
from accounts.models import Invitation, Membership, Role, User
from accounts.sign_in import throttle
from lib.web.urls import absolute_reverse
from pages.views.team.team import managed_team, page


@require_POST
@never_cache
def invite(request: DeskRequest) -> HttpResponse:
    """Make a link and show it, this once."""
    team = managed_team(request)
    form = InviteForm(request.POST)
    if not form.is_valid():
        return page(request, invite_form=form, status=422)
    wanted = form.cleaned_data
    role, key = Role(wanted["role"]), one_time_keys.key_of(request)
    try:
        invitation, secret = invitations.invite(
            request.user, team, role=role, note=wanted["note"], days=wanted["days"], key=key
        )
    except NotDone as refused:
        messages.error(request, refused.sentence)
        return redirect("team")
    link = absolute_reverse("join", args=[secret], request=request)
    return render(request, "pages/team/invited.html", {"invitation": invitation, "link": link})


@require_POST
def invite_revoke(request: DeskRequest, pk: int) -> HttpResponse:
    """Revoke a link that was not used yet."""
    invitation = get_object_or_404(Invitation, pk=pk, team=managed_team(request))
    if invitations.revoke(request.user, request.access, invitation):
        messages.success(request, _("The invitation is revoked; its link no longer works."))
    return redirect("team")


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Join a team: with the account that is signed in, or with a new one."""
    invitation = invitations.find(secret)
    if invitation is None:
        return _over(request, secret)
    if request.user.is_authenticated:
        return _join_signed_in(request, request.user, invitation)
    if not settings.PASSWORDS:  # the account is made by the sign-in at a provider, which leads back here
        return render(request, "pages/team/join.html", {"invitation": invitation})
    form = JoinForm(request.POST or None, team=invitation.team, note=invitation.note)
    if request.method != "POST":
        return _form(request, invitation, form)
    if not form.is_valid():
        # The first of two clicks may have used the link since it was looked at.
        return _form(request, invitation, form) if invitations.find(secret) else _over(request, secret)
    try:
        with transaction.atomic():
            person = form.save()
            invitations.accept(invitation, person)
    except NotDone:
        return _over(request, secret)
    except IntegrityError:  # another person took the name in the same moment
        if invitations.find(secret) is None:
            return _over(request, secret)
        form.add_error("username", _("This user name is taken. Choose another one."))
        return _form(request, invitation, form)
    response: HttpResponse = perform_login(request, person, redirect_url=reverse("desk"))
    return response


def _over(request: HttpRequest, secret: str) -> HttpResponse:
    """Lead on the person who has come in by the link already, as by the second of two clicks; else say that it is over."""
    joined = invitations.joined_by(secret)
    if joined is not None and request.user == joined:
        messages.success(request, _("You are in the team already."))
        return redirect("desk")
    if joined is not None and joined.username == request.POST.get("username", "").strip():
        messages.success(request, _("Your account %(name)s is made. Sign in with it.") % {"name": joined.username})
        return redirect("account_login")
    if throttle.too_many_wrong_secrets(request):
        return throttle.too_many(request)
    return render(request, "pages/team/join_over.html", status=404)


def _form(request: HttpRequest, invitation: Invitation, form: JoinForm) -> HttpResponse:
    context = {"invitation": invitation, "form": form}
    return render(request, "pages/team/join.html", context, status=422 if form.is_bound else 200)


def _join_signed_in(request: HttpRequest, person: User, invitation: Invitation) -> HttpResponse:
    there = Membership.objects.filter(user=person, team=invitation.team).exists()
    if request.method != "POST":
        return render(request, "pages/team/join.html", {"invitation": invitation, "there": there})
    try:
        invitations.accept(invitation, person)
    except NotDone as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, _("You are in the team %(team)s now.") % {"team": invitation.team})
    return redirect("desk")
