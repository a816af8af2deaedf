"""Rent one-time Vietnamese numbers from a ThueSim Desk, and wait for their codes."""

from .desk import Desk
from .errors import (
    Conflict,
    DeskError,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from .rental import (
    Code,
    CodeNotFound,
    CodeTimeout,
    Message,
    NotRented,
    NumberTimeout,
    PhoneNumber,
    Rental,
    RentalExpired,
    WaitTimeout,
)
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
