"""What a filter's list has, for a part of a name."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.desk_request import DeskRequest
from pages.presenters.options import Kind, find_parameter
from pages.presenters.options import options as options_of
from pages.views.fragments import part_of


@require_safe
@never_cache
@part_of("history")
def options(request: DeskRequest) -> HttpResponse:
    """Show the options that `?find_service=`, `?find_person=`, `?find_token=` or `?find_network=` finds; services with their
    keys for `?with_keys`."""
    kinds = tuple(kind for kind in Kind if find_parameter(kind) in request.GET)
    if len(kinds) != 1:
        raise Http404
    found = options_of(request.access, request.GET, kinds)[kinds[0]]
    return render(request, "pages/_options.html", {"found": found.with_keys if "with_keys" in request.GET else found})
