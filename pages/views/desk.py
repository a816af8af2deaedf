"""The desk: the form that rents a number, beside the live board."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from accounts.http import DeskRequest
from accounts.models import CopyAs
from pages.forms import RentForm
from pages.presenters import cards
from pages.views.asking_page import has_room_for
from rentals.models import Rental, Status
from rentals.queries.filters import BoardFilter


@require_safe
@never_cache
@gzip_page
def desk(request: DeskRequest) -> HttpResponse:
    """Show the form and the board."""
    return _page(request, RentForm(access=request.access))


def _page(request: DeskRequest, form: RentForm, status: int = 200) -> HttpResponse:
    board_filter = BoardFilter.from_query(request.GET)
    context = {
        "form": form,
        "filter": board_filter,
        "statuses": Status.choices,
        "services": [
            (line.service.key, line.service.name)
            for line in form.choices
            if line.used or line.service.key == board_filter.service
        ],
        "networks": [(name, name) for name in form.network_names],
        "cards": cards.board(request.access, board_filter),
        "query": request.GET.urlencode(),
        "copy_forms": CopyAs.choices,
    }
    return render(request, "pages/desk.html", context, status=status)


@require_POST
def rent(request: DeskRequest) -> HttpResponse:
    """Order one number."""
    if not request.access.may_rent:
        raise PermissionDenied(_("You may see your team's rentals, but not rent. Ask a manager of your team."))
    form = RentForm(request.POST, access=request.access)
    rental = form.order(request.user)
    if not request.htmx:
        if rental is None:
            return _page(request, form, status=422)
        messages.success(request, _("Ordered: %(service)s. The number appears below.") % {"service": rental.service})
        return redirect("desk")
    if rental is None:
        return render(request, "pages/_rent_form.html", {"form": form}, status=422)
    form_html = render_to_string("pages/_rent_form.html", {"form": form.next_order()}, request)
    return HttpResponse(form_html + _answer(request, Rental.objects.for_cards().get(pk=rental.pk)))


def _answer(request: DeskRequest, rental: Rental) -> str:
    if has_room_for(request, rental):
        return cards.render_card(rental, request.access, oob=True)
    said = _("Ordered: %(service)s. The filter hides it.") % {"service": rental.service}
    return render_to_string("_toast.html", {"said": said}, request)
