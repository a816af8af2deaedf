"""The page that an htmx request comes from: what it shows decides what it is answered."""

from django.http import QueryDict
from django.urls import reverse

from accounts.http import DeskRequest
from rentals.models import Rental
from rentals.queries.filters import BoardFilter


def has_room_for(request: DeskRequest, rental: Rental) -> bool:
    """Whether the asking page shows a card of `rental`: its own page, or the desk where its filter lets it through."""
    path, _, query = (request.htmx.current_url_abs_path or reverse("desk")).partition("?")
    if path != reverse("desk"):
        return path == reverse("rental", args=[rental.pk])
    return BoardFilter.from_query(QueryDict(query)).matches(rental, request.access)
