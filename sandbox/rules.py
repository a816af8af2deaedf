"""The stand-in's rules: who gets a number, when its message comes, when it expires, and what is paid back."""

import heapq
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.books import Account, Attempt, Books, Message, Rental
from sandbox.callback_plan import CallbackPlan, audio_path
from sandbox.callback_sender import Callback, CallbackSender
from sandbox.catalogue import CATALOGUE, NETWORK_OF_PREFIX, Service, demo_token, full_stock
from sandbox.faults import Faults
from sandbox.settings import Refused, Settings
from sandbox.stock import Stock

FIRST_RENTAL = 88237016
LONG_RENTAL = 9_007_199_254_740_993_000
STOCK_PER_PREFIX = 10_000


class Rules:
    """One ThueSim. Every public method may be called from any thread."""

    def __init__(self, settings: Settings, state: Path | None = None) -> None:
        self.settings = settings
        self.faults = Faults(settings.seed)
        self.lock = threading.RLock()
        self.skew = 0.0
        self.public_url = ""
        self._advanced = 0.0
        self._changed = threading.Condition(self.lock)
        self._stopping = False
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, str, Any]] = []
        self.sender = CallbackSender(self._callback_sent)
        self._callback_plan = CallbackPlan(
            self.faults, self.sender, lambda wait, *about: self._at(self.now() + wait, *about)
        )
        self.books = Books(state)
        self.stock = Stock(self.books, self.faults, settings)
        if not self.books.stock:
            self.books.set_stock(full_stock(STOCK_PER_PREFIX))
        for rental in self.books.rentals.values():
            self._plan_again(rental)
        self.books.commit()

    # The clock.

    def now(self) -> float:
        """The sandbox's own time, Unix seconds: the machine's, moved forward by what it was told to skip."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Skip ahead: what was due by then happens now."""
        with self._changed:
            self._advanced += seconds
            self._changed.notify()
        with self.turn():
            pass

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Hold the books: what is due has happened on entry, what was changed is on disk on exit. Yields the time."""
        with self.lock:
            if self._stopping:
                raise ConnectionAbortedError("the sandbox has stopped")
            now = self.now()
            self._settle(now)
            try:
                yield now
            finally:
                self.books.commit()

    def run(self) -> None:
        """Let things happen when they are due, until `stop`."""
        while not self._stopping:
            with self._changed:
                now = self.now()
                self._settle(now)
                self.books.commit()
                due = self._agenda[0][0] - now if self._agenda else 1.0
                self._changed.wait(min(max(due, 0.001), 0.25))

    def stop(self) -> None:
        """End `run`, the callbacks and the state file."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self.books.close()
        self.sender.stop()

    def reset(self) -> None:
        """Forget everything: tokens, rentals, money, faults, what was planned, the clock's offset."""
        with self.turn():
            self.books.clear()
            self.books.set_stock(full_stock(STOCK_PER_PREFIX))
            self._agenda.clear()
            self._advanced = self.skew = 0.0
            self.faults.clear()

    def _at(self, due: float, kind: str, about: Any) -> None:
        heapq.heappush(self._agenda, (due, next(self._order), kind, about))
        self._changed.notify()

    def _settle(self, now: float) -> None:
        while not self._stopping and self._agenda and self._agenda[0][0] <= now:
            due, _, kind, about = heapq.heappop(self._agenda)
            if kind == "message":
                self._arrive(about[0], about[1], due)
            elif kind == "expire":
                self._end(about, due)
            elif kind == "refund":
                self._refund(about, due)
            elif kind == "release":
                self._callback_plan.release(about)
            else:
                self.sender.send(about)

    def _plan_again(self, rental: Rental) -> None:
        with self.lock:
            for message in rental.messages:
                if not message.arrived:
                    self._at(message.due, "message", (rental, message))
            if rental.number in self.books.waiting[rental.token]:
                self._at(rental.expires, "expire", rental)
            if rental.refund_due is not None and not rental.refunded:
                self._at(rental.refund_due, "refund", rental)

    # Tokens and money.

    def add_token(self, token: str | None = None, balance: int | None = None, callback_url: str | None = None) -> str:
        """Open a token with its first balance and return it; without a text, a made-up one. A known one is kept."""
        with self.turn() as now:
            number = self.books.next("account")
            token = token or demo_token(self.settings.seed, number)
            if token not in self.books.accounts:
                self.books.add_account(Account(token, number))
                self.books.post(token, "opening", self.settings.balance if balance is None else balance, now)
            if callback_url is not None:
                self.books.accounts[token].callback_url = callback_url
                self.books.keep(self.books.accounts[token])
            return token

    def account(self, token: str) -> Account:
        """The books of a token that is known, or that may be made up. Raises Refused."""
        if token not in self.books.accounts and self.settings.any_token and token:
            self.add_token(token)
        if token not in self.books.accounts:
            raise Refused("invalid-token")
        return self.books.accounts[token]

    def set_callback_url(self, token: str, url: str | None) -> None:
        """Where the token's callbacks go; None stops them."""
        with self.turn():
            account = self.books.accounts[token]
            account.callback_url = url
            self.books.keep(account)

    def set_waiting_limit(self, token: str, limit: int | None) -> None:
        """How many numbers the token may have waiting; None for the common limit."""
        with self.turn():
            account = self.books.accounts[token]
            account.waiting_limit = limit
            self.books.keep(account)

    def set_balance(self, token: str, balance: int) -> None:
        """Make the balance this many đồng, with a correction line for the difference."""
        with self.turn() as now:
            self.books.post(token, "correction", balance - self.books.balances[token], now)

    def top_up(self, token: str, amount: int) -> None:
        """Pay in."""
        with self.turn() as now:
            self.books.post(token, "top-up", amount, now)

    def balance(self, token: str) -> int:
        """The balance as it is printed."""
        with self.turn() as now:
            self.account(token)
            lag = self.faults.fires("balance-lag", "balance", token)
            return self.books.balance(token, None if lag is None else now - lag)

    def report(self, token: str) -> dict[str, Any]:
        """The books of one token, see `Books.report`."""
        with self.lock:
            now = self.now()
            self._settle(now)
            return self.books.report(token, now)

    # Services.

    def services(self) -> list[Service]:
        """What is on sale, as changed by `change_service`."""
        with self.lock:
            return list(self.stock.on_sale().values())

    def change_service(self, key: str, **changes: object) -> None:
        """Change a service's `price`, `seconds` or `name`, or withdraw it with `withdrawn=True`. Raises LookupError."""
        if key not in CATALOGUE or not changes.keys() <= {"price", "seconds", "name", "withdrawn"}:
            raise LookupError(f"no service {key!r}, or nothing called {', '.join(changes)} to change")
        with self.turn():
            self.books.change_service(key, changes)

    # Taking a number.

    def open_attempt(self, endpoint: str, token: str, asked: dict[str, str], monotonic: float) -> Attempt:
        """Write down that a number-taking request has arrived."""
        with self.turn() as now:
            attempt = Attempt(self.books.next("attempt"), now, monotonic, token, endpoint, asked)
            self.books.add_attempt(attempt)
            return attempt

    def close_attempt(self, attempt: Attempt, delivered: str) -> None:
        """Write down what became of its answer."""
        with self.turn():
            attempt.delivered = delivered
            self.books.keep(attempt)

    def take(self, attempt: Attempt) -> tuple[Rental, int]:
        """Take a number for the attempt: the rental, and the balance that is left. Raises Refused."""
        with self.turn() as now:
            try:
                rental = self._take(attempt, now)
            except Refused as refused:
                attempt.outcome, attempt.reason = "refused", refused.reason
                self.books.keep(attempt)
                raise
            attempt.outcome, attempt.rental, attempt.price = "charged", rental.number, rental.price
            self.books.keep(attempt)
            return rental, self.books.balances[attempt.token]

    def _take(self, attempt: Attempt, now: float) -> Rental:
        account = self.account(attempt.token)
        self._keep_the_gap(account, attempt)
        for reason in (
            "invalid-token",
            "error",
            "service-suspended",
            "limit-reached",
            "insufficient-balance",
            "out-of-stock",
        ):
            if self.faults.fires(reason, attempt.endpoint, attempt.token) is not None:
                raise Refused(reason, limit=self._limit(account))
        service, nine = self._wanted(attempt)
        if len(self.books.waiting[account.token]) >= self._limit(account):
            raise Refused("limit-reached", limit=self._limit(account))
        if self.books.balances[account.token] < service.price:
            raise Refused("insufficient-balance")
        return self._charge(attempt, service, nine or self.stock.number_for(attempt), now)

    def _limit(self, account: Account) -> int:
        return self.settings.waiting_limit if account.waiting_limit is None else account.waiting_limit

    def _keep_the_gap(self, account: Account, attempt: Attempt) -> None:
        gap = self.settings.gap
        last = account.last_take
        if last is not None and last > time.perf_counter():
            # The state file is from before the machine was started again.
            last = None
        # Arrivals are not always acted on in their order.
        too_soon = last is not None and abs(attempt.monotonic - last) < gap
        if too_soon or self.faults.fires("too-soon", attempt.endpoint, attempt.token) is not None:
            raise Refused("too-soon", gap=gap)
        account.last_take = attempt.monotonic if last is None else max(last, attempt.monotonic)
        self.books.keep(account)

    def _wanted(self, attempt: Attempt) -> tuple[Service, str | None]:
        asked = attempt.asked
        service = self.stock.service(asked.get("serviceId", ""))
        if attempt.endpoint == "rent":
            if service is None:
                raise Refused("service-suspended")
            return service, None
        nine = asked.get("phone", "")[1:]
        number, _, sv = asked.get("thuesim1", "").partition(".")
        earlier = self.books.rentals.get(int(number)) if number.isdigit() else None
        if not (
            earlier
            and earlier.token == attempt.token
            and earlier.sv == sv
            and asked.get("phone") == f"0{earlier.phone}"
        ):
            raise Refused("bad-request")
        if asked.get("serviceId") != str(earlier.service_id):
            raise Refused("service-suspended")
        service = self.stock.service(f"{sv}.{earlier.service_id}" if sv else str(earlier.service_id))
        if service is None:
            raise Refused("service-suspended")
        return service, nine

    def _charge(self, attempt: Attempt, service: Service, nine: str, now: float) -> Rental:
        rental = self._new_rental(attempt.token, service, nine, now, attempt.number)
        rental.again = attempt.endpoint == "rephone"
        rental.messages = self.stock.messages_for(rental, service)
        self.books.add_rental(rental)
        self.books.post(attempt.token, "charge", -service.price, now, rental.number)
        self._plan_again(rental)
        return rental

    def _new_rental(self, token: str, service: Service, nine: str, now: float, attempt: int | None) -> Rental:
        number = self.books.next("rental", FIRST_RENTAL)
        if self.faults.fires("id-long", "rent", token) is not None:
            number += LONG_RENTAL
        return Rental(
            number=number,
            token=token,
            service_id=service.id,
            sv=service.sv,
            service_name=service.name,
            price=service.price,
            phone=nine,
            network=NETWORK_OF_PREFIX[f"0{nine[:2]}"],
            created=now,
            expires=now + (service.lifetime if self.settings.lifetime is None else self.settings.lifetime),
            attempt=attempt,
        )

    # What happens to a rental.

    def _arrive(self, rental: Rental, message: Message, at: float, tell: bool = True) -> None:
        if message.arrived:
            return
        message.arrived, message.due = True, at
        self.books.waiting[rental.token].discard(rental.number)
        if rental.refund_due is not None and not rental.refunded:
            rental.refund_due = None
        self.books.keep(rental)
        if tell:
            self._announce(rental, message)

    def _end(self, rental: Rental, at: float) -> None:
        if rental.number not in self.books.waiting[rental.token]:
            return
        self.books.waiting[rental.token].discard(rental.number)
        rental.ended = at
        if self.faults.fires("refund-never", "rent", rental.token) is None:
            late = self.faults.fires("refund-late", "rent", rental.token) or 0.0
            rental.refund_due = at + self.settings.refund_after + late
            self._at(rental.refund_due, "refund", rental)
        self.books.keep(rental)
        self._announce(rental, None)

    def _refund(self, rental: Rental, at: float) -> None:
        if rental.refund_due is None or rental.refunded:
            return
        rental.refunded = True
        self.books.post(rental.token, "refund", rental.price, at, rental.number)
        self.books.keep(rental)

    def _announce(self, rental: Rental, message: Message | None) -> None:
        url = self.books.accounts[rental.token].callback_url
        if url:
            self._callback_plan.announce(rental, url, message, self.audio_url(rental, message))

    def audio_url(self, rental: Rental, message: Message | None) -> str:
        """Where the call can be heard; empty for anything but a call."""
        if message is None or not message.call:
            return ""
        if self.faults.fires("audio-foreign", "audio", rental.token) is not None:
            return "http://127.0.0.2:9" + audio_path(rental, message)
        return self.public_url + audio_path(rental, message)

    def answer_late(self, rental: Rental) -> None:
        """The fault of a callback that overtakes the rent reply: the message is posted before this returns."""
        with self.turn() as now:
            url = self.books.accounts[rental.token].callback_url
            planned = [message for message in rental.messages if not message.arrived]
            if not url or not planned or self.faults.fires("callback-early", "callback", rental.token) is None:
                return
            self._arrive(rental, planned[0], now, tell=False)
            callback = self._callback_plan.compose(rental, url, planned[0], self.audio_url(rental, planned[0]))
        self.sender.send_now(callback)

    def _callback_sent(self, callback: Callback) -> None:
        with self.lock:
            told = {"at": self.now(), "rental": callback.rental, "status": callback.status, "http": callback.answer}
            self.books.callbacks[callback.token].append(told | {"body": callback.body.decode()})

    def deliver(self, phone_or_id: str, text: str, code: str | None = None, call: bool = False) -> dict[str, Any]:
        """Let a message arrive now at a rental (by id, with or without SV) or at the newest rental of a phone.

        Without a code the upstream gives none. Raises LookupError where there is no such rental.
        """
        with self.turn() as now:
            rental = self.find(phone_or_id)
            message = Message(now, text, code, call, code_shown=code is not None)
            # A message that is only planned would otherwise follow the one given by hand.
            rental.messages = [other for other in rental.messages if other.arrived] + [message]
            self._agenda = [entry for entry in self._agenda if entry[2] != "message" or entry[3][0] is not rental]
            heapq.heapify(self._agenda)
            self._arrive(rental, message, now)
            return asdict(message) | {"rental": rental.id}

    def expire(self, rental_id: str) -> None:
        """Let a waiting rental expire now. Raises LookupError where there is no such rental."""
        with self.turn() as now:
            self._end(self.find(rental_id), now)

    def find(self, phone_or_id: str) -> Rental:
        """A rental by its id, with or without SV, or the newest of a phone, a waiting one first. Raises LookupError."""
        digits = phone_or_id.strip().lstrip("+")
        number = digits.partition(".")[0]
        if number.isdigit() and int(number) in self.books.rentals:
            return self.books.rentals[int(number)]
        rentals = self.books.rentals_at.get(digits[-9:], [])
        waiting = [rental for rental in rentals if rental.number in self.books.waiting[rental.token]]
        if not rentals:
            raise LookupError(f"no rental with the id or phone {phone_or_id!r}")
        return (waiting or rentals)[-1]

    def seed_rentals(self, token: str, count: int, service_key: str = "02.97", age: float = 0.0) -> list[str]:
        """Put `count` waiting rentals, made `age` seconds ago, on the token at once, charged, past gap and limit."""
        service = self.stock.service(service_key)
        if service is None:
            raise LookupError(f"no service {service_key!r}")
        made = []
        with self.turn() as now:
            for _ in range(count):
                nine = self.stock.number_from(sorted(self.books.stock))
                rental = self._new_rental(token, service, nine, now - age, None)
                rental.messages = self.stock.messages_for(rental, service)
                self.books.add_rental(rental)
                self.books.post(token, "charge", -service.price, rental.created, rental.number)
                self._plan_again(rental)
                made.append(rental.id)
        return made
