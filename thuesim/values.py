"""What ThueSim says, as values."""

import enum
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """The money on the account, in đồng."""

    amount: int


@dataclass(frozen=True, slots=True)
class Network:
    """A carrier; `name` is what `rent(networks=…)` takes."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Service:
    """Something one can receive codes for: `id` on server `sv` (`""` where it has none), its price in đồng, and the
    seconds until a rental expires."""

    sv: str
    id: str
    name: str
    price: int | None
    seconds: int

    @property
    def key(self) -> str:
        """The `serviceId` to rent with: `"02.97"`, or `"97"` without a server."""
        return f"{self.sv}.{self.id}" if self.sv else self.id


class State(enum.StrEnum):
    """How far a rental is, as the upstream sees it."""

    WAITING = "waiting"
    RECEIVED = "received"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived: `code` is `""` where none stands out; `audio_url` is the recording of a call, perhaps relative.

    `second_code` is `""` but where the service's code and the text disagree: then it is the other one of the two.

    A text of more than `limits.MAX_TEXT_BYTES` is cut, and ends with `limits.CUT_MARK`.
    """

    text: str
    code: str
    is_call: bool
    audio_url: str
    second_code: str = ""


@dataclass(frozen=True, slots=True)
class Rented:
    """A number taken: `id` exactly as given, `phone` in E.164, price and balance in đồng, `created_at` aware."""

    id: str
    phone: str
    price: int | None
    balance: int | None
    service_id: str
    service_name: str
    created_at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class CodeReply:
    """The answer to "has a message come?"."""

    state: State
    message: Message | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A past rental. RECEIVED without a message is possible: the list may leave out what `code` would tell.

    `phone` is `""` where the list masks it.
    """

    id: str
    service_id: str
    service_name: str
    state: State
    price: int | None
    phone: str
    created_at: datetime | None
    message: Message | None


@dataclass(frozen=True, slots=True)
class CallbackBody:
    """What ThueSim posted to our callback address."""

    id: str
    state: State
    message: Message | None


def rental_key(id: str) -> str:
    """Return the part before the dot: ids with and without `.SV` are one rental (`88237016.01`, `88237016`)."""
    return id.strip().partition(".")[0]
