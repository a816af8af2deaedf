"""A waiting number is handed over to a colleague, who then reads its code."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.desk_request import DeskRequest
from accounts.models import User
from pages.forms import HandOverForm
from rentals import lifecycle
from rentals.models import Rental, Status
from thuesim import phones


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def hand_over(request: DeskRequest, pk: int) -> HttpResponse:
    """Ask to whom, and hand the number over."""
    rental = get_object_or_404(Rental.objects.for_cards().visible_to(request.access), pk=pk)
    if rental.person is not None and request.POST.get("person") == str(rental.person_id):
        messages.info(request, _sentence_of_the_owner(rental, request.user))
        return redirect("rental", pk)
    if not request.access.may_hand_over(rental):
        raise PermissionDenied(_("Only the person whose number it is, or a manager, can hand it over."))
    form = HandOverForm(request.POST if request.method == "POST" else None, rental=rental)
    phone = phones.pretty(rental.phone)
    if rental.status == Status.WAITING and not form.is_valid():
        context = {"form": form, "rental": rental, "phone": phone, "mine": rental.person_id == request.user.pk}
        return render(request, "pages/hand_over.html", context, status=422 if form.is_bound else 200)
    if rental.status == Status.WAITING and lifecycle.hand_over(rental, to=form.cleaned_data["person"], by=request.user):
        values = {"phone": phone, "person": rental.person}
        messages.success(request, _("%(phone)s was handed over to %(person)s.") % values)
        return redirect("desk")
    messages.error(request, _why_not(rental, request.user))
    return redirect("rental", pk)


def _why_not(rental: Rental, reader: User) -> str:
    rental.refresh_from_db(fields=["status", "person"])
    if rental.status == Status.WAITING:  # two people handed it over at the same moment
        return _sentence_of_the_owner(rental, reader)
    return _("Too late: only a number that still waits for its code can be handed over.")


def _sentence_of_the_owner(rental: Rental, reader: User) -> str:
    values = {"phone": phones.pretty(rental.phone), "person": rental.person}
    if rental.person == reader:
        return _("%(phone)s is yours already.") % values
    return _("%(phone)s is %(person)s's already.") % values
