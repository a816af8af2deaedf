"""The parsers by the names of their endpoints."""

from collections.abc import Callable

from thuesim import replies
from thuesim.drift import DriftSink


def rent(body: bytes, *, on_drift: DriftSink | None = None) -> replies.Rented:
    return replies.parse_rented(body, endpoint="rent", on_drift=on_drift)


def rent_again(body: bytes, *, on_drift: DriftSink | None = None) -> replies.Rented:
    return replies.parse_rented(body, endpoint="rent_again", on_drift=on_drift)


def callback(body: bytes, *, on_drift: DriftSink | None = None) -> replies.CallbackBody:
    return replies.parse_callback(body, "application/json", on_drift=on_drift)


PARSERS: dict[str, Callable[..., object]] = {
    "balance": replies.parse_balance,
    "networks": replies.parse_networks,
    "services": replies.parse_services,
    "rent": rent,
    "rent_again": rent_again,
    "code": replies.parse_code,
    "history": replies.parse_history,
    "callback": callback,
}
