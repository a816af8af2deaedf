"""Check a token against the upstream: what works, and which of our assumptions about its replies hold.

Asks for balance, networks, services and history: nothing that costs money or takes a number.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

import thuesim
from lib.encryption import Secret
from lib.formats import dong
from rentals.models import Network, Rental, Token
from rentals.upstream import breaker, call_stats, callback_addresses, drift
from thuesim.client import Reply
from thuesim.decoding import Fields, Number
from thuesim.drift import Notes
from thuesim.envelopes import Envelope, open_envelope

# So many of the newest numbers rented here are looked for in the upstream's history.
COMPARED = 20


class Level(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One plain sentence, in the active language. `about` is the heading it stands under."""

    about: str
    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about a value. `accepted`: the upstream gave its balance. `ours` is of the newest numbers rented here
    how many its history holds, and of how many; None where that could not be told."""

    findings: list[Finding]
    accepted: bool = False
    ours: tuple[int, int] | None = None


class _Listening(thuesim.Client):
    """A client that keeps the last reply and the differences in it. Its replies never hold the token."""

    last: Reply | None = None
    accepted = False
    ours: tuple[int, int] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seen: list[thuesim.Drift] = []
        super().__init__(*args, on_drift=self._notice, **kwargs)

    def _notice(self, difference: thuesim.Drift) -> None:
        self.seen.append(difference)
        drift.record(difference)

    def _call(self, *args: Any, **kwargs: Any) -> Reply:
        self.last = None
        self.last = super()._call(*args, **kwargs)
        return self.last


def check_token(token: Token) -> list[Finding]:
    """Ask the upstream about `token`, and say what was found. Never raises a fault; at most four time-outs long.

    A balance that comes proves the token good, so a hold for a refused token ends.
    """
    if not token.value:
        sentence = _("The value cannot be decrypted: its key is missing from DESK_SECRET_KEYS. Enter the token again.")
        return [Finding(_("Token"), Level.FAIL, sentence)]
    check = examine(token, token.value)
    if check.accepted:
        breaker.answered(token)
    return check.findings


def examine(token: Token, value: Secret) -> Check:
    """Ask the upstream about `value`, as if it were the value of `token`. Writes nothing about the token but the calls."""
    try:
        return _asked(token, value)
    finally:
        # The web process has no heartbeat that would write down what was counted.
        call_stats.write()


def _asked(token: Token, value: Secret) -> Check:
    findings: list[Finding] = []
    address, seconds = settings.THUESIM_BASE_URL, settings.THUESIM_TIMEOUT_SECONDS
    with _Listening(value.reveal(), address, timeout=seconds, on_call=call_stats.counter(token.pk)) as client:
        for heading, endpoint, ask in (
            (_("Balance"), "balance", _balance),
            (_("Networks"), "networks", _networks),
            (_("Services"), "services", _services),
            (_("History"), "history", _history),
        ):
            try:
                said = list(ask(client, token))
            except thuesim.ThueSimError as fault:
                findings.append(Finding(heading, Level.FAIL, _in_words(fault)))
                if isinstance(fault, thuesim.InvalidToken | thuesim.CannotConnect):
                    return Check(findings)  # the others would end the same way
            else:
                findings += [Finding(heading, *line) for line in said]
                findings += [Finding(heading, *line) for line in _envelope(client, endpoint)]
            findings += [Finding(heading, *line) for line in _differences(client)]
        findings += [Finding(_("Callback"), *line) for line in _callbacks(token)]
        return Check(findings, client.accepted, client.ours)


_Line = tuple[Level, str]
_Ask = Callable[[_Listening, Token], Iterator[_Line]]


def _balance(client: _Listening, token: Token) -> Iterator[_Line]:
    amount = client.balance().amount
    client.accepted = True
    yield Level.OK, _("The token is accepted. Balance: %(amount)s.") % {"amount": dong(amount)}
    if amount <= 0:
        yield Level.WARN, _("There is no money on it: top it up at ThueSim before renting.")


def _networks(client: _Listening, token: Token) -> Iterator[_Line]:
    names = [network.name for network in client.networks()]
    if not names:
        yield Level.WARN, _("The list is empty. Orders go out without a choice of network until it is back.")
        return
    yield (
        Level.OK,
        ngettext("%(count)d network: %(names)s.", "%(count)d networks: %(names)s.", len(names))
        % {"count": len(names), "names": ", ".join(names[:20])},
    )
    known = set(Network.objects.filter(prefixes__isnull=False).values_list("name", flat=True).distinct())
    if strange := [name for name in names if name not in known]:
        yield (
            Level.WARN,
            _("No prefixes are known here for %(names)s. Add them under Networks, so that its numbers are recognised.")
            % {"names": ", ".join(strange[:20])},
        )


def _services(client: _Listening, token: Token) -> Iterator[_Line]:
    services = client.services()
    if not services:
        yield Level.WARN, _("The list is empty. Nothing is taken off the desk because of that; check again later.")
        return
    yield Level.OK, ngettext("%(count)d service.", "%(count)d services.", len(services)) % {"count": len(services)}
    rows = _rows(client, "services")
    yield _share(
        rows,
        "sv",
        every=_("Each service names its server (SV)."),
        none=_("No service names its server (SV): orders are sent with the bare ID."),
        some=_("Only %(some)d of %(all)d services name their server (SV)."),
    )
    yield _share(
        rows,
        "time",
        every=_("Each service says how long a number waits (Time)."),
        none=_("No service says how long a number waits (Time): 300 seconds are assumed."),
        some=_("Only %(some)d of %(all)d services say how long a number waits (Time): else 300 seconds are assumed."),
    )
    if count := sum(service.price is None for service in services):
        yield (
            Level.WARN,
            ngettext("%(count)d service has no price.", "%(count)d services have no price.", count) % {"count": count},
        )
    if len({service.key for service in services}) < len(services):
        yield Level.WARN, _("Some services are listed twice with the same server and ID; the first of each counts.")


def _history(client: _Listening, token: Token) -> Iterator[_Line]:
    entries = client.history()
    if not entries:
        yield Level.WARN, _("The list is empty: its form and order can be told after the first rental.")
        yield from _compared(client, token, entries)
        return
    times = [entry.created_at for entry in entries if entry.created_at]
    reach = date_format(timezone.localtime(min(times)), "SHORT_DATE_FORMAT") if times else "?"
    yield (
        Level.OK,
        ngettext("%(count)d rental, of %(date)s.", "%(count)d rentals, back to %(date)s.", len(entries))
        % {"count": len(entries), "date": reach},
    )
    if times == sorted(times, reverse=True):
        yield Level.OK, _("The newest stand first.")
    elif times == sorted(times):
        yield Level.WARN, _("The oldest stand first. That does no harm: the desk does not rely on the order.")
    else:
        yield Level.WARN, _("They stand in no order of time. That does no harm: the desk does not rely on the order.")
    yield Level.OK, _id_forms(_rows(client, "history"))
    if count := sum(not entry.phone for entry in entries):
        yield (
            Level.WARN,
            ngettext(
                "%(count)d rental hides its phone number and cannot be rented again.",
                "%(count)d rentals hide their phone numbers and cannot be rented again.",
                count,
            )
            % {"count": count},
        )
    if count := len(entries) - len(times):
        yield (
            Level.WARN,
            ngettext("%(count)d rental has no readable time.", "%(count)d rentals have no readable time.", count)
            % {"count": count},
        )
    yield from _compared(client, token, entries)


def _compared(client: _Listening, token: Token, entries: Sequence[thuesim.HistoryEntry]) -> Iterator[_Line]:
    """Whether the history holds what was rented here: one history call can then stand for many code calls."""
    ours = list(
        Rental.objects.filter(token=token, imported=False)
        .exclude(upstream_key="")
        .order_by("-queued_at")
        .values_list("upstream_key", flat=True)[:COMPARED]
    )
    if not ours:
        return
    theirs = {thuesim.rental_key(entry.id) for entry in entries}
    found = sum(key in theirs for key in ours)
    client.ours = found, len(ours)
    level = Level.OK if found == len(ours) else Level.WARN
    yield level, _("Of the %(all)d newest numbers rented here, it holds %(some)d.") % {"all": len(ours), "some": found}


def _callbacks(token: Token) -> Iterator[_Line]:
    if not callback_addresses.valid_addresses(token).exists():
        yield (
            Level.WARN,
            _(
                "This token has no callback address. Codes are found by asking; make an address and give it to ThueSim to "
                "have them sooner."
            ),
        )
        return
    latest = token.callbacks.order_by("-at").values_list("at", flat=True).first()
    if latest is None:
        yield Level.WARN, _("There is an address, but ThueSim has never used it. Has it been given to ThueSim?")
        return
    yield (
        Level.OK,
        _("The latest callback came at %(time)s.")
        % {"time": date_format(timezone.localtime(latest), "SHORT_DATETIME_FORMAT")},
    )


def _envelope(client: _Listening, endpoint: str) -> Iterator[_Line]:
    """Which of the three envelopes the reply came in. That it is one the page does not print is a difference."""
    reply = _opened(client, endpoint)
    if reply is None:
        return
    if reply.family:
        yield Level.OK, _("Answered in envelope %(family)s.") % {"family": reply.family}
    else:
        yield Level.WARN, _("Answered without a status key; the payload was understood all the same.")


def _differences(client: _Listening) -> Iterator[_Line]:
    for difference in client.seen:
        yield Level.WARN, _("Differs from the API page: %(form)s.") % {"form": difference.form}
    client.seen.clear()


def _opened(client: _Listening, endpoint: str) -> Envelope | None:
    if client.last is None:
        return None
    try:
        return open_envelope(client.last.body, Notes(endpoint))
    except thuesim.Gibberish:
        return None


def _rows(client: _Listening, endpoint: str) -> list[Fields]:
    reply = _opened(client, endpoint)
    payload = reply.payload if reply else None
    rows = payload.values() if isinstance(payload, Fields) else payload if isinstance(payload, list) else []
    return [row for row in rows if isinstance(row, Fields)]


def _share(rows: Sequence[Fields], key: str, *, every: str, none: str, some: str) -> _Line:
    having = sum(bool(row.get(key)) for row in rows)
    if having == len(rows):
        return Level.OK, every
    return Level.WARN, some % {"some": having, "all": len(rows)} if having else none


def _id_forms(rows: Sequence[Fields]) -> str:
    """Say how the history prints ids: the desk knows a rental by what stands before the dot."""
    forms = {
        (isinstance(id_, Number), "." in str(id_)) for row in rows if (id_ := row.get("id") or row.get("requestid"))
    }
    words = {
        (True, True): _("numbers with the server after a dot"),
        (True, False): _("bare numbers"),
        (False, True): _("texts with the server after a dot"),
        (False, False): _("bare texts"),
    }
    found = ", ".join(words[form] for form in sorted(forms, reverse=True))
    return _("Its ids are %(forms)s.") % {"forms": found or "?"}


_ADDRESS = gettext_lazy("ThueSim sends us to another address. Check THUESIM_BASE_URL.")
_SENTENCES = (
    (
        thuesim.InvalidToken,
        gettext_lazy("ThueSim refuses the token. Compare it with ThueSim's page and enter it again."),
    ),
    (
        thuesim.CannotConnect,
        gettext_lazy("ThueSim cannot be reached. Check THUESIM_BASE_URL and this machine's network."),
    ),
    (thuesim.TimedOut, gettext_lazy("ThueSim did not answer in time. Check again in a few minutes.")),
    (thuesim.ConnectionLost, gettext_lazy("The connection to ThueSim broke. Check again in a few minutes.")),
    (thuesim.ServerError, gettext_lazy("ThueSim reports an error of its own. Check again in a few minutes.")),
    (thuesim.TooSoon, gettext_lazy("ThueSim asks for a pause. Check again in a minute.")),
    (thuesim.Redirected, _ADDRESS),
    (thuesim.RedirectedElsewhere, _ADDRESS),
    (thuesim.Rejected, gettext_lazy("A server in front of ThueSim rejected the request. Check THUESIM_BASE_URL.")),
    (thuesim.Gibberish, gettext_lazy("The answer is none of ThueSim's. Check THUESIM_BASE_URL, or try again later.")),
)


def _in_words(fault: thuesim.ThueSimError) -> str:
    words = next((words for kind, words in _SENTENCES if isinstance(fault, kind)), _("ThueSim reports an error."))
    return f"{words} ({fault.message})" if fault.message else str(words)
