"""The page that an htmx request comes from. What it shows decides the answer."""

from django.http import QueryDict
from django.urls import reverse

from accounts.desk_request import DeskRequest, asking_address
from rentals.models import Rental
from rentals.queries.filters import BoardFilter


def has_room_for(request: DeskRequest, rental: Rental) -> bool:
    """Return whether the asking page shows the card of `rental`: its own page, or the desk if its filter matches."""
    address, _, _fragment = (asking_address(request) or reverse("desk")).partition("#")
    path, _, query = address.partition("?")
    if path != reverse("desk"):
        return path == reverse("rental", args=[rental.pk])
    return BoardFilter.from_query(QueryDict(query)).matches(rental, request.access)
