"""The faults that can be injected: named switches, each with a sentence of what it does, and when one fires."""

import difflib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.catalog import draw

ENDPOINTS = ("balance", "networks", "service", "rent", "rephone", "code", "history", "audio", "callback")
_ALIASES = {"register-service": "rent", "services": "service"}


@dataclass(frozen=True)
class Kind:
    """One kind of fault. `value` is its default size in its `unit`; a fault without a size has neither."""

    name: str
    sentence: str
    value: float = 0.0
    unit: str = ""


_KINDS = (
    # Before the request is acted on: no number is taken.
    Kind("reset-before", "The connection is reset before the request is acted on; no number is taken."),
    Kind(
        "close-before", "The connection is closed without an answer before the request is acted on; no number is taken."
    ),
    Kind("hold-before", "The request is held, then its connection is closed; no number is taken.", 30, "seconds"),
    Kind("http-500", "The proxy answers with an HTML error page; no number is taken.", 500, "HTTP status"),
    Kind("maintenance", "An HTML maintenance page comes with HTTP status 200; no number is taken."),
    Kind("redirect", "A 302 to another page of the same host; no number is taken. To follow it counts as `moved`."),
    Kind("slow", "The request waits before it is acted on.", 2000, "milliseconds"),
    # After the request is acted on: a number may have been taken, and the reply is lost.
    Kind(
        "lost-hold",
        "The request is acted on, then held, then its connection is closed without an answer.",
        30,
        "seconds",
    ),
    Kind("lost-reset", "The request is acted on, then the connection is reset."),
    Kind("lost-close", "The request is acted on, then the connection is closed without an answer."),
    Kind("lost-502", "The request is acted on, then the proxy answers with an HTML error page.", 502, "HTTP status"),
    Kind("lost-cut", "The request is acted on; the JSON is cut in half, and Content-Length agrees with it."),
    Kind("lost-midway", "The request is acted on; the connection is reset in the middle of the body."),
    Kind("lost-empty", "The request is acted on; the body is empty."),
    Kind("lost-no-number", "A number is taken; the reply says success but has no number in it."),
    Kind("slow-reply", "The request is acted on at once, the reply is delayed.", 2000, "milliseconds"),
    Kind("drip", "The body is sent one byte at a time.", 100, "milliseconds per byte"),
    Kind("huge", "The body is padded with white space.", 50, "MB"),
    # How the answer is printed.
    Kind("bom", "A byte order mark (BOM) precedes the JSON."),
    Kind("white-space", "Blank lines surround the JSON, as a PHP include leaves them."),
    Kind("php-warning", "A PHP warning in HTML precedes the JSON."),
    Kind("wrong-content-type", "The JSON is sent as text/html."),
    Kind("wrong-charset", "Content-Type says ISO-8859-1, the bytes are UTF-8."),
    Kind("key-case", "Keys are printed in another case: `Status_code`, `DATA`, `responsecode`."),
    Kind("escaped-unicode", "Letters outside ASCII are printed as \\u escapes and slashes as \\/."),
    Kind("no-accents", "The texts of answers are printed without Vietnamese accents."),
    Kind("http-errors", "Refusals come with HTTP status 401, 429 or 400 instead of 200."),
    Kind("id-drop-zero", "PHP prints the id 88237016.10 as the number 88237016.1."),
    Kind("id-as-string", "Ids are printed as strings, `number.SV`."),
    Kind("id-long", "Rentals get ids with more digits than a float can hold."),
    Kind("id-bare", "Rent replies print the id without its SV."),
    Kind("phone-forms", "Phones come in a random form: with a space, bare, a number, with 84."),
    Kind("numbers-as-strings", "Money and numbers are printed as strings, in callbacks too."),
    Kind("booleans-as-strings", "Booleans are printed as strings."),
    Kind("seven-digits", "Times have seven digits of fraction."),
    Kind("unknown-fields", "Replies have fields that the API page does not list."),
    Kind("unknown-status", "A waiting rental is printed with a status that the API page does not list."),
    Kind("unknown-code", "Refusals and waiting answers have a code that the API page does not list."),
    Kind("extra-networks", "The list of networks has some that the API page does not list."),
    Kind("services-short", "Services are printed in the API page's short form: only id, name and price."),
    Kind("services-empty", "The list of services is empty."),
    Kind("clock-skew", "Printed times run ahead of the clock.", 420, "seconds"),
    # Refusals.
    Kind("invalid-token", "The token is refused with code 401."),
    Kind("error", "The answer is -1, Có lỗi, and nothing is done."),
    Kind("too-soon", "Every number-taking call is told to wait 5 s."),
    Kind("limit-reached", "Every number-taking call is told that the waiting limit is reached."),
    Kind("insufficient-balance", "Every number-taking call is told that the balance is too low."),
    Kind("out-of-stock", "Every number-taking call is told that there are no numbers."),
    Kind("service-suspended", "Every number-taking call is told that the service is suspended."),
    # Rentals, messages, money.
    Kind("filter-ignored", "The number is outside the networks and prefixes asked for."),
    Kind("message-never", "No message arrives for the rental."),
    Kind("message-late", "The message arrives after the rental has expired.", 5, "seconds after"),
    Kind("message-call", "The message is a voice call with audio."),
    Kind("second-message", "A second message follows the first one.", 2, "seconds later"),
    Kind("code-null", "The code is null; it is in the text only."),
    Kind("refund-never", "An expired rental is not refunded."),
    Kind("refund-late", "The refund of an expired rental takes longer.", 600, "seconds more"),
    Kind("balance-lag", "The balance printed is an old one.", 30, "seconds"),
    # Code and history.
    Kind(
        "code-wrong-session", "For some time after the rent, the code endpoint says that the id is wrong.", 5, "seconds"
    ),
    Kind("code-says-expired", "The code endpoint says expired although the rental still waits."),
    Kind("code-lag", "The code endpoint says waiting although the message has arrived.", 5, "seconds"),
    Kind("history-omits-recent", "History leaves out the newest rows.", 3, "rows"),
    Kind("history-lag", "History is as it was some time ago.", 10, "seconds"),
    Kind("history-shuffled", "History comes in random order."),
    Kind("history-oldest-first", "History comes oldest first."),
    Kind("history-short", "History has only the newest rows.", 5, "rows"),
    Kind("history-ignores-filters", "History ignores every filter."),
    Kind("history-bare-id", "History prints ids without their SV in every envelope, not in A alone."),
    Kind("history-full-id", "History prints ids with their SV in every envelope."),
    Kind("audio-foreign", "The address of the audio is on another host."),
    Kind("audio-html", "The audio address answers with a web page."),
    # Callbacks.
    Kind("callback-never", "No callback is sent."),
    Kind("callback-twice", "Each callback is sent twice."),
    Kind("callback-late", "Callbacks are sent late.", 10, "seconds"),
    Kind("callback-out-of-order", "A callback is held back until a later one was sent.", 3, "seconds at most"),
    Kind("callback-early", "The message arrives, and its callback is sent, before the rent request is answered."),
    Kind("callback-unknown-id", "A callback for a rental that does not exist is sent as well."),
    Kind("callback-expired-first", "A callback that wrongly says expired is sent before the right one."),
    Kind("callback-form", "Callbacks are form bodies, `status=1&requestId=…`."),
    Kind("callback-form-nested", "Callbacks are form bodies, `data[status]=1&data[requestId]=…`."),
    Kind("callback-nested", "The callback's fields are under another object than `data`."),
    Kind("callback-flat", "The callback's fields are at the top level."),
    Kind("callback-full-id", "Callbacks print the id with its SV."),
    Kind("callback-junk", "A body that is not JSON is sent before the callback."),
)
KINDS = {kind.name: kind for kind in _KINDS}


@dataclass
class _Switch:
    probability: float
    endpoint: str | None
    token: str | None
    count: int | None
    value: float

    def fits(self, endpoint: str, token: str | None) -> bool:
        """Whether it is for this endpoint and token, and not used up."""
        if self.count is not None and self.count <= 0:
            return False
        if self.token is not None and self.token != token:
            return False
        return self.endpoint in (None, endpoint) or (self.endpoint == "take" and endpoint in ("rent", "rephone"))


def parse(text: str) -> tuple[str, float, float | None]:
    """Name, probability and value from `NAME[=PROBABILITY][:VALUE]`. Raises ValueError for an unknown fault."""
    head, _, value = text.partition(":")
    name, _, probability = head.partition("=")
    _kind(name)
    return name, float(probability or 1), float(value) if value else None


def _kind(name: str) -> Kind:
    if name not in KINDS:
        similar = difflib.get_close_matches(name, KINDS, 3)
        raise ValueError(f"there is no fault {name!r}" + (f"; similar: {', '.join(similar)}" if similar else ""))
    return KINDS[name]


class Faults:
    """The faults that are on. Deterministic: for a seed, the nth question about a fault has the same answer."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._switches: dict[str, list[_Switch]] = defaultdict(list)
        self._questions: dict[str, int] = defaultdict(int)
        self.fired: dict[str, int] = defaultdict(int)

    def set(
        self,
        name: str,
        probability: float = 1.0,
        endpoint: str | None = None,
        token: str | None = None,
        count: int | None = None,
        value: float | None = None,
    ) -> None:
        """Switch a fault on, in place of an earlier one with the same name, endpoint and token.

        `endpoint` is one of `ENDPOINTS`, or "take" for both number-taking ones; None means every endpoint, as a None
        `token` means every token. `count` is how often the fault fires before it switches itself off. `value` is its
        size in its own unit. Raises ValueError for an unknown fault or endpoint.
        """
        kind = _kind(name)
        endpoint = _ALIASES.get(endpoint, endpoint) if endpoint else None
        if endpoint and endpoint not in (*ENDPOINTS, "take"):
            raise ValueError(f"there is no endpoint {endpoint!r}")
        switch = _Switch(probability, endpoint, token, count, kind.value if value is None else value)
        with self._lock:
            others = [old for old in self._switches[name] if (old.endpoint, old.token) != (endpoint, token)]
            self._switches[name] = [*others, switch]

    def set_all(self, faults: Mapping[str, float] | Iterable[str]) -> None:
        """Switch on several: names with probabilities, or texts such as `slow=0.5:200`."""
        if isinstance(faults, Mapping):
            for name, probability in faults.items():
                self.set(name, probability)
        else:
            for text in faults:
                name, probability, value = parse(text)
                self.set(name, probability, value=value)

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        with self._lock:
            if name is None:
                self._switches.clear()
            else:
                self._switches.pop(_kind(name).name, None)

    def fires(self, name: str, endpoint: str, token: str | None) -> bool:
        """Whether the fault strikes here and now."""
        return self.value(name, endpoint, token) is not None

    def value(self, name: str, endpoint: str, token: str | None) -> float | None:
        """The fault's value (its size in its own unit) if it strikes here and now, else None."""
        if name not in self._switches:
            return None
        with self._lock:
            for switch in self._switches.get(name, ()):
                if not switch.fits(endpoint, token) or not self._happens(name, switch.probability):
                    continue
                if switch.count is not None:
                    switch.count -= 1
                self.fired[name] += 1
                return switch.value
        return None

    def _happens(self, name: str, probability: float) -> bool:
        self._questions[name] += 1
        return probability >= 1 or draw(self._seed, name, self._questions[name]).random() < probability

    def active(self) -> list[dict[str, object]]:
        """The faults that are on, as plain values."""
        with self._lock:
            return [{"name": name} | vars(switch) for name, switches in self._switches.items() for switch in switches]


def describe() -> str:
    """Every fault with its sentence, for a help page."""
    lines = []
    for kind in _KINDS:
        size = f" [{kind.value:g} {kind.unit}]" if kind.unit else ""
        lines.append(f"  {kind.name:<24}{kind.sentence}{size}")
    return "\n".join(lines)
