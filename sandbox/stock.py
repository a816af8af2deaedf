"""What the stand-in has to give: services on sale, numbers in stock, messages to come."""

from dataclasses import replace

from sandbox import messages
from sandbox.books import Attempt, Books, Message, Rental
from sandbox.catalogue import CATALOGUE, NETWORK_OF_PREFIX, Service, draw, find_service, subscriber
from sandbox.faults import Faults
from sandbox.settings import Refused, Settings


class Stock:
    """Chooses; the caller holds the lock and writes down what comes of it."""

    def __init__(self, books: Books, faults: Faults, settings: Settings) -> None:
        self._books = books
        self._faults = faults
        self._settings = settings

    def on_sale(self) -> dict[str, Service]:
        """Every service by its key, as changed by hand."""
        changed = self._books.changed_services
        if not changed:
            return CATALOGUE
        found = {}
        for key, service in CATALOGUE.items():
            changes = dict(changed.get(key, {}))
            if not changes.pop("withdrawn", False):
                found[key] = replace(service, **changes)  # type: ignore[arg-type]
        return found

    def service(self, service_id: str) -> Service | None:
        """The service asked for, if it is on sale."""
        return find_service(self.on_sale(), service_id)

    def number_for(self, attempt: Attempt) -> str:
        """Take a number (nine digits) that the filters of the attempt allow. Raises Refused."""
        carries, wanted, unwanted = (_values(attempt.asked.get(name, "")) for name in ("carries", "yPrefix", "nPrefix"))
        fits = {
            prefix: (not carries or NETWORK_OF_PREFIX[prefix] in carries)
            and (not wanted or prefix[1:] in wanted)
            and prefix[1:] not in unwanted
            for prefix in self._books.stock
        }
        left = [prefix for prefix, count in self._books.stock.items() if count is None or count > 0]
        filtered = bool(carries or wanted or unwanted)
        if filtered and self._faults.fires("filter-ignored", attempt.endpoint, attempt.token) is not None:
            choice = [prefix for prefix in left if not fits[prefix]]
        else:
            choice = [prefix for prefix in left if fits[prefix]]
        if not choice:
            raise Refused("out-of-stock")
        return self.number_from(choice)

    def number_from(self, prefixes: list[str]) -> str:
        """Take a number at one of these prefixes (with their leading 0)."""
        nth = self._books.next("subscriber")
        prefix = draw(self._settings.seed, "prefix", nth).choice(prefixes)
        count = self._books.stock[prefix]
        self._books.set_stock({prefix: None if count is None else count - 1})
        return subscriber(prefix, nth, self._settings.seed)

    def messages_for(self, rental: Rental, service: Service) -> list[Message]:
        """The messages that a new rental is going to get."""
        fires = self._faults.fires
        if self._settings.message_after is None or fires("message-never", "rent", rental.token) is not None:
            return []
        low, high = self._settings.message_after
        story = "call" if fires("message-call", "rent", rental.token) is not None else service.story
        late = fires("message-late", "rent", rental.token)
        hidden = fires("code-null", "rent", rental.token) is not None
        found = []
        for planned in messages.plan(story, service.name, draw(self._settings.seed, "message", rental.number)):
            due = rental.created + low + planned.share * (high - low) + planned.later * high
            due = due if late is None else rental.expires + late
            shown = planned.code_shown and not hidden
            found.append(Message(due, planned.text, planned.code, planned.call, shown))
        if late is None and found and found[0].due >= rental.expires:
            return []
        later = fires("second-message", "rent", rental.token)
        if later is not None and found:
            code = f"{draw(self._settings.seed, 'second', rental.number).randrange(10**6):06d}"
            found.append(Message(found[0].due + later, f"{service.name}: ma moi cua ban la {code}", code))
        return found


def _values(text: str) -> list[str]:
    """Read a filter: one bare value, or several that are separated and ended by `|`. Raises Refused."""
    if "|" in text and not text.endswith("|"):
        raise Refused("bad-request")
    return [value for value in text.split("|") if value]
