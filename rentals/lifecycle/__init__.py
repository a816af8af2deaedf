"""The state machine of a rental: the only package that changes one.

    queued      → placing | cancelled | refused
    placing     → waiting | queued | refused | unconfirmed
    unconfirmed → waiting | refused
    waiting     → received | expired
    expired     → received
    refused     → waiting

`placing` is committed before the request leaves. `unconfirmed` means that a number may have been taken; only evidence
moves it. `expired → received`: messages come late. `refused → waiting`: an order given up as "not taken" whose number
shows up in the history after all, so that a paid number is never lost. `received` never goes back; later messages are
added to it. `cancelled` is the end: only an order that was never sent can be cancelled.

Each transition writes the status, a line of the timeline, the ledger line and the announcement in one transaction. It is
a compare-and-set on the status: the second of two callers changes nothing and gets False. No function here calls the
upstream. A transition that this state diagram does not have raises `IllegalTransition`.
"""

from rentals.lifecycle.handing_over import hand_over
from rentals.lifecycle.importing import record_imported
from rentals.lifecycle.money import correct_price, explain, hold_token, refund, take_back
from rentals.lifecycle.transitions import (
    LEGAL,
    PRICE_ASSUMED,
    DuplicateNumber,
    IllegalTransition,
    cancel,
    expire,
    fingerprint,
    message_arrived,
    move_to_token,
    number_taken,
    phone_learned,
    queue,
    recording_kept,
    recording_lost,
    refuse,
    refuse_for_price,
    requeue,
    start_attempt,
    unconfirm,
)

__all__ = [
    "LEGAL",
    "PRICE_ASSUMED",
    "DuplicateNumber",
    "IllegalTransition",
    "cancel",
    "correct_price",
    "expire",
    "explain",
    "fingerprint",
    "hand_over",
    "hold_token",
    "message_arrived",
    "move_to_token",
    "number_taken",
    "phone_learned",
    "queue",
    "record_imported",
    "recording_kept",
    "recording_lost",
    "refund",
    "refuse",
    "refuse_for_price",
    "requeue",
    "start_attempt",
    "take_back",
    "unconfirm",
]
