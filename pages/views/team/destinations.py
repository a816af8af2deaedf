"""Where the team's events go: its managers add destinations, choose events, read the log of deliveries."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import one_time_keys
from accounts.desk_request import DeskRequest
from pages.views.team.destination_form import PROBLEMS, DestinationForm
from pages.views.team.team import managed_team
from rentals import destinations as rules
from rentals.jobs.delivering import SWITCH_OFF_AFTER
from rentals.models import Delivery, Destination, OutgoingEvent
from rentals.models.destinations import TEST

SHOWN = 50
SOON = timedelta(seconds=15)  # while something is sent within it, the page asks what came of it
_Action = Callable[[DeskRequest, Destination], HttpResponse | str]


@require_safe
@never_cache
def destinations(request: DeskRequest) -> HttpResponse:
    """Show the team's destinations, and the form of a new one of the kind `?kind=`."""
    team = managed_team(request)
    kind = request.GET.get("kind", "")
    kind = kind if kind in Destination.Kind.values else Destination.Kind.WEBHOOK
    events = {"events": OutgoingEvent.values}
    return _list(request, DestinationForm(kind=kind, team=team, initial=events))


def _list(request: DeskRequest, form: DestinationForm) -> HttpResponse:
    found = Destination.objects.filter(team=managed_team(request)).select_related("person")
    context = {"destinations": found, "form": form, "kinds": Destination.Kind.choices}
    return render(request, "pages/team/destinations.html", context, status=422 if form.is_bound else 200)


@require_POST
@never_cache
def destination_add(request: DeskRequest) -> HttpResponse:
    """Add a destination; a webhook's secret is shown, this once."""
    team = managed_team(request)
    kind = request.POST.get("kind", "")
    kind = kind if kind in Destination.Kind.values else Destination.Kind.WEBHOOK
    form = DestinationForm(request.POST, kind=kind, team=team)
    if not form.is_valid():
        return _list(request, form)
    try:
        added = rules.add(
            team,
            by=request.user,
            language=get_language() or "en",
            form_key=one_time_keys.key_of(request),
            kind=kind,
            **form.values(),
        )
    except rules.NotDone as refused:
        messages.error(request, refused.sentence)
        return redirect("destinations")
    if added.kind == Destination.Kind.WEBHOOK:
        return _secret(request, added)
    messages.success(request, _("Added. Send a test to see whether events arrive."))
    return redirect("destination", added.pk)


def _secret(request: DeskRequest, destination: Destination, *, replaced: bool = False) -> HttpResponse:
    context = {"destination": destination, "link": destination.secret.reveal(), "replaced": replaced}
    return render(request, "pages/team/destination_secret.html", context)


@require_safe
@never_cache
def destination(request: DeskRequest, pk: int) -> HttpResponse:
    """Show one destination and the log of its deliveries."""
    return _page(request, _of_team(request, pk))


def _of_team(request: DeskRequest, pk: int) -> Destination:
    found = Destination.objects.select_related("team", "person")
    return get_object_or_404(found, pk=pk, team=managed_team(request))


def _page(request: DeskRequest, destination: Destination, form: DestinationForm | None = None) -> HttpResponse:
    labels = {**dict(OutgoingEvent.choices), TEST: _("a test")}
    deliveries = list(destination.deliveries.select_related("rental")[:SHOWN])
    soon = timezone.now() + SOON
    context = {
        "destination": destination,
        "form": form or DestinationForm(kind=destination.kind, team=destination.team, instance=destination),
        "deliveries": [(one, labels.get(one.event, one.event), PROBLEMS.get(one.problem, "")) for one in deliveries],
        "is_sending": any(one.state == Delivery.State.PENDING and one.next_try < soon for one in deliveries),
        "switches_off_at": destination.failing_since and destination.failing_since + SWITCH_OFF_AFTER,
    }
    return render(request, "pages/team/destination.html", context, status=422 if form else 200)


def _action(view: _Action) -> Callable[..., HttpResponse]:
    """Make the view of a button on a destination's page: it does one thing, and shows what was done or why not."""

    @require_POST
    @never_cache
    @wraps(view)
    def act(request: DeskRequest, pk: int) -> HttpResponse:
        destination = _of_team(request, pk)
        try:
            done = view(request, destination)
        except rules.NotDone as refused:
            messages.error(request, refused.sentence)
            return redirect("destination", pk)
        if isinstance(done, HttpResponse):
            return done
        messages.success(request, done)
        return redirect("destination", pk)

    return act


@_action
def destination_change(request: DeskRequest, destination: Destination) -> HttpResponse | str:
    """Change what is sent, and where to."""
    form = DestinationForm(request.POST, kind=destination.kind, team=destination.team, instance=destination)
    if not form.is_valid():
        return _page(request, destination, form)
    rules.change(destination, by=request.user, **form.values())
    return _("Saved.")


@_action
def destination_secret(request: DeskRequest, destination: Destination) -> HttpResponse | str:
    """Replace a webhook's secret, and show the new one, this once."""
    if destination.kind != Destination.Kind.WEBHOOK:
        raise rules.NotDone(_("Only a webhook has a signing secret."))
    rules.replace_secret(destination, by=request.user)
    return _secret(request, destination, replaced=True)


@_action
def destination_test(request: DeskRequest, destination: Destination) -> HttpResponse | str:
    """Send a test."""
    rules.send_test(destination, by=request.user)
    return _("The test is on its way. What the receiver answers stands here in a moment.")


@_action
def destination_switch(request: DeskRequest, destination: Destination) -> HttpResponse | str:
    """Switch a destination on or off."""
    if "on" in request.POST:
        rules.switch_on(destination, by=request.user)
        return _("Switched on.")
    rules.switch_off(destination, Destination.OffReason.MANAGER, by=request.user)
    return _("Switched off. What happens meanwhile is not sent later.")


@_action
def destination_delete(request: DeskRequest, destination: Destination) -> HttpResponse | str:
    """Delete a destination with its log."""
    rules.delete(destination, by=request.user)
    messages.success(request, _("Deleted."))
    return redirect("destinations")


@_action
def destination_again(request: DeskRequest, destination: Destination) -> HttpResponse | str:
    """Send a delivery of the log once more."""
    number = request.POST.get("delivery", "")
    found = Delivery.objects.filter(destination=destination).select_related("destination__team")
    delivery = get_object_or_404(found, pk=int(number) if number.isascii() and number.isdecimal() else 0)
    rules.send_again(delivery, by=request.user)
    return _("It is sent again.")
