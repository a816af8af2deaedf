"""The desk: whose key this is, what it offers, and orders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from . import config
from .answers import Me, Network, Service, Token
from .connection import Connection
from .rental import Rental, order

if TYPE_CHECKING:
    from types import TracebackType


class Desk:
    """One desk, asked with one key.

        with Desk("https://desk.example.com", key) as desk, desk.rent("01.2") as rental:
            page.fill("#phone", rental.wait_for_number())
            page.fill("#code", rental.wait_for_code())

    Without `url` and `key` they come from the environment or from `thuesim-desk login`; ValueError where neither has them.
    `language` (`en`, `vi`) is that of the errors' sentences. `retry_for`: for how many seconds a call that fails
    for a moment (lost connection, restart, 429, 5xx) is sent again. Threads may share it.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, language: str = "en", retry_for: float = 90
    ) -> None:
        self._connection = Connection(*config.url_and_key(url, key), language=language, retry_for=retry_for)
        key = None  # no traceback with local variables shall show it

    def __repr__(self) -> str:
        return f"Desk({self.url!r})"

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is kept open between two calls."""

    @property
    def url(self) -> str:
        """The address of the desk, without `/api/v1`."""
        return self._connection.url

    def me(self) -> Me:
        """Return the key's name, person, team, scopes and what is left of its budget."""
        me: Me = self._connection.call("GET", "me")
        return me

    def services(self, q: str = "") -> list[Service]:
        """Return the services, those whose name or id has `q` where it is given. Prices in đồng."""
        return list(self._pages("services", {"q": q}))

    def service(self, service: str) -> Service:
        """Return the service of an id such as `01.2`. Raises `NotFound`."""
        found: Service = self._connection.call("GET", f"services/{service}")
        return found

    def networks(self) -> list[Network]:
        """Return the carriers."""
        return list(self._pages("networks", {}))

    def tokens(self) -> list[Token]:
        """Return the team's tokens with their balances in đồng."""
        return list(self._pages("tokens", {}))

    def rent(
        self,
        service: str,
        *,
        networks: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        exclude_prefixes: Iterable[str] = (),
        purpose: str = "",
        max_price: int | None = None,
        keep_trying_minutes: int | None = None,
        token: int | None = None,
        idempotency_key: str = "",
    ) -> Rental:
        """Order one number and return the rental at once, in the queue. `max_price` in đồng; `token` is a token's id.

        The idempotency key is made once, so an order that is sent again after a lost answer is still one order.
        Raises `NotRented` where the desk refuses it at once, `Invalid`, `Forbidden`, …
        """
        wishes = {
            "service": service,
            "networks": _list(networks),
            "prefixes": _list(prefixes),
            "exclude_prefixes": _list(exclude_prefixes),
            "purpose": purpose,
            "max_price": max_price,
            "keep_trying_minutes": keep_trying_minutes,
            "token": token,
        }
        return order(self._connection, "rentals", wishes, idempotency_key)

    def rental(self, rental_id: int) -> Rental:
        """Return the rental of this id. Raises `NotFound`."""
        return Rental(self._connection, self._connection.call("GET", f"rentals/{int(rental_id)}"))

    def rentals(self, **filters: str | int) -> Iterator[Rental]:
        """Yield rentals, the newest first, page by page as they are read.

        `filters`: `service network prefix status person token purpose since until q`.
        """
        return (Rental(self._connection, data) for data in self._pages("rentals", filters))

    def _pages(self, path: str, query: dict[str, Any]) -> Iterator[Any]:
        """Yield the items of a list over all its pages; `next` is a cursor or null."""
        cursor: str | None = None
        while True:
            answer = self._connection.call("GET", path, query={**query, "cursor": cursor})
            yield from answer["items"]
            cursor = answer.get("next")
            if not cursor:
                return


def _list(values: Iterable[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)
