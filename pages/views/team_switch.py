"""The team switch: which of their teams a person works in."""

from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.http import DeskRequest, local_address
from lib import announce


@require_POST
def team_switch(request: DeskRequest) -> HttpResponse:
    """Work in another of the person's teams from now on."""
    number = request.POST.get("team", "")
    team = next((team for team in request.access.teams if str(team.pk) == number), None)
    if team is None:
        raise Http404
    request.user.team = team
    with transaction.atomic():
        request.user.save(update_fields=["team"])
        announce.person(request.user.pk)  # their other windows are of the former team
    return redirect(local_address(request))
