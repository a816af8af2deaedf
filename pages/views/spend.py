"""What the team spent, for its managers."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from accounts.http import DeskRequest
from lib import charts
from pages.presenters.spend import Period, differences, spending, usual_periods


@require_safe
@never_cache
@gzip_page
def spend(request: DeskRequest) -> HttpResponse:
    """Show what was spent in a period: `?since=` and `?until=` are days, both included."""
    if not request.access.manages:
        raise PermissionDenied(_("Only a manager sees what the team spent. Ask a manager of your team."))
    period = Period.from_query(request.GET)
    spent = spending(request.access, period)
    context = {
        "period": period,
        "usual": usual_periods(),
        "spending": spent,
        "chart": charts.bar_chart([(day.label, day.charged, day.spent) for day in spent.days]),
        "days": [day for day in reversed(spent.days) if day.rentals],
        "differences": differences(request.access, period),
    }
    return render(request, "pages/spend.html", context)
