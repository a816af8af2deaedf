"""The prices that services had over time."""

from collections.abc import Iterable
from datetime import datetime

from rentals.models import Service, ServicePrice


def changed_prices(services: Iterable[Service]) -> dict[int, list[ServicePrice]]:
    """Return the prices of each service whose price ever changed, the oldest first, by its primary key. One query."""
    by_service: dict[int, list[ServicePrice]] = {}
    for price in ServicePrice.objects.filter(service__in=services).order_by("since", "pk"):
        by_service.setdefault(price.service_id, []).append(price)
    return {pk: prices for pk, prices in by_service.items() if len(prices) > 1}


def price_at(service: Service, at: datetime) -> int | None:
    """Return what a service cost at a moment, in đồng, as far as is known. One query."""
    prices = ServicePrice.objects.filter(service=service, since__lte=at).order_by("-since", "-pk")
    return prices.values_list("price", flat=True).first()
