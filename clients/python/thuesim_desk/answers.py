"""The shapes of the desk's answers, as they come. Amounts in đồng, times in RFC 3339; a newer desk may send more fields."""

from __future__ import annotations

from typing import TypedDict


class Named(TypedDict):
    """What has an id and a name."""

    id: int
    name: str


class Budget(TypedDict):
    """One budget that is set. `of` is `key`, `person` or `team`; `unit` is `dong` or `rentals`."""

    of: str
    label: str
    unit: str
    limit: int
    used: int
    left: int


class Key(TypedDict, total=False):
    """An API key; `start` has its first characters."""

    id: int
    name: str
    start: str
    expires_at: str | None


class Me(TypedDict, total=False):
    """`GET me`: whose key this is and what it may do."""

    key: Key
    person: Named
    team: Named
    role: str
    scopes: list[str]
    budget: list[Budget]
    server_time: str


class Service(TypedDict, total=False):
    """A service: `id` as in `01.2`; success share (0 to 1) and median are of the team's own history."""

    id: str
    name: str
    price: int | None
    wait_seconds: int
    allowed: bool
    success_share: float | None
    median_seconds: float | None


class Network(TypedDict, total=False):
    """A carrier, with the first digits its numbers usually have."""

    id: int
    name: str
    prefixes: list[str]


class Token(TypedDict, total=False):
    """An API token of ThueSim: the balance as read at `balance_at`, waiting places, and why it takes no order (`hold`)."""

    id: int
    name: str
    balance: int | None
    balance_at: str | None
    waiting: int
    limit: int | None
    queued: int
    next_free_at: str
    hold: str


class PhoneData(TypedDict):
    """One number in three forms: `0852 222 127`, `+84852222127`, `0852222127`."""

    national: str
    international: str
    digits: str


class MessageData(TypedDict, total=False):
    """One message. `is_call` is true for a voice call; `late` for one that came after the number's time."""

    id: int
    at: str
    text: str
    code: str
    is_call: bool
    source: str
    late: bool


class ReasonData(TypedDict):
    """Why an order waits or ended: a stable word and a sentence."""

    code: str
    detail: str


class PriceLimitData(TypedDict):
    """The limit that held for a price, in đồng, and whose it was: `order`, `team` or `shown`."""

    of: str
    limit: int


class ServiceName(TypedDict):
    """A service's id and name."""

    id: str
    name: str


class RentalData(TypedDict, total=False):
    """One rental."""

    id: int
    upstream_id: str
    status: str
    service: ServiceName
    network: str | None
    phone: PhoneData | None
    price: int | None
    price_limit: PriceLimitData | None
    refunded: int | None
    purpose: str
    person: Named | None
    key: Named | None
    queued_at: str
    placed_at: str | None
    expires_at: str | None
    received_at: str | None
    ended_at: str | None
    place: int | None
    likely_seconds: int | None
    code: str | None
    codes: list[str]
    masked: bool
    messages: list[MessageData]
    reason: ReasonData | None
    warnings: list[str]
