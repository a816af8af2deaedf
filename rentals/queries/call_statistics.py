"""How the upstream answered: the calls that `rentals.upstream.call_statistics` counted, per token and endpoint."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Max, Sum
from django.utils import timezone

from rentals.models import Token, UpstreamMinute, labels


@dataclass(frozen=True, slots=True)
class EndpointCalls:
    """The calls to one endpoint. A refusal such as "out of stock" is no error."""

    name: str
    calls: int
    errors: int
    average_ms: int
    slowest_ms: int

    @property
    def label(self) -> str:
        """What is asked for, for a person to read."""
        return str(labels.CALLS.get(self.name, self.name))


def calls_by_endpoint(tokens: Iterable[Token], *, within: timedelta) -> dict[int, list[EndpointCalls]]:
    """Return the calls of the last while by the token's key, each token's in the order of the endpoints' names.

    One query. A token without calls is left out.
    """
    rows = (
        UpstreamMinute.objects.filter(minute__gt=timezone.now() - within, token__in=tokens)
        .values_list("token", "endpoint")
        .annotate(Sum("calls"), Sum("faults"), Sum("milliseconds"), Max("slowest"))
        .order_by("token", "endpoint")
    )
    by_token: dict[int, list[EndpointCalls]] = {}
    for token_id, name, calls, errors, milliseconds, slowest in rows:
        endpoint = EndpointCalls(name, calls, errors, round(milliseconds / max(calls, 1)), slowest)
        by_token.setdefault(token_id, []).append(endpoint)
    return by_token
