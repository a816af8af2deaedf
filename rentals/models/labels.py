"""Stored names in words for a person: events of a rental's timeline, sources of messages, recurring jobs, processes,
calls to ThueSim."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rentals.models.rentals import EventKind, MessageSource
from rentals.models.system import Heartbeat, JobName

EVENTS: Mapping[str, Promise] = {
    EventKind.ORDERED: _("Ordered"),
    EventKind.ASKED: _("ThueSim was asked for a number"),
    EventKind.REQUEUED: _("No number yet; the order waits for its next turn"),
    EventKind.MOVED: _("Moved to another token"),
    EventKind.RENTED: _("Number rented"),
    EventKind.RECEIVED: _("Message arrived"),
    EventKind.MESSAGE: _("Another message arrived"),
    EventKind.EXPIRED: _("Expired without a message"),
    EventKind.REFUSED: _("Not rented"),
    EventKind.UNCONFIRMED: _("Answer lost: checking whether a number was taken"),
    EventKind.CANCELLED: _("Cancelled"),
    EventKind.HANDED_OVER: _("Handed over"),
    EventKind.REFUNDED: _("Price refunded: seen in the balance"),
    EventKind.REFUND_TAKEN_BACK: _("The refund was booked by mistake and is taken back"),
    EventKind.PRICE: _("The price is put right: ThueSim charged another one than the catalogue's"),
    EventKind.IMPORTED: _("Found in ThueSim's history: rented elsewhere with the same token"),
}
SOURCES: Mapping[str, Promise] = {
    MessageSource.POLL: _("found by polling ThueSim"),
    MessageSource.CALLBACK: _("sent by ThueSim"),
    MessageSource.HISTORY: _("found in ThueSim's history"),
}
JOBS: Mapping[str, Promise] = {
    JobName.TICK: _("Scheduler"),
    JobName.STATISTICS: _("Success statistics"),
    JobName.BALANCE: _("Balance"),
    JobName.CATALOG: _("Catalogue"),
    JobName.RECONCILE: _("ThueSim's history"),
    JobName.STORAGE: _("Shared files"),
}
PROCESSES: Mapping[str, Promise] = {
    Heartbeat.Kind.WORKER: _("worker"),
    Heartbeat.Kind.BEAT: _("scheduler"),
}
# By the names that `thuesim.Call` gives; any other is the address of a recording.
CALLS: Mapping[str, Promise] = {
    "api/register-service": _("Rent a number"),
    "api/rephone": _("Rent the same number again"),
    "balance": _("Read the balance"),
    "code": _("Ask for a code"),
    "history": _("Read the history"),
    "networks": _("Read the networks"),
    "service": _("Read the services"),
}
