"""What calls take and answer, with descriptions and examples: the source of the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field

from accounts.forms import MAX_PRICE
from rentals.models import Status
from rentals.orders import MAX_KEEP_TRYING_MINUTES

MAX_ROW = 10**18 - 1
StatusName = Literal["queued", "placing", "waiting", "received", "expired", "refused", "unconfirmed", "cancelled"]
assert set(StatusName.__args__) == set(Status.values)  # type: ignore[attr-defined]


def storable(text: str) -> str:
    """Return a text that both databases store. Raises `ValueError` for NUL and lone surrogates."""
    if "\0" in text:
        raise ValueError("NUL")
    text.encode()  # UnicodeEncodeError is a ValueError
    return text


Text = Annotated[str, AfterValidator(storable)]
Word = Annotated[str, Field(max_length=40), AfterValidator(storable)]
RowId = Annotated[int, Field(ge=1, le=MAX_ROW)]
# In a body: no text that has digits, no true or false.
WholeNumber = Annotated[int, Field(strict=True)]


class Sent(Schema):
    """What is sent: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


class Problem(Schema):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str
    status: int = Field(examples=[422])
    code: str = Field(description="Stable: programs decide by it.", examples=["invalid"])
    detail: str = Field(description="A sentence in the language of `Accept-Language` (vi, en).")
    errors: list["FieldError"] = Field(description="What is wrong with which field.")
    scope: str | None = Field(None, description="With `forbidden`: the scope that the key lacks.")
    price: int | None = Field(None, description="With `price_exceeded`: what the service costs now, in đồng.")


class FieldError(Schema):
    field: str
    detail: str


class Named(Schema):
    id: int
    name: str


class Key(Schema):
    id: int
    name: str
    start: str = Field(description="The first characters of the key.", examples=["desk_k3JfQz"])
    expires_at: datetime | None


class Budget(Schema):
    """One budget that is set. `of` says whose: the key's, the person's or the team's."""

    of: Literal["key", "person", "team"]
    label: str
    unit: Literal["dong", "rentals"]
    limit: int
    used: int
    left: int


class Me(Schema):
    key: Key
    person: Named
    team: Named
    role: str = Field(examples=["operator"])
    scopes: list[str]
    budget: list[Budget] = Field(description="All budgets that count for the key's orders; empty: no limit.")
    server_time: datetime


class Service(Schema):
    id: str = Field(description="`SV.ID`, or `ID` where ThueSim names no server.", examples=["01.2"])
    name: str = Field(examples=["Zalo"])
    price: int | None = Field(description="In đồng.", examples=[1450])
    wait_seconds: int = Field(description="How long a number waits for its message.", examples=[300])
    allowed: bool = Field(description="Whether the team may order it.")
    success_share: float | None = Field(
        description="Of the team's own numbers of the last 30 days, the share that got a message; null: too few.",
        examples=[0.82],
    )
    median_seconds: float | None = Field(description="Median time to the code, of the team's own history.")


class Services(Schema):
    items: list[Service]
    next: str | None = None


class Network(Schema):
    id: int
    name: str = Field(examples=["VIETTEL"])
    prefixes: list[str] = Field(description="Likely first digits, with the 0.", examples=[["096", "097"]])


class Networks(Schema):
    items: list[Network]
    next: str | None = None


class Token(Schema):
    id: int
    name: str
    balance: int | None = Field(description="In đồng, as read at `balance_at`.")
    balance_at: datetime | None
    waiting: int = Field(description="Waiting places that the team uses.")
    limit: int | None = Field(description="Waiting places that ThueSim allows; null: not known yet.")
    queued: int
    next_free_at: datetime = Field(description="The token's next turn to take a number.")
    hold: str = Field(description="Why it takes no order now; empty: it does.", examples=["", "paused", "down"])


class Tokens(Schema):
    items: list[Token]
    next: str | None = None


class Order(Sent):
    """One order for one number."""

    service: Word = Field(description="`SV.ID`, or `ID` where that is unique.", examples=["01.2"])
    networks: list[Word] = Field([], max_length=20, examples=[["VIETTEL"]])
    prefixes: list[Word] = Field([], max_length=20, description="First digits, such as `096`.", examples=[["096"]])
    exclude_prefixes: list[Word] = Field([], max_length=20)
    purpose: Annotated[Text, Field(max_length=120)] = Field("", description="What the number is for.")
    keep_trying_minutes: WholeNumber = Field(
        0, ge=0, le=MAX_KEEP_TRYING_MINUTES, description="0: stop if none is free."
    )
    token: Annotated[RowId, Field(strict=True)] | None = Field(
        None, description="A token's `id`; null: the one that is likely to serve it first."
    )
    max_price: WholeNumber | None = Field(
        None, ge=0, le=MAX_PRICE, description="In đồng. Checked at the order, and right before it is sent."
    )


class Again(Sent):
    """Wishes for renting the same number again."""

    purpose: Annotated[Text, Field(max_length=120)] = Field("", description="Empty: that of the earlier rental.")
    max_price: WholeNumber | None = Field(None, ge=0, le=MAX_PRICE)


class ServiceName(Schema):
    id: str
    name: str


class Phone(Schema):
    national: str = Field(examples=["0852 222 127"])
    international: str = Field(examples=["+84852222127"])
    digits: str = Field(examples=["0852222127"])


class Message(Schema):
    id: int
    at: datetime
    text: str
    code: str = Field(description="As it is typed into a form; empty: none recognised, or it is masked.")
    is_call: bool
    source: str = Field(description="`poll`, `callback` or `history`.")
    late: bool = Field(description="Whether it came after the number's time.")


class Reason(Schema):
    code: str = Field(examples=["out_of_stock"])
    detail: str


class PriceLimit(Schema):
    """The most that a number might cost when it was ordered."""

    of: Literal["order", "team", "shown"] = Field(
        description="Whose limit it is: the order's `max_price`, the team's, or, without one of the order, the price shown."
    )
    limit: int = Field(description="In đồng.")


class Rental(Schema):
    """One order and its number. Money in đồng."""

    id: int
    upstream_id: str = Field(description="ThueSim's own id; empty until there is a number.")
    status: StatusName
    service: ServiceName
    network: str | None
    phone: Phone | None
    price: int | None
    price_limit: PriceLimit | None = Field(description="The limit that held for the price; null: none was kept.")
    refunded: int | None = Field(description="What was refunded; null: nothing.")
    purpose: str
    person: Named | None
    key: Named | None = Field(description="The API key with which it was ordered.")
    queued_at: datetime
    placed_at: datetime | None
    expires_at: datetime | None
    received_at: datetime | None
    ended_at: datetime | None
    place: int | None = Field(description="The place in the queue, from 1.")
    likely_seconds: int | None = Field(description="To its turn; null: not known, or not in the queue.")
    code: str | None = Field(
        description="The newest code, as it is typed into a form; null: none yet, masked, or several and none stands out."
    )
    codes: list[str] = Field(description="All codes, the one that counts first; all of a message that names several.")
    masked: bool = Field(description="Whether this key may not read the codes and texts that came.")
    messages: list[Message] = Field(description="Newest first.")
    reason: Reason | None = Field(description="Why it waits or ended as it did.")
    warnings: list[str]


class Rentals(Schema):
    items: list[Rental]
    next: str | None = Field(description="The cursor of the next page; null: this is the last one.")


class Waited(Rental):
    """The rental, and how the wait ended: neither flag is set where what was waited for is there."""

    timed_out: bool = Field(description="Not there yet: wait again, with this `after`.")
    ended: bool = Field(description="It never comes: the rental is over. See `status` and `reason`.")
    after: int | None = Field(description="The `id` of the newest message with a code, to go on with.")
