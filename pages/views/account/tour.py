"""The tour of the desk: left or ended, it is remembered with the person; asked for, the desk shows it again."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.desk_request import DeskRequest

ASKED_FOR = "tour_asked_for"  # in the session, until the tour is left or ended


@require_POST
def tour(request: DeskRequest) -> HttpResponse:
    """Remember that the person has left or ended the tour of their role; with `again`, show it on the desk once more."""
    person, name = request.user, request.access.tour
    others = [seen for seen in person.tours_seen if seen != name]
    again = "again" in request.POST
    if name:
        person.tours_seen = others if again else [*others, name]
        person.save(update_fields=["tours_seen"])
    if again:
        request.session[ASKED_FOR] = True
    else:
        request.session.pop(ASKED_FOR, None)
    return redirect("desk") if again else HttpResponse(status=204)
