"""The parts of the desk that are read again while it is open."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from rentals import cards
from rentals.filters import BoardFilter
from rentals.token_states import token_states
from thuesim_site.http import DeskRequest


@require_safe
@never_cache
def board(request: DeskRequest) -> HttpResponse:
    """The whole board, for the filter in the address."""
    found = cards.board(request.access, BoardFilter.from_query(request.GET))
    return render(request, "rentals/_board.html", {"cards": found})


@require_safe
@never_cache
def tokens(request: DeskRequest) -> HttpResponse:
    """The tokens' balances and waiting places."""
    return render(request, "rentals/_tokens.html", {"tokens": token_states(request.access)})
