"""What the stand-in has in stock: services on sale, numbers, and the messages that rentals will get."""

from dataclasses import replace

from sandbox import messages
from sandbox.books import Attempt, Books, Message, Rental
from sandbox.catalog import CATALOG, NETWORK_OF_PREFIX, Service, draw, find_service, subscriber
from sandbox.faults import Faults
from sandbox.settings import Refused, Settings


class Stock:
    """Chooses services, numbers and messages. The caller holds the lock and records the rental."""

    def __init__(self, books: Books, faults: Faults, settings: Settings) -> None:
        self._books = books
        self._faults = faults
        self._settings = settings

    def on_sale(self) -> dict[str, Service]:
        """Every service on sale by its key, with the changes in the books."""
        changed = self._books.changed_services
        if not changed:
            return CATALOG
        services = {}
        for key, service in CATALOG.items():
            changes = dict(changed.get(key, {}))
            if not changes.pop("withdrawn", False):
                services[key] = replace(service, **changes)  # type: ignore[arg-type]
        return services

    def service(self, service_id: str) -> Service | None:
        """The service with this id, see `find_service`; None if it is not on sale."""
        return find_service(self.on_sale(), service_id)

    def number_for(self, attempt: Attempt) -> str:
        """Take a number (nine digits) that the filters of the attempt allow. Raises Refused."""
        networks, included, excluded = (
            _filter_values(attempt.asked.get(name, "")) for name in ("carries", "yPrefix", "nPrefix")
        )

        def fits(prefix: str) -> bool:
            if networks and NETWORK_OF_PREFIX[prefix] not in networks:
                return False
            return prefix[1:] not in excluded and (not included or prefix[1:] in included)

        in_stock = [prefix for prefix, count in self._books.stock.items() if count is None or count > 0]
        has_filter = bool(networks or included or excluded)
        if has_filter and self._faults.fires("filter-ignored", attempt.endpoint, attempt.token):
            prefixes = [prefix for prefix in in_stock if not fits(prefix)]
        else:
            prefixes = [prefix for prefix in in_stock if fits(prefix)]
        if not prefixes:
            raise Refused("out-of-stock")
        return self.number_from(prefixes)

    def number_from(self, prefixes: list[str]) -> str:
        """Take a number (nine digits) with one of these prefixes, which have their leading 0."""
        nth = self._books.next("subscriber")
        prefix = draw(self._settings.seed, "prefix", nth).choice(prefixes)
        count = self._books.stock[prefix]
        self._books.set_stock({prefix: None if count is None else count - 1})
        return subscriber(prefix, nth, self._settings.seed)

    def messages_for(self, rental: Rental, service: Service) -> list[Message]:
        """The messages that a new rental will get, as the service's story and the faults have it."""
        fires = self._faults.fires
        if self._settings.message_after is None or fires("message-never", "rent", rental.token):
            return []
        low, high = self._settings.message_after
        story = "call" if fires("message-call", "rent", rental.token) else service.story
        late = self._faults.value("message-late", "rent", rental.token)
        hidden = fires("code-null", "rent", rental.token)
        upcoming = []
        for planned in messages.plan(story, service.name, draw(self._settings.seed, "message", rental.number)):
            due = rental.created + low + planned.share * (high - low) + planned.later * high
            due = due if late is None else rental.expires + late
            shown = planned.code_shown and not hidden
            upcoming.append(Message(due, planned.text, planned.code, planned.call, shown))
        if late is None and upcoming and upcoming[0].due >= rental.expires:
            return []
        later = self._faults.value("second-message", "rent", rental.token)
        if later is not None and upcoming:
            code = f"{draw(self._settings.seed, 'second', rental.number).randrange(10**6):06d}"
            upcoming.append(Message(upcoming[0].due + later, f"{service.name}: ma moi cua ban la {code}", code))
        return upcoming


def _filter_values(text: str) -> list[str]:
    """The values of a filter: one bare value, or several of which each ends with `|`. Raises Refused."""
    if "|" in text and not text.endswith("|"):
        raise Refused("bad-request")
    return [value for value in text.split("|") if value]
