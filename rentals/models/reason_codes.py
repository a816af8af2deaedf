"""The words by which programs are told why an order waits or ended, in the API and in outgoing events."""

from collections.abc import Mapping

# By the key of `rentals.lifecycle.reasons`, where programs are told a more general one. The others are codes themselves.
CODES: Mapping[str, str] = {
    "low_balance": "insufficient_balance",
    "suspended": "service_unavailable",
    "team_budget": "budget_exceeded",
    "own_budget": "budget_exceeded",
    "own_rentals": "budget_exceeded",
    "key_budget": "budget_exceeded",
    "key_rentals": "budget_exceeded",
    "price_rose": "price_exceeded",
    "team_price": "price_exceeded",
    "upstream": "upstream_down",
    "unreachable": "upstream_down",
    "not_allowed": "forbidden",
    "no_right": "forbidden",
    "too_many": "rate_limited",
    "disk_full": "unavailable",
}


def reason_code(reason: str) -> str:
    """Return the code of a reason's key, `""` of none."""
    return CODES.get(reason, reason)
