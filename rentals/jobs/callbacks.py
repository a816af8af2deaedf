"""Callbacks (API page, section 3.3): kept as they come, then applied, at the latest when their rental is known.

The web process applies a callback as soon as it is committed. The tick finds those that are still to be applied: where
the web process died or the database refused, and where the callback came before the reply to its order.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

import thuesim
from rentals import enqueue
from rentals.jobs.outcomes import apply
from rentals.models import Callback, MessageSource, Rental, Status, Token
from rentals.upstream.drift import record as record_drift
from thuesim.decoding import storable

logger = logging.getLogger(__name__)


def number_known(rental: Rental) -> None:
    """A rental got its number: apply the callbacks that came for it before, and poll it soon."""
    for callback in Callback.objects.filter(
        token=rental.token_id,
        upstream_key=rental.upstream_key,
        state__in=[Callback.State.UNKNOWN, Callback.State.PENDING],
    ).order_by("at"):
        apply_callback(callback)
    enqueue.poll_token(rental.token_id, in_seconds=settings.THUESIM_POLL_SECONDS)


def receive_callback(token: Token, body: bytes, *, content_type: str, address: str | None) -> Callback:
    """Keep a callback as it came, committed; an unreadable one, too, for an admin to read. Applies nothing.

    The caller answers the upstream with 200 only after this.
    """
    # Byte by byte as it came, but for a token: no table of ours holds one.
    body = thuesim.redact(body.decode("latin-1")).encode("latin-1", "replace")
    kept_type = storable(content_type)[:100]
    callback = Callback(token=token, at=timezone.now(), body=body, content_type=kept_type, address=address)
    try:
        result = thuesim.parse_callback(body, content_type, on_drift=record_drift)
        callback.upstream_key = thuesim.rental_key(result.id)
    except thuesim.Gibberish as error:
        callback.state = Callback.State.UNREADABLE
        logger.warning("a callback for token %s is unreadable: %s", token.pk, error)
    callback.save()
    return callback


def apply_callback(callback: Callback) -> bool:
    """Apply a readable callback. Returns whether it changed a rental.

    Safe to repeat, and to run at once in several processes: the rental's row is locked while a message is added, and a
    message that is there already adds nothing. Raises `DatabaseError`; the callback then stays to be applied.
    """
    state = Callback.State
    result = thuesim.parse_callback(bytes(callback.body), callback.content_type)
    rental = (
        Rental.objects.filter(token=callback.token_id, upstream_key=callback.upstream_key)
        .select_related("service", "token")
        .first()
    )
    if rental is None:
        Callback.objects.filter(pk=callback.pk).exclude(state=state.APPLIED).update(state=state.UNKNOWN)
        if Rental.objects.filter(token=callback.token_id, status=Status.UNCONFIRMED).exists():
            enqueue.reconcile(callback.token_id)  # it may be the number of that order
        return False
    with transaction.atomic():
        changed = apply(rental, result.state, result.message, source=MessageSource.CALLBACK)
        Callback.objects.filter(pk=callback.pk).update(state=state.APPLIED, rental=rental, applied_at=timezone.now())
    return changed


def due_callbacks() -> list[int]:
    """The callbacks that are still to be applied: at most 500, the oldest first."""
    known_now = Rental.objects.filter(token=OuterRef("token"), upstream_key=OuterRef("upstream_key"))
    recent = timezone.now() - timedelta(days=1)
    waiting = Q(state=Callback.State.PENDING) | (
        Q(state=Callback.State.UNKNOWN, at__gt=recent) & ~Q(upstream_key="") & Exists(known_now)
    )
    return list(Callback.objects.filter(waiting).order_by("at").values_list("pk", flat=True)[:500])
