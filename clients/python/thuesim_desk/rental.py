"""One rental: its number, its messages, the waits for both, and what is raised about it."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import errors
from .answers import MessageData, PhoneData, RentalData
from .connection import Connection, Patience

if TYPE_CHECKING:
    from types import TracebackType

_T = TypeVar("_T")
MAX_WAIT_SECONDS = 60  # of one request, by the API
_GRACE_SECONDS = 5  # what an answer may take beyond the wait that it was asked for


class NotRented(errors.DeskError):
    """There is no number and nothing was charged. `reason` says why: `out_of_stock`, `budget_exceeded`, …

    `rental` is None where the desk refused the order before it was one.
    """

    def __init__(self, detail: str, *, reason: str = "", rental: Rental | None = None, **more: Any) -> None:
        super().__init__(detail, code=reason, **more)
        self.rental = rental

    @property
    def reason(self) -> str:
        """The stable word for why there is no number."""
        return self.code


class _OfRental(errors.DeskError):
    """What is raised about one `rental`."""

    def __init__(self, detail: str, *, rental: Rental) -> None:
        super().__init__(detail)
        self.rental = rental


class RentalExpired(_OfRental, code="expired"):
    """The number's time ended without a code."""


class CodeNotFound(RentalExpired):
    """Messages came, but none of them has a code: read `rental.messages`."""


class WaitTimeout(_OfRental, TimeoutError, code="timeout"):
    """It did not happen within the `timeout` of the call. The rental goes on: wait again with `rental`.

    `__cause__` is the last failure where the desk did not answer at the end.
    """


class NumberTimeout(WaitTimeout):
    """No number yet."""


class CodeTimeout(WaitTimeout):
    """No code yet. `rental.messages` has what came without one."""


class PhoneNumber(str):
    """A number as forms take it, `0852222127`, with its other forms beside it."""

    national: str
    international: str

    def __new__(cls, forms: PhoneData) -> PhoneNumber:
        """Return the number of these forms."""
        number = super().__new__(cls, forms["digits"])
        number.national, number.international = forms["national"], forms["international"]
        return number


class Code(str):
    """A code as a form takes it. `message` is the one it came in, None where the desk does not tell."""

    message: Message | None

    def __new__(cls, text: str, message: Message | None = None) -> Code:
        """Return the code with its message."""
        code = super().__new__(cls, text)
        code.message = message
        return code


class Message:
    """One message of a rental, or a voice call (`is_call`). `code` is empty where the desk found none."""

    def __init__(self, data: MessageData) -> None:
        self.id = data["id"]
        self.at = _time(data.get("at"))
        self.text = data.get("text") or ""
        self.code = data.get("code") or ""
        self.is_call = bool(data.get("is_call"))
        self.late = bool(data.get("late"))

    def __repr__(self) -> str:
        return f"<Message {self.id}>"  # neither text nor code: a repr ends in logs


class Rental:
    """One order and, once it is rented, its number. What it shows is as of the last answer: `refresh()` asks again.

    As a context manager it cancels the order at the end if it is still in the queue; a number that was rented stays
    rented until its time is over, since ThueSim knows no earlier end.
    """

    def __init__(self, connection: Connection, data: RentalData) -> None:
        self._connection, self.data = connection, data

    def __repr__(self) -> str:
        return f"<Rental {self.id} {self.status}>"

    def __enter__(self) -> Rental:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def id(self) -> int:
        """The desk's id."""
        return self.data["id"]

    @property
    def status(self) -> str:
        """`queued`, `placing`, `unconfirmed`, `waiting`, `received`, `expired`, `refused` or `cancelled`."""
        return self.data["status"]

    @property
    def service(self) -> str:
        """The service's id, as `01.2`."""
        return self.data["service"]["id"]

    @property
    def phone(self) -> PhoneNumber | None:
        """The number, None before there is one."""
        forms = self.data.get("phone")
        return PhoneNumber(forms) if forms else None

    @property
    def price(self) -> int | None:
        """What it costs, in đồng."""
        return self.data.get("price")

    @property
    def code(self) -> Code | None:
        """The newest code, None before there is one."""
        text = self.data.get("code")
        if not text:
            return None
        return Code(text, next((message for message in reversed(self.messages) if message.code == text), None))

    @property
    def messages(self) -> list[Message]:
        """Its messages, the oldest first."""
        return sorted((Message(data) for data in self.data.get("messages") or []), key=lambda message: message.id)

    @property
    def expires_at(self) -> datetime | None:
        """When its time is over."""
        return _time(self.data.get("expires_at"))

    @property
    def reason(self) -> str:
        """The stable word for why the order waits or ended; empty where there is none."""
        reason = self.data.get("reason")
        return reason["code"] if reason else ""

    @property
    def detail(self) -> str:
        """`reason` as a sentence."""
        reason = self.data.get("reason")
        return reason["detail"] if reason else ""

    def refresh(self) -> Rental:
        """Ask the desk how it stands, and return itself."""
        self.data = self._connection.call("GET", f"rentals/{self.id}")
        return self

    def wait_for_number(self, timeout: float = 120) -> PhoneNumber:
        """Return the number once there is one; `timeout` in seconds.

        Raises `NotRented` if there will be none, `NumberTimeout`, or the final error of a call.
        """
        number = self.phone or self._wait("number", timeout, None, NumberTimeout, lambda: self.phone)
        if number is None:
            raise self._not_rented()
        return number

    def wait_for_code(self, timeout: float = 300, *, after: Code | Message | int | None = None) -> Code:
        """Return the code once there is one, at once where there is one already; `timeout` in seconds.

        `after` is a message's id (or the message, or a code with its message) that is not to be returned again: with
        `after=code` it waits for the next one. Goes on over lost connections and restarts of the desk.
        Raises `CodeTimeout`, `RentalExpired`, `CodeNotFound`, `NotRented`, or what a call raises that is final.
        """
        first = _message_id(after)
        code = self._wait("code", timeout, first, CodeTimeout, lambda: self._code_after(first))
        if code is None:
            raise self._without_code()
        return code

    def wait_for_end(self, timeout: float = 1800) -> Rental:
        """Return itself once nothing happens to it any more; `timeout` in seconds. Raises `WaitTimeout`."""
        self._wait("end", timeout, None, WaitTimeout, lambda: None)
        return self

    def cancel(self) -> Rental:
        """Cancel an order that is still in the queue. Raises `Conflict` once it was sent: a number cannot be returned."""
        try:
            self._take(self._connection.call("POST", f"rentals/{self.id}/cancel"))
        except errors.DeskError as error:
            # A repeated request finds the work of the first, whose answer was lost.
            if error.status not in {409, 422} or self.refresh().status != "cancelled":
                raise
        return self

    def again(self, *, purpose: str = "", max_price: int | None = None, idempotency_key: str = "") -> Rental:
        """Rent the same number once more, and return the new rental. Raises as `Desk.rent`."""
        body = {"purpose": purpose, "max_price": max_price}
        return order(self._connection, f"rentals/{self.id}/again", body, idempotency_key)

    def check(self) -> Rental:
        """Ask ThueSim about the number now, and return itself."""
        self._take(self._connection.call("POST", f"rentals/{self.id}/check"))
        return self

    def audio(self) -> bytes:
        """Return the recording of a voice call. Raises `NotFound` where there is none."""
        return self._connection.download(f"rentals/{self.id}/audio")

    def close(self) -> None:
        """Cancel the order if it is still in the queue. Never raises a `DeskError`: it also runs after a failed test."""
        if self.status in {"queued", "placing"}:
            with contextlib.suppress(errors.DeskError):
                self.cancel()

    def _wait(
        self,
        what: Literal["number", "code", "end"],
        timeout: float,
        after: int | None,
        kind: type[WaitTimeout],
        found: Callable[[], _T | None],
    ) -> _T | None:
        """Hold one request after the other until `found()` has something, and return it; None where the rental ended.

        Raises `kind` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        patience = Patience(deadline)
        while True:
            asked_at = time.monotonic()
            seconds = max(1, min(MAX_WAIT_SECONDS, math.ceil(deadline - asked_at)))
            try:
                answer = self._ask_and_wait(what, seconds, after)
            except errors.DeskError as error:
                self._pause(patience, error, kind)
                continue
            patience.reset()
            self._take(answer)
            if (result := found()) is not None:
                return result
            if answer.get("ended") or (what == "end" and not answer.get("timed_out")):
                return None
            if answer.get("timed_out"):
                after = _cursor(answer) or after
            elif self.data.get("masked"):
                raise errors.Forbidden(
                    f"rental {self.id}: a code came, but this key may not read it (scope codes:read)"
                )
            if time.monotonic() >= deadline:
                raise kind(self._timeout_text(what), rental=self)
            if time.monotonic() - asked_at < 0.5:  # a desk that shuts down answers its waits early
                time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))

    def _ask_and_wait(self, what: str, seconds: int, after: int | None) -> dict[str, Any]:
        query = {"for": what, "timeout": seconds, "after": after}
        path, timeout = f"rentals/{self.id}/wait", seconds + _GRACE_SECONDS
        answer: dict[str, Any] = self._connection.once("GET", path, query=query, timeout=timeout)
        return answer

    def _pause(self, patience: Patience, error: errors.DeskError, kind: type[WaitTimeout]) -> None:
        try:
            patience.pause(error)
        except errors.DeskError:
            if not error.transient:
                raise
            text = f"rental {self.id}: the desk did not answer at the end of the wait: {error}"
            raise kind(text, rental=self) from error

    def _take(self, answer: dict[str, Any]) -> None:
        self.data = answer  # type: ignore[assignment]  # a wait's answer is the rental and how the wait ended

    def _code_after(self, after: int | None) -> Code | None:
        if after is None:
            return self.code
        newer = [message for message in self.messages if message.id > after and message.code]
        return Code(newer[-1].code, newer[-1]) if newer else None

    def _timeout_text(self, what: str) -> str:
        came = f", {len(self.messages)} messages without" if what == "code" and self.messages else ""
        return f"rental {self.id}: no {what} in time (status {self.status}{came})"

    def _not_rented(self) -> NotRented:
        text = f"rental {self.id}: {self.detail or self.status}"
        return NotRented(text, reason=self.reason or self.status, rental=self)

    def _without_code(self) -> errors.DeskError:
        if self.phone is None:
            return self._not_rented()
        if self.messages:
            return CodeNotFound(f"rental {self.id}: its messages have no further code", rental=self)
        return RentalExpired(f"rental {self.id}: {self.detail or 'its time is over'}", rental=self)


def order(connection: Connection, path: str, wishes: Mapping[str, object], idempotency_key: str) -> Rental:
    """Send one order and return its rental; wishes that are unset are left out.

    The idempotency key is made once here and goes with each attempt. Raises `NotRented` where the desk refuses it.
    """
    body = {name: wish for name, wish in wishes.items() if wish not in (None, "", [])}
    key = idempotency_key or uuid.uuid4().hex
    try:
        return Rental(connection, connection.call("POST", path, body=body, idempotency_key=key))
    except errors.DeskError as refusal:
        if not isinstance(refusal, errors.Conflict) and refusal.code not in errors.ORDER_REFUSED:
            raise
        raise NotRented(refusal.detail, reason=refusal.code, status=refusal.status) from None


def _cursor(answer: dict[str, Any]) -> int | None:
    after = answer.get("after")
    return int(after) if after not in (None, "") else None


def _message_id(after: Code | Message | int | None) -> int | None:
    if isinstance(after, Code):
        if after.message is None:
            raise ValueError("this code has no message; give the message's id")
        return after.message.id
    return after.id if isinstance(after, Message) else after


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
