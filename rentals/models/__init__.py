"""The tables of rentals, tokens, money and operation. A rental's status is changed by `rentals.lifecycle` alone."""

from rentals.models import plain_text
from rentals.models.callbacks import Callback
from rentals.models.catalog import Network, Prefix, Service, ServicePrice, StarredService
from rentals.models.destinations import Delivery, Destination, OutgoingEvent
from rentals.models.money import BalanceQuestion, BalanceReading, LedgerEntry
from rentals.models.reason_codes import reason_code
from rentals.models.rentals import (
    EventKind,
    Message,
    MessageSource,
    Rental,
    RentalEvent,
    Status,
    equal_codes,
    several_codes,
)
from rentals.models.statistics import CountedDay, ServiceFigure
from rentals.models.sums import SpendSum, Uncounted
from rentals.models.system import (
    BackgroundJob,
    ContractDrift,
    ExportedCode,
    Heartbeat,
    JobName,
    JobRun,
    Machine,
    MachineClock,
    PublicUrlCheck,
    UpstreamMinute,
)
from rentals.models.tokens import CallbackAddress, Hold, Token

__all__ = [
    "BackgroundJob",
    "BalanceQuestion",
    "BalanceReading",
    "Callback",
    "CallbackAddress",
    "ContractDrift",
    "CountedDay",
    "Delivery",
    "Destination",
    "EventKind",
    "ExportedCode",
    "Heartbeat",
    "Hold",
    "JobName",
    "JobRun",
    "LedgerEntry",
    "Machine",
    "MachineClock",
    "Message",
    "MessageSource",
    "Network",
    "OutgoingEvent",
    "Prefix",
    "PublicUrlCheck",
    "Rental",
    "RentalEvent",
    "Service",
    "ServiceFigure",
    "ServicePrice",
    "SpendSum",
    "StarredService",
    "Status",
    "Token",
    "Uncounted",
    "UpstreamMinute",
    "equal_codes",
    "plain_text",
    "reason_code",
    "several_codes",
]
