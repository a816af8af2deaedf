"""The prices that services had over time."""

from collections.abc import Iterable

from rentals.models import Service, ServicePrice


def changed_prices(services: Iterable[Service]) -> dict[int, list[ServicePrice]]:
    """Return the prices of each service whose price ever changed, the oldest first, by its primary key. One query."""
    by_service: dict[int, list[ServicePrice]] = {}
    for price in ServicePrice.objects.filter(service__in=services).order_by("since", "pk"):
        by_service.setdefault(price.service_id, []).append(price)
    return {pk: prices for pk, prices in by_service.items() if len(prices) > 1}
