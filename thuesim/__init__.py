"""The language of thuesim.xyz as typed values. Pure Python: neither Django, nor settings, nor a database.

>>> from thuesim import Client
>>> Client(token).rent("02.97", networks=["VIETTEL"])
Rented(id='88237016.01', phone='+84852222127', …)
"""

from .audio import Audio
from .client import Call, Client, Reply
from .codes import extract_code
from .drift import Drift
from .errors import (
    AudioRefused,
    CannotConnect,
    ConnectionLost,
    Gibberish,
    InsufficientBalance,
    InvalidToken,
    KeptBack,
    NotRented,
    NumberUnclear,
    OutcomeUnknown,
    OutOfStock,
    PendingLimitReached,
    Redirected,
    RedirectedElsewhere,
    Rejected,
    ServerError,
    ServiceUnavailable,
    ThueSimError,
    TimedOut,
    TooSoon,
    UnknownSession,
    UpstreamError,
)
from .redaction import RedactingFilter, Secret, redact
from .replies import parse_callback
from .values import (
    Balance,
    CallbackBody,
    CodeReply,
    HistoryEntry,
    Message,
    Network,
    Rented,
    Service,
    State,
    rental_key,
)

__all__ = [
    "Audio",
    "AudioRefused",
    "Balance",
    "Call",
    "CallbackBody",
    "CannotConnect",
    "Client",
    "CodeReply",
    "ConnectionLost",
    "Drift",
    "Gibberish",
    "HistoryEntry",
    "InsufficientBalance",
    "InvalidToken",
    "KeptBack",
    "Message",
    "Network",
    "NotRented",
    "NumberUnclear",
    "OutOfStock",
    "OutcomeUnknown",
    "PendingLimitReached",
    "RedactingFilter",
    "Redirected",
    "RedirectedElsewhere",
    "Rejected",
    "Rented",
    "Reply",
    "Secret",
    "ServerError",
    "Service",
    "ServiceUnavailable",
    "State",
    "ThueSimError",
    "TimedOut",
    "TooSoon",
    "UnknownSession",
    "UpstreamError",
    "extract_code",
    "parse_callback",
    "redact",
    "rental_key",
]
