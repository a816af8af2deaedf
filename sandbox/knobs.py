"""The knobs of the stand-in: what a test or the control API reads and changes while it runs."""

from typing import Any

from sandbox.catalogue import NETWORKS
from sandbox.rules import Rules


class Knobs:
    """Turns the knobs of one upstream; without a `token` a method means the first one. All money in đồng."""

    def __init__(self, rules: Rules, token: str | None = None) -> None:
        self.rules = rules
        known = sorted(rules.books.accounts.values(), key=lambda account: account.number)
        self.token = token or (known[0].token if known else rules.add_token())
        rules.add_token(self.token)

    def add_token(self, balance: int | None = None, callback_url: str | None = None, token: str | None = None) -> str:
        """Open another token and return it."""
        return self.rules.add_token(token, balance, callback_url)

    def books(self, token: str | None = None) -> dict[str, Any]:
        """Everything about a token (the first one if none is named), see `Books.report`."""
        return self.rules.report(token or self.token)

    def set_fault(
        self,
        name: str,
        probability: float = 1.0,
        endpoint: str | None = None,
        token: str | None = None,
        count: int | None = None,
        value: float | None = None,
    ) -> None:
        """Switch a fault on, see `faults.Faults.set`."""
        self.rules.faults.set(name, probability, endpoint, token, count, value)

    def clear_faults(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self.rules.faults.clear(name)

    def deliver(self, phone_or_id: str, text: str, code: str | None = None, call: bool = False) -> dict[str, Any]:
        """Let a message arrive now, see `Rules.deliver`."""
        return self.rules.deliver(phone_or_id, text, code, call)

    def expire(self, rental_id: str) -> None:
        """Let a waiting rental expire now."""
        self.rules.expire(rental_id)

    def advance(self, seconds: float) -> None:
        """Skip ahead in the sandbox's time; the gap alone goes by real time."""
        self.rules.advance(seconds)

    def reset(self) -> None:
        """Forget everything but the first token: rentals, books, faults, stock and clock start anew."""
        self.rules.reset()
        self.rules.add_token(self.token)

    def set_callback_url(self, url: str | None, token: str | None = None) -> None:
        """Where callbacks go."""
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
        """How many numbers are left at a prefix (`096` or `96`), of a network, or everywhere; None never runs out."""
        chosen = [
            known
            for carrier in NETWORKS
            for known in carrier.prefixes
            if network in (None, carrier.name) and prefix in (None, known, known[1:])
        ]
        if not chosen:
            raise LookupError(f"no prefix {prefix!r} of network {network!r}")
        with self.rules.turn():
            self.rules.books.set_stock(dict.fromkeys(chosen, count))

    def seed_rentals(self, count: int, token: str | None = None, service: str = "02.97", age: float = 0.0) -> list[str]:
        """Put many waiting rentals on a token at once, see `Rules.seed_rentals`; their ids."""
        return self.rules.seed_rentals(token or self.token, count, service, age)
