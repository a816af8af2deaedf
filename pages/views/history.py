"""The history: all rentals of the team, filtered, sorted, page by page."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from accounts.http import DeskRequest
from pages.presenters import history
from rentals.models import Status
from rentals.queries.filters import HistoryFilter


@require_safe
@never_cache
@gzip_page
def rentals(request: DeskRequest) -> HttpResponse:
    """Show one page of the history."""
    wanted = HistoryFilter.from_query(request.GET)
    sort = request.GET.get("sort", "")
    page = history.page(
        request.access, wanted, sort=sort, after=request.GET.get("after", ""), before=request.GET.get("before", "")
    )
    offered = history.options(request.access)
    context = {
        "filter": wanted,
        "page": page,
        "options": offered,
        "chosen": history.chosen(wanted, offered, request.GET),
        "statuses": Status.choices,
        "sortings": history.SORTINGS.values(),
        "sort": sort if sort in history.SORTINGS else "newest",
    }
    return render(request, "pages/history.html", context)
