"""A model of ThueSim in memory: the numbers that it gave, the money on the account, and its answer to the next call.

`answer` says how the next call for a number ends; `hidden` is how many of the newest numbers the history omits.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

import thuesim
from rentals import lifecycle
from rentals.lifecycle import reasons
from rentals.models import Rental
from thuesim.errors import ThueSimError

OPENING = 1_000_000  # đồng on the account at first


class Killed(BaseException):
    """SIGKILL: nothing after it runs."""


@dataclass
class Number:
    """A number that the upstream gave and charged for; `order` is the label of the order that it was for."""

    id: int
    order: str
    service: str
    phone: str
    price: int
    made: datetime
    codes: list[str] = field(default_factory=list)
    expired: bool = False
    refunded: bool = False


class Upstream:
    """What ThueSim did, and how it answers the next call."""

    def __init__(self) -> None:
        self.numbers: list[Number] = []
        self.refunds = 0
        self.top_ups: list[int] = []
        self.old_balance: int | None = None
        self.sent: Counter[str] = Counter()
        self.uncertain: set[str] = set()
        self.answer = "given"
        self.history_answers, self.hidden = True, 0

    @property
    def balance(self) -> int:
        return OPENING - sum(number.price for number in self.numbers) + self.refunds + sum(self.top_ups)

    def rent(self, _client: object, service: str, *, exclude_prefixes: list[str], **_wishes: object) -> thuesim.Rented:
        [order] = exclude_prefixes
        assert order not in self.uncertain, "sent again although a number may have been taken"
        self.sent[order] += 1
        return self._answer(order, service)

    def _answer(self, order: str, service: str) -> thuesim.Rented:
        refusals: dict[str, ThueSimError] = {
            "out of stock": thuesim.OutOfStock("het so"),
            "too soon": thuesim.TooSoon("qua nhanh"),
            "limit": thuesim.PendingLimitReached("toi da", limit=50),
            "error": thuesim.UpstreamError("co loi"),
            "no connection": thuesim.CannotConnect("refused"),
        }
        if self.answer in refusals:
            raise refusals[self.answer]
        self.uncertain.add(order)
        if self.answer == "lost before":
            raise thuesim.TimedOut("")
        if self.answer == "killed before":
            raise Killed
        number = self._take(order, service)
        if self.answer == "killed after":
            raise Killed
        if self.answer == "lost after":
            raise thuesim.ConnectionLost("")
        if self.answer == "overtaken by the sweep":
            rental = Rental.objects.get(exclude_prefixes=[order])
            lifecycle.unconfirm(rental, reason=reasons.WORKER_DIED)
        return thuesim.Rented(f"{number.id}.02", number.phone, number.price, self.balance, "", "", number.made, "")

    def _take(self, order: str, service: str) -> Number:
        count = len(self.numbers)
        number = Number(
            88_000_000 + count, order, service, f"+8496{count:07d}", 1000 + 10 * (count % 4), timezone.now()
        )
        self.numbers.append(number)
        return number

    def number_of(self, id: str) -> Number:
        return next(number for number in self.numbers if str(number.id) == thuesim.rental_key(id))

    def code(self, _client: object, id: str) -> thuesim.CodeReply:
        state, message = self.state_of(self.number_of(id))
        return thuesim.CodeReply(state, message)

    @staticmethod
    def state_of(number: Number) -> tuple[thuesim.State, thuesim.Message | None]:
        if number.codes:
            return thuesim.State.RECEIVED, sms(number.codes[-1])
        return (thuesim.State.EXPIRED if number.expired else thuesim.State.WAITING), None

    def history(self, _client: object, **_filters: object) -> list[thuesim.HistoryEntry]:
        if not self.history_answers:
            raise thuesim.ServerError("502")
        shown = self.numbers[: len(self.numbers) - self.hidden]
        return [
            thuesim.HistoryEntry(str(n.id), n.service.rpartition(".")[2], "", state, n.price, n.phone, n.made, message)
            for n in reversed(shown)
            for state, message in [self.state_of(n)]
        ]

    def balance_now(self, _client: object) -> thuesim.Balance:
        return thuesim.Balance(self.balance if self.old_balance is None else self.old_balance)


def sms(code: str) -> thuesim.Message:
    return thuesim.Message(f"Ma cua ban la {code}", code, is_call=False, audio_url="")
