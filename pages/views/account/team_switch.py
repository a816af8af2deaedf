"""The team switch: which of their teams a person works in."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.desk_request import DeskRequest, local_address
from accounts.page_team import work_in


@require_POST
def team_switch(request: DeskRequest) -> HttpResponse:
    """Work in another of the person's teams from now on."""
    number = request.POST.get("team", "")
    team = next((team for team in request.access.teams if str(team.pk) == number), None)
    if team is None:
        raise Http404
    work_in(request, team)
    return redirect(local_address(request))
