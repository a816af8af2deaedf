"""The services: price, waiting time and success rate of each, and the stars that put some of them first."""

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from accounts.desk_request import DeskRequest, local_address
from lib import charts
from lib.web import query_params
from rentals import budgets
from rentals.jobs import statistics
from rentals.models import Service, ServicePrice, StarredService
from rentals.models.catalog import searchable, with_key
from rentals.queries.prices import changed_prices

PER_PAGE = 100


@require_safe
@never_cache
@gzip_page
def services(request: DeskRequest) -> HttpResponse:
    """Show the services on offer: `?q=` a part of a name, `?show=starred|all`."""
    seen = statistics.seen_services(request.access)
    text, show = query_params.text(request.GET, "q"), request.GET.get("show", "")
    if text:
        seen = seen.filter(Q(search_name__contains=searchable(text)) | with_key(text))
    if show == "starred":
        seen = seen.filter(starred=True)
    elif show != "all":
        seen = seen.filter(allowed=True)
    page = Paginator(seen, PER_PAGE).get_page(request.GET.get("page"))
    lines = statistics.lines_of(request.access, page)
    changed = changed_prices([line.service for line in lines])
    rows = []
    for line in lines:
        prices = changed.get(line.service.pk)
        rows.append((line, prices and _chart(prices), prices and prices[-1].price - prices[-2].price))
    context = {
        "page": page,
        "rows": rows,
        "q": text,
        "show": show,
        "total": statistics.overall(request.access),
        "days": statistics.DAYS,
        "counted_at": statistics.counted_at(),
    }
    return render(request, "pages/services.html", context)


def _chart(prices: Sequence[ServicePrice]) -> charts.StepChart:
    return charts.step_chart([(price.since, price.price) for price in prices], until=timezone.now())


@require_safe
@never_cache
@gzip_page
def service(request: DeskRequest, pk: int) -> HttpResponse:
    """Show one service: its prices, its success and what a code cost, by network, by prefix and by both."""
    by_time = Prefetch("prices", ServicePrice.objects.order_by("since", "pk"))
    service = get_object_or_404(Service.objects.prefetch_related(by_time), pk=pk)
    networks, prefixes, both = statistics.by_network_and_prefix(request.access, service)
    prices = list(service.prices.all())
    context = {
        "service": service,
        "starred": StarredService.objects.filter(person=request.user, service=service).exists(),
        "allowed": budgets.services_of(request.access.team).filter(pk=pk).exists(),
        "figure": statistics.figure_of(request.access, service),
        "parts": [
            (_("By network"), _("Network"), networks),
            (_("By prefix"), _("Prefix"), prefixes),
            (_("By network and prefix"), _("Network and prefix"), both),
        ],
        "chart": _chart(prices),
        "prices": prices[::-1],
        "days": statistics.DAYS,
    }
    return render(request, "pages/service.html", context)


@require_POST
def service_star(request: DeskRequest, pk: int) -> HttpResponse:
    """Star a service, or remove the star: `starred` is `1` or nothing."""
    if not request.access.may_rent:
        raise PermissionDenied(_("You may see services, but not rent. Ask a manager of your team."))
    service = get_object_or_404(Service, pk=pk)
    starred = request.POST.get("starred") == "1"
    if starred:
        StarredService.objects.get_or_create(person=request.user, service=service)
    else:
        StarredService.objects.filter(person=request.user, service=service).delete()
    if request.htmx:
        return render(request, "pages/_star.html", {"service": service, "starred": starred})
    return redirect(local_address(request, "services"))
