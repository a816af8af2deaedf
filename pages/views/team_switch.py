"""The team switch: which of their teams a person works in."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.http import DeskRequest


@require_POST
def team_switch(request: DeskRequest) -> HttpResponse:
    """Work in another of the person's teams from now on."""
    number = request.POST.get("team", "")
    team = next((team for team in request.access.teams if str(team.pk) == number), None)
    if team is None:
        raise Http404
    request.user.team = team
    request.user.save(update_fields=["team"])
    return redirect("desk")
