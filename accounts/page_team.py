"""The team that a page was made for. Its forms and requests name it, so that none acts on the team switched to since."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from accounts.models import Team, User
from accounts.policy import Access, access_for
from lib import announce
from lib.web.kept_form import kept_form

# In a form, and in the address of the stream; the header goes with every request of a script.
FIELD, HEADER = "page_team", "X-Page-Team"
# In a form that is sent again from the page that refused it: its sender goes back to the team that it is of.
RETURNS = "back_to_page_team"

# What belongs to the person, whichever team they work in.
_OF_THE_PERSON = (
    "account_",
    "mfa_",
    "usersessions_",
    "language",
    "preferences",
    "team_switch",
    "tour",
    "join",
    "admin:",
)


def differs(named: str, access: Access) -> bool:
    """Whether a page names another team than the one that the person works in.

    What names none is the request of a program, about the team of now. A person without a team is told so by each page.
    """
    return bool(named) and access.team_id is not None and named != str(access.team_id)


class PageTeamMiddleware:
    """Answer 409 to a page of another team than the one that its reader switched to elsewhere, and do nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        access = getattr(request, "access", None)
        name = (request.resolver_match and request.resolver_match.view_name) or ""
        if access is None or name.startswith(_OF_THE_PERSON):
            return None
        named = request.headers.get(HEADER) or request.POST.get(FIELD, "")
        if not differs(named, access):
            return None
        team = access.reachable_team(named)
        if team is None or RETURNS not in request.POST:
            return _refused(request, team)
        work_in(request, team)
        return None


def work_in(request: HttpRequest, team: Team) -> None:
    """Let the person work in another of their teams from now on, this request included."""
    person: User = request.user  # type: ignore[assignment]
    person.team = team
    with transaction.atomic():
        person.save(update_fields=["team"])
        announce.person(person.pk)  # their other windows are of the former team
    request.access = access_for(person)  # type: ignore[attr-defined]


def _refused(request: HttpRequest, team: Team | None) -> HttpResponse:
    """Say in one sentence which `team` the page is of, if it is one of the person's, and lead on with the one of now or back
    to the other. What was typed stays: it can be sent for the team that it is of."""
    context: dict[str, Any] = {"page_team": team, "changed": request.method == "POST"}
    if not request.headers.get("HX-Request"):
        context |= kept_form(request)
        if "fields" in context:
            own = {"csrfmiddlewaretoken", RETURNS}
            context["fields"] = [field for field in context["fields"] if field[0] not in own] + [(RETURNS, "yes")]
        return render(request, "409.html", context, status=409)
    response = render(request, "_team_switched.html", context, status=409)
    response["HX-Reswap"] = "none"  # what was typed stays
    return response
