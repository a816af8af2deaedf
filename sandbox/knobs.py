"""The knobs of the stand-in: what tests and the control API read and change while it runs."""

from typing import Any

from sandbox.books import Call
from sandbox.catalog import NETWORKS
from sandbox.payloads import ENVELOPES
from sandbox.rules import Rules

CHANGEABLE_SETTINGS = (
    "gap",
    "waiting_limit",
    "message_after",
    "refund_after",
    "envelope",
    "any_token",
    "lifetime",
    "history_limit",
)


class Knobs:
    """Reads and changes one stand-in. Where a method takes no `token`, or None, the first token is meant.

    All money in đồng, all times in seconds.
    """

    def __init__(self, rules: Rules, token: str | None = None) -> None:
        self.rules = rules
        accounts = sorted(rules.books.accounts.values(), key=lambda account: account.number)
        self.token = token or (accounts[0].token if accounts else rules.add_token())
        rules.add_token(self.token)

    # What happened.

    def books(self, token: str | None = None) -> dict[str, Any]:
        """Everything about a token, see `Books.report`. Raises LookupError for a token without books."""
        return self.rules.report(token or self.token)

    def calls(self, token: str | None = None, since: float = 0.0) -> list[Call]:
        """The API calls that arrived from this time on (Unix seconds), oldest first; without a token, of all."""
        with self.rules.lock:
            log = list(self.rules.books.call_log)
        return [call for call in log if call.at >= since and token in (None, call.token)]

    # Faults, settings and the clock.

    def set_fault(
        self,
        name: str,
        probability: float = 1.0,
        endpoint: str | None = None,
        token: str | None = None,
        count: int | None = None,
        value: float | None = None,
    ) -> None:
        """Switch a fault on; without a token, for all of them. See `faults.Faults.set`."""
        self.rules.faults.set(name, probability, endpoint, token, count, value)

    def clear_faults(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self.rules.faults.clear(name)

    def change_settings(self, **changes: Any) -> None:
        """Change settings by the names of `CHANGEABLE_SETTINGS`. Raises ValueError for other names or envelopes."""
        for name, value in changes.items():
            if name not in CHANGEABLE_SETTINGS or (name == "envelope" and value not in ENVELOPES):
                raise ValueError(f"{name} cannot be set to {value!r}; settings are {', '.join(CHANGEABLE_SETTINGS)}")
            value = tuple(value) if name == "message_after" and value is not None else value
            setattr(self.rules.settings, name, value)

    def advance(self, seconds: float) -> None:
        """Skip ahead in the stand-in's time; the gap alone goes by real time."""
        self.rules.advance(seconds)

    def reset(self) -> None:
        """Forget everything but the first token: rentals, books, faults, stock and clock start anew."""
        self.rules.reset()
        self.rules.add_token(self.token)

    # Messages and rentals.

    def deliver(self, phone_or_id: str, text: str, code: str | None = None, call: bool = False) -> dict[str, Any]:
        """Let a message arrive now, see `Rules.deliver`."""
        return self.rules.deliver(phone_or_id, text, code, call)

    def expire(self, rental_id: str) -> None:
        """Let a waiting rental expire now."""
        self.rules.expire(rental_id)

    def seed_rentals(self, count: int, token: str | None = None, service: str = "02.97", age: float = 0.0) -> list[str]:
        """Put many waiting rentals on a token at once, see `Rules.seed_rentals`; their ids."""
        return self.rules.seed_rentals(token or self.token, count, service, age)

    # Tokens, money, services and stock.

    def add_token(
        self,
        balance: int | None = None,
        callback_url: str | None = None,
        token: str | None = None,
        waiting_limit: int | None = None,
    ) -> str:
        """Open another token and return it."""
        token = self.rules.add_token(token, balance, callback_url)
        if waiting_limit is not None:
            self.rules.set_waiting_limit(token, waiting_limit)
        return token

    def set_callback_url(self, url: str | None, token: str | None = None) -> None:
        """Where the token's callbacks go; None stops them."""
        self.rules.set_callback_url(token or self.token, url)

    def set_balance(self, balance: int, token: str | None = None) -> None:
        """Set the balance, with a correction line."""
        self.rules.set_balance(token or self.token, balance)

    def top_up(self, amount: int, token: str | None = None) -> None:
        """Pay in."""
        self.rules.top_up(token or self.token, amount)

    def change_service(self, key: str, **changes: object) -> None:
        """Change a service's `price`, `seconds` or `name`, or withdraw it, see `Rules.change_service`."""
        self.rules.change_service(key, **changes)

    def set_stock(self, count: int | None, prefix: str | None = None, network: str | None = None) -> None:
        """Set how many numbers a prefix (`096` or `96`), a network, or everything has left; None never runs out.

        Raises LookupError where no prefix of the network is meant.
        """
        prefixes = [
            each
            for carrier in NETWORKS
            for each in carrier.prefixes
            if network in (None, carrier.name) and prefix in (None, each, each[1:])
        ]
        if not prefixes:
            raise LookupError(f"no prefix {prefix!r} of network {network!r}")
        with self.rules.transaction():
            self.rules.books.set_stock(dict.fromkeys(prefixes, count))
