"""The faults: named switches, each with what it does, and when one of them fires."""

import difflib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.catalogue import draw

ENDPOINTS = ("balance", "networks", "service", "rent", "rephone", "code", "history", "audio", "callback")
_ALIASES = {"register-service": "rent", "services": "service"}


@dataclass(frozen=True)
class Kind:
    """One switch. `value` is its default size, `unit` what that counts; both empty for a plain switch."""

    name: str
    sentence: str
    value: float = 0.0
    unit: str = ""


_KINDS = (
    # Before anything is done: no number is taken.
    Kind("reset-before", "The connection is reset before the request is acted on; no number is taken."),
    Kind("close-before", "The connection is closed without an answer and without acting; no number is taken."),
    Kind("hold-before", "The request is held and then dropped; no number is taken.", 30, "seconds"),
    Kind("http-500", "An HTTP error page from the proxy, nothing done.", 500, "HTTP status"),
    Kind("maintenance", "An HTML maintenance page with HTTP status 200, nothing done."),
    Kind("redirect", "A 302 to another page of the same host, nothing done; following it is counted as `moved`."),
    Kind("slow", "The request waits before it is acted on.", 2000, "milliseconds"),
    # After it is done: a number may have been taken, the reply is lost.
    Kind("lost-hold", "The request is acted on, then held without an answer and dropped.", 30, "seconds"),
    Kind("lost-reset", "The request is acted on, then the connection is reset."),
    Kind("lost-close", "The request is acted on, then the connection is closed without an answer."),
    Kind("lost-502", "The request is acted on, then the proxy answers with an HTML error page.", 502, "HTTP status"),
    Kind("lost-cut", "The request is acted on; the JSON is cut in half, with a length header that fits."),
    Kind("lost-midway", "The request is acted on; the connection is reset in the middle of the body."),
    Kind("lost-empty", "The request is acted on; the body is empty."),
    Kind("lost-no-number", "A number is taken; the reply says success and holds no number."),
    Kind("slow-reply", "The request is acted on at once, the answer waits.", 2000, "milliseconds"),
    Kind("drip", "The answer comes one byte at a time.", 100, "milliseconds per byte"),
    Kind("huge", "The answer is padded to a huge body.", 50, "MB"),
    # How the answer is dressed.
    Kind("bom", "A byte order mark stands before the JSON."),
    Kind("white-space", "Blank lines stand around the JSON, as a PHP include leaves them."),
    Kind("php-warning", "A PHP warning in HTML stands before the JSON."),
    Kind("wrong-content-type", "The JSON is sent as text/html."),
    Kind("wrong-charset", "The header claims ISO-8859-1, the bytes are UTF-8."),
    Kind("key-case", "Keys are printed in another case: `Status_code`, `DATA`, `responsecode`."),
    Kind("escaped-unicode", "Letters outside ASCII are printed as \\u escapes and slashes as \\/."),
    Kind("no-accents", "Messages of the service are printed without Vietnamese accents."),
    Kind("http-errors", "Refusals come with HTTP status 401, 429 or 400 instead of 200."),
    Kind("id-drop-zero", "PHP prints the id 88237016.10 as the number 88237016.1."),
    Kind("id-as-string", "Ids are printed as strings, `number.SV`."),
    Kind("id-long", "Rentals get ids with more digits than a float can hold."),
    Kind("id-bare", "Rent replies print the id without its SV."),
    Kind("phone-forms", "Phones come in a random form: with a space, bare, a number, with 84."),
    Kind("numbers-as-strings", "Money and numbers are printed as strings, in callbacks too."),
    Kind("booleans-as-strings", "Booleans are printed as strings."),
    Kind("seven-digits", "Times carry seven digits of fraction."),
    Kind("unknown-fields", "Replies carry fields that the page does not know."),
    Kind("unknown-status", "A waiting rental is printed with a status that the page does not know."),
    Kind("unknown-code", "Refusals and waiting answers come under a code that the page does not know."),
    Kind("extra-networks", "The list of networks holds some that the page does not know."),
    Kind("services-short", "Services are printed in the page's short form: id, name and price alone."),
    Kind("services-empty", "The list of services is empty."),
    Kind("clock-skew", "Printed times are off.", 420, "seconds"),
    # Refusals.
    Kind("invalid-token", "The token is refused: 401."),
    Kind("error", "The service answers -1, Có lỗi, and does nothing."),
    Kind("too-soon", "Every number-taking call is told to wait 5 s."),
    Kind("limit-reached", "Every number-taking call is told that the waiting limit is reached."),
    Kind("insufficient-balance", "Every number-taking call is told that the balance is too low."),
    Kind("out-of-stock", "Every number-taking call is told that there are no numbers."),
    Kind("service-suspended", "Every number-taking call is told that the service is suspended."),
    # Rentals, messages, money.
    Kind("filter-ignored", "The number comes from outside the networks and prefixes asked for."),
    Kind("message-never", "No message arrives for the rental."),
    Kind("message-late", "The message arrives after the rental has expired.", 5, "seconds after"),
    Kind("message-call", "The message comes as a call with audio."),
    Kind("second-message", "A second message follows the first one.", 2, "seconds later"),
    Kind("code-null", "The code is null; it stands in the text only."),
    Kind("refund-never", "An expired rental is not refunded."),
    Kind("refund-late", "The refund of an expired rental takes longer.", 600, "seconds more"),
    Kind("balance-lag", "The balance printed is an old one.", 30, "seconds"),
    # Code and history.
    Kind("code-wrong-session", "For a while after the rent, the code call says the session is wrong.", 5, "seconds"),
    Kind("code-says-expired", "The code call says expired although the rental still waits."),
    Kind("code-lag", "The code call says waiting although the message is there.", 5, "seconds"),
    Kind("history-omits-recent", "History leaves out the newest rows.", 3, "rows"),
    Kind("history-lag", "History shows how things were a while ago.", 10, "seconds"),
    Kind("history-shuffled", "History comes in no order."),
    Kind("history-oldest-first", "History comes oldest first."),
    Kind("history-short", "History holds only the newest rows.", 5, "rows"),
    Kind("history-ignores-filters", "History ignores every filter."),
    Kind("history-bare-id", "History prints ids without their SV (the page's form, in every envelope)."),
    Kind("history-full-id", "History prints ids with their SV."),
    Kind("audio-foreign", "The address of the audio is on another host."),
    Kind("audio-html", "The audio address answers with a web page."),
    # Callbacks.
    Kind("callback-never", "No callback is sent."),
    Kind("callback-twice", "Each callback is sent twice."),
    Kind("callback-late", "Callbacks are sent late.", 10, "seconds"),
    Kind("callback-out-of-order", "A callback waits until a later one has gone out.", 3, "seconds at most"),
    Kind("callback-early", "The message comes, and its callback is sent, before the rent call is answered."),
    Kind("callback-unknown-id", "A callback for a rental that nobody made is sent as well."),
    Kind("callback-expired-first", "A callback that wrongly says expired is sent before the true one."),
    Kind("callback-form", "Callbacks are form bodies, `status=1&requestId=…`."),
    Kind("callback-form-nested", "Callbacks are form bodies, `data[status]=1&data[requestId]=…`."),
    Kind("callback-nested", "The callback's fields stand under another object than `data`."),
    Kind("callback-flat", "The callback's fields stand at the top level."),
    Kind("callback-full-id", "Callbacks print the id with its SV."),
    Kind("callback-junk", "A body that is not JSON is sent before the callback."),
)
KINDS = {kind.name: kind for kind in _KINDS}


@dataclass
class _Rule:
    probability: float
    endpoint: str | None
    token: str | None
    count: int | None
    value: float


def parse(text: str) -> tuple[str, float, float | None]:
    """Read `NAME[=PROBABILITY][:VALUE]`. Raises ValueError for a name that is not a fault."""
    head, _, value = text.partition(":")
    name, _, probability = head.partition("=")
    _known(name)
    return name, float(probability or 1), float(value) if value else None


def _known(name: str) -> Kind:
    if name not in KINDS:
        near = difflib.get_close_matches(name, KINDS, 3)
        raise ValueError(f"there is no fault {name!r}" + (f"; near: {', '.join(near)}" if near else ""))
    return KINDS[name]


class Faults:
    """The switches that are on. Deterministic: the nth question about a fault has the same answer for a seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: dict[str, list[_Rule]] = defaultdict(list)
        self._asked: dict[str, int] = defaultdict(int)
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

        `endpoint` is one of `ENDPOINTS`, or "take" for both number-taking ones; `count` is how often it fires before it
        switches itself off; `value` is its size in its own unit. Raises ValueError for a name that is not known.
        """
        kind = _known(name)
        endpoint = _ALIASES.get(endpoint, endpoint) if endpoint else None
        if endpoint and endpoint not in (*ENDPOINTS, "take"):
            raise ValueError(f"there is no endpoint {endpoint!r}")
        rule = _Rule(probability, endpoint, token, count, kind.value if value is None else value)
        with self._lock:
            same = [old for old in self._rules[name] if (old.endpoint, old.token) != (endpoint, token)]
            self._rules[name] = [*same, rule]

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
                self._rules.clear()
            else:
                self._rules.pop(_known(name).name, None)

    def fires(self, name: str, endpoint: str, token: str | None) -> bool:
        """Whether the fault strikes here and now."""
        return self.value(name, endpoint, token) is not None

    def value(self, name: str, endpoint: str, token: str | None) -> float | None:
        """The fault's value (its size in its own unit) if it strikes here and now, else None."""
        if name not in self._rules:
            return None
        with self._lock:
            for rule in self._rules.get(name, ()):
                if not self._fits(rule, endpoint, token):
                    continue
                self._asked[name] += 1
                if rule.probability < 1 and draw(self._seed, name, self._asked[name]).random() >= rule.probability:
                    continue
                if rule.count is not None:
                    rule.count -= 1
                self.fired[name] += 1
                return rule.value
        return None

    @staticmethod
    def _fits(rule: _Rule, endpoint: str, token: str | None) -> bool:
        if rule.count is not None and rule.count <= 0:
            return False
        if rule.token is not None and rule.token != token:
            return False
        return rule.endpoint in (None, endpoint) or (rule.endpoint == "take" and endpoint in ("rent", "rephone"))

    def active(self) -> list[dict[str, object]]:
        """The switches that are on, as plain values."""
        with self._lock:
            return [{"name": name} | vars(rule) for name, rules in self._rules.items() for rule in rules]


def describe() -> str:
    """Every fault with its sentence, for a help page."""
    lines = []
    for kind in _KINDS:
        size = f" [{kind.value:g} {kind.unit}]" if kind.unit else ""
        lines.append(f"  {kind.name:<24}{kind.sentence}{size}")
    return "\n".join(lines)
