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

from accounts import one_time_keys
from accounts.desk_request import DeskRequest
from accounts.models import CopyAs
from lib.web.confirmation import never_asks
from lib.web.query_params import text
from pages.forms import RentForm, offers_like
from pages.forms import offers as groups_of
from pages.presenters import cards, setup
from pages.presenters.board import Board, board_for
from pages.presenters.options import Kind, Options, find_parameter, options
from pages.presenters.tour import Tour, tour_of
from pages.views.account.tour import ASKED_FOR
from pages.views.asking_page import has_room_for
from pages.views.fragments import part_of
from rentals import code_access, orders
from rentals.models import Network, Rental, Status
from rentals.queries.filters import BoardFilter

MAX_KEY = 40  # characters of a service's key in an address


@require_safe
@never_cache
@gzip_page
def desk(request: DeskRequest) -> HttpResponse:
    """Show the form and the board. `?rent=` is the key of a service that is chosen already.

    A desk for the true service without a token leads its admins to the set-up, unless they put it off by `?later`.
    """
    chosen = request.GET.get("rent", "")[:MAX_KEY]
    form = RentForm(access=request.access, initial={"service": chosen})
    if not form.tokens and setup.is_needed(request.access) and "later" not in request.GET:
        return redirect("setup")
    return _page(request, form)


def _page(request: DeskRequest, form: RentForm, status: int = 200) -> HttpResponse:
    board_filter = BoardFilter.from_query(request.GET)
    shown = board_for(request.access, board_filter, codes_first=request.user.codes_first)
    code_access.record_reads(request.access, [card.rental for card in shown.cards], request=request)
    context = {
        "form": form,
        "filter": board_filter,
        "statuses": Status.choices,
        "services": _services_of(request, form, board_filter.service),
        "networks": [(name, name) for name in form.network_names],
        "board": shown,
        "query": request.GET.urlencode(),
        "copy_forms": CopyAs.choices,
        "setup_goes_on": all(card.rental.imported for card in shown.cards) and setup.goes_on(request.access),
        "tour": _tour(request, shown),
    }
    return render(request, "pages/desk.html", context, status=status)


def _services_of(request: DeskRequest, form: RentForm, chosen: str) -> Options:
    """Return the services that the board's filter lists: those that the team uses, and what is chosen."""
    pairs = [(line.service.key, line.service.name) for line in form.choices if line.used or line.service.key == chosen]
    if text(request.GET, find_parameter(Kind.SERVICE)) or (chosen and chosen not in dict(pairs)):
        return options(request.access, request.GET, (Kind.SERVICE,))[Kind.SERVICE]
    return Options(pairs, form.more_services)


def _tour(request: DeskRequest, shown: Board) -> Tour | None:
    """Return the person's tour. While a number of theirs waits it would be in the way, but for one they asked for."""
    waits = any(
        card.rental.person_id == request.user.pk and card.rental.status in Status.open() for card in shown.cards
    )
    if waits and ASKED_FOR not in request.session:
        return None
    return tour_of(request.access, request.user.tours_seen)


@require_safe
@never_cache
@part_of("desk")
@gzip_page
def offers(request: DeskRequest) -> HttpResponse:
    """Show the services that the text `?q=` finds, as the form lists them."""
    found, more = offers_like(request.access, text(request.GET, "q"))
    names = Network.objects.filter(active=True).values_list("name", flat=True)
    return render(request, "pages/_offers.html", {"groups": groups_of(request.access, found, names), "more": more})


@never_asks  # the price stands on its button
@require_POST
def rent(request: DeskRequest) -> HttpResponse:
    """Order one number."""
    if not request.access.may_rent:
        raise PermissionDenied(_("You may see your team's rentals, but not rent. Ask a manager of your team."))
    form = RentForm(request.POST, access=request.access)
    try:
        rental = form.order(request.user, one_time_keys.key_of(request))
    except orders.OrderedAlready as again:
        return _ordered_already(request, form, again)
    if rental is None:
        return _wrong(request, form)
    if not request.htmx:
        messages.success(request, _("Ordered: %(service)s. The number appears below.") % {"service": rental.service})
        return redirect("desk")
    return _done(request, form, rental)


def _wrong(request: DeskRequest, form: RentForm) -> HttpResponse:
    if request.htmx:
        return render(request, "pages/_rent_form.html", {"form": form}, status=422)
    return _page(request, form, status=422)


def _done(request: DeskRequest, form: RentForm, rental: Rental, *, already: str = "") -> HttpResponse:
    form_html = render_to_string("pages/_rent_form.html", {"form": form.next_order()}, request)
    return HttpResponse(form_html + _answer(request, Rental.objects.for_cards().get(pk=rental.pk), already=already))


def _ordered_already(request: DeskRequest, form: RentForm, again: orders.OrderedAlready) -> HttpResponse:
    """Answer the second of two forms alike with the first one's order. One that asks for something else gets a new key."""
    if again.differs:
        sentence = _(
            "This form has ordered %(service)s already (#%(number)s). To order something else as well, send it again."
        )
        form.add_error(None, sentence % {"service": again.rental.service, "number": again.rental.pk})
        form.renew_key()
        return _wrong(request, form)
    sentence = _("Ordered already: %(service)s. It is not ordered twice.") % {"service": again.rental.service}
    if request.htmx:
        return _done(request, form, again.rental, already=sentence)
    messages.info(request, sentence)
    return redirect("desk")


def _answer(request: DeskRequest, rental: Rental, *, already: str) -> str:
    has_room = has_room_for(request, rental)
    if has_room:
        code_access.record_reads(request.access, [rental], request=request)
    card = cards.render_card(rental, request.access, oob=True) if has_room else ""
    sentence = already or (
        "" if has_room else _("Ordered: %(service)s. The filter hides it.") % {"service": rental.service}
    )
    return card + (render_to_string("_toast.html", {"sentence": sentence}, request) if sentence else "")
