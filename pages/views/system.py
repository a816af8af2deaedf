"""How the desk and ThueSim are doing, and the import of a token's history."""

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.desk_request import DeskRequest
from pages.presenters.system import system_state
from rentals.jobs import background
from rentals.jobs.upkeep import public_url
from rentals.models import BackgroundJob, Token


@require_safe
@never_cache
def system(request: DeskRequest) -> HttpResponse:
    """Show the state of the system; to htmx, which asks every few seconds, the fragment alone."""
    template = "pages/_system.html" if request.htmx else "pages/system.html"
    return render(request, template, {"system": system_state(request.access)})


@require_POST
def check_public_url(request: DeskRequest) -> HttpResponse:
    """Have the desk ask itself through its public address. A worker does it, and the page shows what it found."""
    if not request.access.is_admin:
        raise PermissionDenied(_("Only an admin can check the public address."))
    if not settings.PUBLIC_URL:
        messages.error(request, _("DESK_PUBLIC_URL is not set, so there is no address to check."))
    elif public_url.ask():
        messages.success(request, _("The desk asks itself now. What it finds stands here within a minute."))
    else:
        messages.info(request, _("A check was asked for a moment ago. What it finds stands here within a minute."))
    return redirect("system")


@require_POST
def import_history(request: DeskRequest, pk: int) -> HttpResponse:
    """Import the whole history that ThueSim gives for a token, in the background."""
    token = get_object_or_404(Token.objects.filter(teams=request.access.team_id), pk=pk)
    if not request.access.manages or request.access.team is None:
        raise PermissionDenied(_("Only a manager can import a history. Ask a manager of your team."))
    background.begin(BackgroundJob.Kind.IMPORT, person=request.user, team=request.access.team, token=token)
    messages.success(request, _("The import is listed here. You may leave this page; it goes on."))
    return redirect("background")
