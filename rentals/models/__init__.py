"""What the desk keeps. A rental's status is changed by `rentals.lifecycle` alone."""

from rentals.models.catalog import Network, Prefix, Service, ServicePrice
from rentals.models.inbox import Callback, ContractDrift, JobRun
from rentals.models.money import BalanceReading, LedgerEntry
from rentals.models.rentals import Message, Rental, RentalEvent, Status
from rentals.models.tokens import CallbackAddress, Hold, Token

__all__ = [
    "BalanceReading",
    "Callback",
    "CallbackAddress",
    "ContractDrift",
    "Hold",
    "JobRun",
    "LedgerEntry",
    "Message",
    "Network",
    "Prefix",
    "Rental",
    "RentalEvent",
    "Service",
    "ServicePrice",
    "Status",
    "Token",
]
