"""One rental: its page, and what a person may do with it."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from accounts import audit, one_time_keys
from accounts.audit import OncePerDay
from accounts.desk_request import DeskRequest, local_address
from lib.web.query_params import whole_number
from pages.presenters import cards
from pages.presenters.rental import RentalPage, page_of
from pages.views.asking_page import has_room_for
from pages.views.fragments import part_of
from rentals import code_access, lifecycle, orders
from rentals.jobs import polling
from rentals.models import Rental, Status
from rentals.queries.number_memory import memory_of
from thuesim import phones


def _visible(request: DeskRequest, pk: int) -> Rental:
    return get_object_or_404(Rental.objects.for_cards().visible_to(request.access), pk=pk)


def _page(request: DeskRequest, page: RentalPage, *, revealed: bool = False) -> HttpResponse:
    """Show the page, which leads back to the history as it was searched."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    history = reverse("history")
    is_history = came_from.netloc == request.get_host() and came_from.path == history and came_from.query
    back = f"{history}?{came_from.query}" if is_history else history
    return render(request, "pages/rental.html", {"page": page, "revealed": revealed, "back": back})


@require_safe
@never_cache
@gzip_page
def rental(request: DeskRequest, pk: int) -> HttpResponse:
    """Show a rental with its timeline, messages, money and re-rentals, and who saw its code."""
    rental = _visible(request, pk)
    code_access.record_reads(request.access, [rental], request=request)
    return _page(request, page_of(rental, request.access))


@require_safe
@never_cache
@part_of("rental")
def number_memory(request: DeskRequest, pk: int) -> HttpResponse:
    """Show what the team knows of the rental's number: the part that is read before it is rented again."""
    memory = memory_of(request.access, _visible(request, pk).phone)
    return render(request, "pages/_number_memory.html", {"memory": memory})


@require_POST
def rent_again(request: DeskRequest, pk: int) -> HttpResponse:
    """Order the same number once more."""
    earlier = _visible(request, pk)
    if not request.access.may_rent or request.access.team is None:
        raise PermissionDenied(_("You may see your team's rentals, but not rent. Ask a manager of your team."))
    forms = phones.forms(earlier.phone)
    phone = forms.national if forms else ""
    try:
        order = orders.take_order(
            orders.Order(
                person=request.user,
                team=request.access.team,
                service=earlier.service,
                purpose=request.POST.get("purpose", "") or earlier.purpose,
                again_of=earlier,
                # The buttons of the history share one form, and have the price in their address.
                price_seen=whole_number(request.POST.get("price_seen") or request.GET.get("price_seen", "")),
            ),
            key=one_time_keys.key_of(request),
        )
    except orders.PriceRose as rose:
        # The card comes with the new price, which its button then agrees to.
        return _answer(request, rose.sentence, level=messages.ERROR, changed=_shown(request, earlier))
    except orders.OrderRefused as refused:
        return _answer(request, refused.sentence, level=messages.ERROR)
    except orders.OrderedAlready as already:
        sentence = _("Ordered again already: %(phone)s. It is not ordered twice.") % {"phone": phone}
        return _answer(request, sentence, level=messages.INFO, changed=_shown(request, already.rental, earlier))
    return _answer(request, _("Ordered again: %(phone)s.") % {"phone": phone}, changed=_shown(request, order, earlier))


@require_POST
def order_like(request: DeskRequest, pk: int) -> HttpResponse:
    """Order as this rental was ordered: a new number with the same wishes, or the same number where it was that one.

    `keep_trying` is for how many minutes, at most `orders.MAX_KEEP_TRYING_MINUTES`.
    """
    earlier = _visible(request, pk)
    if not request.access.may_rent or request.access.team is None:
        raise PermissionDenied(_("You may see your team's rentals, but not rent. Ask a manager of your team."))
    again_of = earlier.again_of if earlier.status == Status.REFUSED else None
    try:
        order = orders.take_order(
            orders.Order(
                person=request.user,
                team=request.access.team,
                service=earlier.service,
                networks=earlier.networks,
                prefixes=earlier.prefixes,
                exclude_prefixes=earlier.exclude_prefixes,
                purpose=earlier.purpose,
                keep_trying_minutes=whole_number(request.POST.get("keep_trying", "")) or 0,
                token=earlier.token if earlier.token_pinned and again_of is None else None,
                again_of=again_of,
                price_seen=whole_number(request.POST.get("price_seen", "")),
                max_price=earlier.max_price,
            ),
            key=one_time_keys.key_of(request),
        )
    except orders.PriceRose as rose:
        return _answer(request, rose.sentence, level=messages.ERROR, changed=_shown(request, earlier))
    except orders.OrderRefused as refused:
        return _answer(request, refused.sentence, level=messages.ERROR)
    except orders.OrderedAlready as already:
        sentence = _("Ordered already: %(service)s. It is not ordered twice.") % {"service": earlier.service}
        return _answer(request, sentence, level=messages.INFO, changed=_shown(request, already.rental, earlier))
    sentence = _("Ordered: %(service)s.") % {"service": earlier.service}
    return _answer(request, sentence, changed=_shown(request, order, earlier))


def _shown(request: DeskRequest, *rentals: Rental) -> list[int]:
    """Return which of the cards the asking page shows anew. An earlier one gets a form for yet another order."""
    return [rental.pk for rental in rentals if has_room_for(request, rental)]


@require_POST
def cancel(request: DeskRequest, pk: int) -> HttpResponse:
    """Take an order out of the queue."""
    rental = _visible(request, pk)
    if not request.access.may_cancel(rental):
        raise PermissionDenied(_("Only the person who ordered, or a manager, can cancel this order."))
    if lifecycle.cancel(rental, person=request.user):
        return _answer(request, _("Cancelled. Nothing was charged."), changed=[pk])
    sentence = _("Too late: the order has left the queue. A rented number cannot be returned.")
    return _answer(request, sentence, level=messages.ERROR, changed=[pk])


@require_POST
def check(request: DeskRequest, pk: int) -> HttpResponse:
    """Poll this number now."""
    rental = _visible(request, pk)
    if not request.access.may_rent:
        raise PermissionDenied
    polling.poll_now(rental)
    return _answer(request, _("Asking ThueSim now. The answer appears by itself."), changed=[pk])


@require_POST
@never_cache
def reveal(request: DeskRequest, pk: int) -> HttpResponse:
    """Show a masked code to a person who may reveal it. The reveal is recorded first."""
    rental = _visible(request, pk)
    if not request.access.may_reveal(rental):
        raise PermissionDenied(_("You may not read this code. Ask the person who rented the number, or a manager."))
    if not request.access.sees_code(rental):
        target = audit.about(rental)
        audit.record(audit.Action.REVEAL, person=request.user, team=rental.team, target=target, request=request)
    else:
        code_access.record_reads(request.access, [rental], request=request)
    if request.htmx:
        return HttpResponse(cards.render_card(rental, request.access, oob=True, revealed=True))
    page = page_of(rental, request.access, revealed=True)
    return _page(request, page, revealed=True)


@require_POST
def copied(request: DeskRequest, pk: int) -> HttpResponse:
    """Record that the page's script has put the code into the clipboard, once a day."""
    rental = _visible(request, pk)
    if not code_access.shows(rental, request.access) and not code_access.was_revealed_to(request.access, rental):
        raise PermissionDenied
    copy = OncePerDay(audit.Action.COPY, request.user.pk, rental.team_id, audit.about(rental))
    audit.record_once_a_day([copy], request=request)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _answer(
    request: DeskRequest, sentence: str, *, level: int = messages.SUCCESS, changed: Sequence[int] = ()
) -> HttpResponse:
    """Show what happened: a line and the cards that changed, or without htmx the page that the person came from."""
    if not request.htmx:
        messages.add_message(request, level, sentence)
        return redirect(local_address(request))
    line = render(request, "_toast.html", {"sentence": sentence, "failed": level == messages.ERROR})
    shown = [_visible(request, pk) for pk in changed]
    code_access.record_reads(request.access, shown, request=request)
    return HttpResponse(
        line.content.decode() + "".join(cards.render_card(rental, request.access, oob=True) for rental in shown)
    )
