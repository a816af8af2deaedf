"""How the desk and ThueSim are doing, and the import of a token's history."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.http import DeskRequest
from pages.presenters.system import system_state
from rentals.jobs import background
from rentals.models import BackgroundJob, Token


@require_safe
@never_cache
def system(request: DeskRequest) -> HttpResponse:
    """Show the state of the system; to htmx, which asks every few seconds, the fragment alone."""
    template = "pages/_system.html" if request.htmx else "pages/system.html"
    return render(request, template, {"system": system_state(request.access)})


@require_POST
def import_history(request: DeskRequest, pk: int) -> HttpResponse:
    """Import the whole history that ThueSim gives for a token, in the background."""
    token = get_object_or_404(Token.objects.filter(teams=request.access.team_id), pk=pk)
    if not request.access.manages or request.access.team is None:
        raise PermissionDenied(_("Only a manager can import a history. Ask a manager of your team."))
    background.begin(BackgroundJob.Kind.IMPORT, person=request.user, team=request.access.team, token=token)
    messages.success(request, _("The import has begun. You may leave this page; it goes on."))
    return redirect("background")
