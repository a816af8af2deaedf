"""Settle an unconfirmed order by a callback while ThueSim's history cannot be read.

A callback names neither service nor phone number, so it is evidence only where one pair is possible: one order is in
doubt, one id is unknown and higher than all known ones, the token is not used elsewhere, and ThueSim confirms that the id
is the token's. The phone number follows with the history.
"""

from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

import thuesim
from rentals import lifecycle
from rentals.jobs import callbacks, outcomes
from rentals.models import Callback, MessageSource, Rental, Status, Token
from rentals.upstream import breaker
from rentals.upstream.client import client_for

# A token with a rental that was made elsewhere this recently is used elsewhere.
USED_ELSEWHERE = timedelta(days=1)


def settle_by_callback(token: Token, in_doubt: list[Rental]) -> int:
    """Give the only order in doubt the number that the only unknown callback is for. Returns how many it settled: 0 or 1.

    `in_doubt` are all orders that an unknown number may belong to. Raises `ThueSimError`.
    """
    if len(in_doubt) != 1 or in_doubt[0].status != Status.UNCONFIRMED:
        return 0
    [rental] = in_doubt
    callback = _only_unknown(token, rental)
    if callback is None or _used_elsewhere(token) or not _is_latest(token, callback.upstream_key):
        return 0
    id_ = thuesim.parse_callback(bytes(callback.body), callback.content_type).id
    try:
        with breaker.reporting(token):
            reply = client_for(token).code(id_)
    except thuesim.UnknownSession:
        return 0
    rented = thuesim.Rented(
        id=id_,
        phone=rental.phone,  # of a number rented again; else the history tells it
        price=None,
        balance=None,
        service_id="",
        service_name="",
        created_at=None,
        message="",
    )
    try:
        taken = lifecycle.number_taken(rental, rented, at=rental.attempt_at)
    except lifecycle.DuplicateNumber:
        return 0
    if taken:
        outcomes.apply(rental, reply.state, reply.message, source=MessageSource.POLL)
        callbacks.number_known(rental)
    return int(taken)


def _only_unknown(token: Token, rental: Rental) -> Callback | None:
    """Return the callback with an unknown id since the order's last request; None where there is none, or several ids."""
    known = Rental.objects.filter(token=OuterRef("token"), upstream_key=OuterRef("upstream_key"))
    unknown = token.callbacks.filter(
        at__gte=rental.attempt_at, state__in=[Callback.State.UNKNOWN, Callback.State.PENDING]
    )
    found = list(unknown.exclude(upstream_key="").exclude(Exists(known)).order_by("at")[:20])
    return found[0] if len({callback.upstream_key for callback in found}) == 1 else None


def _used_elsewhere(token: Token) -> bool:
    return token.rentals.filter(imported=True, queued_at__gt=timezone.now() - USED_ELSEWHERE).exists()


def _is_latest(token: Token, key: str) -> bool:
    """Whether the id is a number above those of the token's latest rentals: ids only go up."""
    latest = token.rentals.exclude(upstream_key="").order_by("-placed_at").values_list("upstream_key", flat=True)[:20]
    return key.isdecimal() and all(not old.isdecimal() or int(key) > int(old) for old in latest)
