"""The history: all rentals of the team, filtered, sorted, page by page."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from accounts.desk_request import DeskRequest
from pages.presenters.history import REFUNDS, SORTINGS, chosen, page_of, unmatched
from pages.presenters.options import options
from rentals import code_access
from rentals.models import Status
from rentals.queries.filters import HistoryFilter


@require_safe
@never_cache
@gzip_page
def history(request: DeskRequest) -> HttpResponse:
    """Show one page of the history: `?after=` and `?before=` are cursors, `?sort=` one of `SORTINGS`."""
    history_filter = HistoryFilter.from_query(request.GET)
    sort = request.GET.get("sort", "")
    page = page_of(
        request.access,
        history_filter,
        sort=sort,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    code_access.record_reads(request.access, page.rentals, request=request)
    offered = options(request.access, request.GET)
    context = {
        "filter": history_filter,
        "page": page,
        "options": offered,
        "chosen": chosen(history_filter, offered, request.GET),
        "unmatched": unmatched(request.access, history_filter, offered, request.GET),
        "statuses": Status.choices,
        "refunds": REFUNDS.items(),
        "sortings": SORTINGS.values(),
        "sort": sort if sort in SORTINGS else "newest",
        "read_url": f"{request.path}?{request.GET.urlencode()}",
        # New orders come in on the newest page alone.
        "follows_new": not {"q", "sort", "after", "before"} & request.GET.keys(),
    }
    return render(request, "pages/history.html", context)
