"""The team switch: which of their teams a person works in."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.desk_request import DeskRequest, local_address
from accounts.page_team import work_in
from lib.web.query_params import text
from thuesim.folding import without_accents

MAX_SHOWN = 50


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def team_switch(request: DeskRequest) -> HttpResponse:
    """Work in another of the person's teams from now on; a GET shows them, `?q=` those whose name contains it."""
    if request.method != "POST":
        return _page(request)
    team = request.access.reachable_team(request.POST.get("team"))
    if team is None:
        raise Http404
    work_in(request, team)
    return redirect(local_address(request))


def _page(request: DeskRequest) -> HttpResponse:
    q = text(request.GET, "q")
    names = request.access.reachable_teams().values_list("pk", "name")
    found = [(pk, name) for pk, name in names if without_accents(q) in without_accents(name)]
    context = {"q": q, "teams": found[:MAX_SHOWN], "more": max(0, len(found) - MAX_SHOWN)}
    return render(request, "pages/team_switch.html", context)
