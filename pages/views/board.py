"""The parts of the desk that an open page reads again."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from accounts.desk_request import DeskRequest
from pages.presenters import catch_up
from pages.presenters.board import board_for
from pages.views.fragments import part_of
from rentals import code_access
from rentals.queries.filters import BoardFilter
from rentals.queries.tokens import token_list


@require_safe
@never_cache
@part_of("desk")
@gzip_page
def board(request: DeskRequest) -> HttpResponse:
    """Show the whole board for the filter in the address, with `?since=` (ms since 1970) also the news since then."""
    board_filter = BoardFilter.from_query(request.GET)
    since = catch_up.moment_of(request.GET.get("since", ""))
    shown = board_for(request.access, board_filter, codes_first=request.user.codes_first)
    code_access.record_reads(request.access, [card.rental for card in shown.cards], request=request)
    context = {
        "board": shown,
        "filter": board_filter,
        "news": catch_up.news(request.access, board_filter, since) if since else None,
    }
    return render(request, "pages/_board.html", context)


@require_safe
@never_cache
@part_of("desk")
def tokens(request: DeskRequest) -> HttpResponse:
    """Show the tokens' balances and waiting places, and at the top of the page whether ThueSim answers."""
    return render(request, "pages/_tokens.html", {"tokens": token_list(request.access), "with_outage": True})
