"""What of the budgets remains for the person and their team."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.desk_request import DeskRequest
from pages.views.fragments import part_of
from rentals.budgets import remaining_for


@require_safe
@never_cache
@part_of("team")
def budgets(request: DeskRequest) -> HttpResponse:
    """Show the remaining budgets as a fragment."""
    return render(request, "pages/_budgets.html", {"budgets": remaining_for(request.access)})
