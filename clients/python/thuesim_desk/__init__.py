"""Rent one-time Vietnamese numbers from a ThueSim Desk, and wait for their codes."""

from .desk import Desk
from .errors import (
    CodeNotFound,
    CodeTimeout,
    Conflict,
    DeskError,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    NotRented,
    NumberTimeout,
    RateLimited,
    RentalExpired,
    ServerError,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    WaitTimeout,
)
from .rental import Code, Message, PhoneNumber, Rental
from .version import VERSION as __version__

__all__ = [
    "Code",
    "CodeNotFound",
    "CodeTimeout",
    "Conflict",
    "Desk",
    "DeskError",
    "Forbidden",
    "IdempotencyInProgress",
    "IdempotencyMismatch",
    "Invalid",
    "Message",
    "NotFound",
    "NotRented",
    "NumberTimeout",
    "PhoneNumber",
    "RateLimited",
    "Rental",
    "RentalExpired",
    "ServerError",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitTimeout",
    "__version__",
]
