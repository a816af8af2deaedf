"""Check a token against the upstream: what works, and which of our assumptions about its replies hold.

Asks for balance, networks, services and history: nothing that costs money or takes a number.
"""

import enum
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

import thuesim
from lib.encryption import Secret
from lib.formats import dong
from rentals.models import Callback, Network, Rental, Token
from rentals.upstream import breaker, call_statistics, callback_addresses, drift
from thuesim.decoding import Fields, Number
from thuesim.envelopes import Envelope

logger = logging.getLogger(__name__)

# So many of the newest numbers rented here are looked up in the upstream's history.
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
    """What was found about a value. `accepted`: the upstream gave its balance; `refused`: it does not know the value. `ours`
    is of the newest numbers rented here how many its history holds, and of how many; None where that could not be told."""

    findings: list[Finding]
    accepted: bool = False
    refused: bool = False
    ours: tuple[int, int] | None = None

    def __add__(self, later: "Check") -> "Check":
        """Return this step of a check and a later one as one."""
        return Check(
            self.findings + later.findings,
            self.accepted or later.accepted,
            self.refused or later.refused,
            self.ours or later.ours,
        )


class _Observer:
    """What the client's hooks got from the latest call: the reply and its differences from the API page."""

    def __init__(self) -> None:
        self.reply: thuesim.Reply | None = None
        self.differences: list[thuesim.Drift] = []

    def reset(self) -> None:
        self.reply = None
        self.differences = []

    def on_reply(self, reply: thuesim.Reply) -> None:
        self.reply = reply

    def on_drift(self, difference: thuesim.Drift) -> None:
        self.differences.append(difference)
        drift.record(difference)

    def envelope(self) -> Envelope | None:
        """Return the reply opened; None where there is none."""
        try:
            return self.reply.envelope() if self.reply else None
        except thuesim.Gibberish:
            return None

    def rows(self) -> list[Fields]:
        """Return the objects in the list that the reply holds."""
        envelope = self.envelope()
        payload = envelope.payload if envelope else None
        rows = payload.values() if isinstance(payload, Fields) else payload if isinstance(payload, list) else []
        return [row for row in rows if isinstance(row, Fields)]


def check_token(token: Token) -> list[Finding]:
    """Ask the upstream about `token`, and say what was found. Raises no ThueSimError; at most four time-outs long.

    A balance that comes proves the token good, so a hold for a refused token ends.
    """
    if not token.value:
        sentence = _("The value cannot be decrypted: its key is missing from DESK_SECRET_KEYS. Enter the token again.")
        return [Finding(_("Token"), Level.FAIL, sentence)]
    check = examine(token, token.value)
    if check.accepted:
        breaker.answered(token)
    return check.findings


def examine(token: Token | None, value: Secret) -> Check:
    """Ask the upstream about `value`, as if it were the value of `token`. Writes nothing about the token but the calls.

    With None the value is of no token yet: where its balance does not come, nothing else is asked.
    """
    try:
        return _examine(token, value)
    finally:
        # The web process has no heartbeat that would write down what was counted.
        call_statistics.write()


def _examine(token: Token | None, value: Secret) -> Check:
    check, observer = Check([]), _Observer()
    with thuesim.Client(
        value.reveal(),
        settings.THUESIM_BASE_URL,
        timeout=settings.THUESIM_TIMEOUT_SECONDS,
        on_call=call_statistics.counter(token.pk) if token else None,
        on_drift=observer.on_drift,
        on_reply=observer.on_reply,
    ) as client:
        for about, ask in (
            (_("Balance"), _balance),
            (_("Networks"), _networks),
            (_("Services"), _services),
            (_("History"), _history),
        ):
            observer.reset()
            try:
                check += ask(about, client, token, observer) + _envelope(about, observer)
            except thuesim.ThueSimError as error:
                refused = isinstance(error, thuesim.InvalidToken)
                check += Check([Finding(about, Level.FAIL, _in_words(error))], refused=refused)
                if token is None and not check.accepted:
                    return check
                if isinstance(error, thuesim.InvalidToken | thuesim.CannotConnect):
                    return check  # the others would end the same way
            check += _differences(about, observer)
    return check + _callbacks(_("Callback"), token) if token else check


def _balance(about: str, client: thuesim.Client, token: Token | None, observer: _Observer) -> Check:
    amount = client.balance().amount
    sentence = _("The token is accepted. Balance: %(amount)s.") % {"amount": dong(amount)}
    findings = [Finding(about, Level.OK, sentence)]
    if amount <= 0:
        sentence = _("There is no money on it: top it up at ThueSim before renting.")
        findings.append(Finding(about, Level.WARN, sentence))
    return Check(findings, accepted=True)


def _networks(about: str, client: thuesim.Client, token: Token | None, observer: _Observer) -> Check:
    names = [network.name for network in client.networks()]
    if not names:
        sentence = _("The list is empty. Orders go out without a choice of network until it is back.")
        return Check([Finding(about, Level.WARN, sentence)])
    sentence = ngettext("%(count)d network: %(names)s.", "%(count)d networks: %(names)s.", len(names)) % {
        "count": len(names),
        "names": ", ".join(names[:20]),
    }
    findings = [Finding(about, Level.OK, sentence)]
    with_prefixes = set(Network.objects.filter(prefixes__isnull=False).values_list("name", flat=True).distinct())
    if without := [name for name in names if name not in with_prefixes]:
        sentence = _(
            "No prefixes are known for %(names)s. Add them under Networks, so that their numbers are recognised."
        ) % {"names": ", ".join(without[:20])}
        findings.append(Finding(about, Level.WARN, sentence))
    return Check(findings)


def _services(about: str, client: thuesim.Client, token: Token | None, observer: _Observer) -> Check:
    services = client.services()
    if not services:
        sentence = _("The list is empty. The desk keeps its services; check again later.")
        return Check([Finding(about, Level.WARN, sentence)])
    count = len(services)
    rows = observer.rows()
    findings = [
        Finding(about, Level.OK, ngettext("%(count)d service.", "%(count)d services.", count) % {"count": count}),
        _share(
            about,
            rows,
            "sv",
            every=_("Each service names its server (SV)."),
            none=_("No service names its server (SV): orders are sent with the bare ID."),
            some=_("Only %(some)d of %(all)d services name their server (SV)."),
        ),
        _share(
            about,
            rows,
            "time",
            every=_("Each service says how long a number waits (Time)."),
            none=_("No service says how long a number waits (Time): 300 seconds are assumed."),
            some=_(
                "Only %(some)d of %(all)d services say how long a number waits (Time): for the others 300 seconds are "
                "assumed."
            ),
        ),
    ]
    if count := sum(service.price is None for service in services):
        sentence = ngettext("%(count)d service has no price.", "%(count)d services have no price.", count)
        findings.append(Finding(about, Level.WARN, sentence % {"count": count}))
    if len({service.key for service in services}) < len(services):
        sentence = _("Some services are listed twice with the same server and ID; the first of each counts.")
        findings.append(Finding(about, Level.WARN, sentence))
    return Check(findings)


def _share(about: str, rows: Sequence[Fields], key: str, *, every: str, none: str, some: str) -> Finding:
    """Say how many of the rows have a value under `key`."""
    having = sum(bool(row.get(key)) for row in rows)
    if having == len(rows):
        return Finding(about, Level.OK, every)
    return Finding(about, Level.WARN, some % {"some": having, "all": len(rows)} if having else none)


def _history(about: str, client: thuesim.Client, token: Token | None, observer: _Observer) -> Check:
    entries = client.history()
    if not entries and token is None:
        return Check([Finding(about, Level.OK, _("No number has been rented with it yet."))])
    if not entries:
        sentence = _("The list is empty: its form and order are known only after the first rental.")
        return Check([Finding(about, Level.WARN, sentence)]) + _compared(about, token, entries)
    times = [entry.created_at for entry in entries if entry.created_at]
    reach = date_format(timezone.localtime(min(times)), "SHORT_DATE_FORMAT") if times else "?"
    sentence = ngettext("%(count)d rental, of %(date)s.", "%(count)d rentals, back to %(date)s.", len(entries))
    findings = [Finding(about, Level.OK, sentence % {"count": len(entries), "date": reach})]
    if times == sorted(times, reverse=True):
        findings.append(Finding(about, Level.OK, _("Newest first.")))
    elif times == sorted(times):
        sentence = _("Oldest first. That does no harm: the desk does not rely on the order.")
        findings.append(Finding(about, Level.WARN, sentence))
    else:
        sentence = _("Not in order of time. That does no harm: the desk does not rely on the order.")
        findings.append(Finding(about, Level.WARN, sentence))
    findings.append(Finding(about, Level.OK, _id_forms(observer.rows())))
    if count := sum(not entry.phone for entry in entries):
        sentence = ngettext(
            "%(count)d rental hides its phone number and cannot be rented again.",
            "%(count)d rentals hide their phone numbers and cannot be rented again.",
            count,
        )
        findings.append(Finding(about, Level.WARN, sentence % {"count": count}))
    if count := len(entries) - len(times):
        sentence = ngettext("%(count)d rental has no readable time.", "%(count)d rentals have no readable time.", count)
        findings.append(Finding(about, Level.WARN, sentence % {"count": count}))
    return Check(findings) + _compared(about, token, entries)


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
    return _("Its ids are %(forms)s.") % {
        "forms": ", ".join(words[form] for form in sorted(forms, reverse=True)) or "?"
    }


def _compared(about: str, token: Token | None, entries: Sequence[thuesim.HistoryEntry]) -> Check:
    """Say whether the history holds what was rented here: one history call can then stand for many code calls."""
    if token is None:
        return Check([])
    ours = list(
        Rental.objects.filter(token=token, imported=False)
        .exclude(upstream_key="")
        .order_by("-queued_at")
        .values_list("upstream_key", flat=True)[:COMPARED]
    )
    if not ours:
        return Check([])
    theirs = {thuesim.rental_key(entry.id) for entry in entries}
    count = sum(key in theirs for key in ours)
    level = Level.OK if count == len(ours) else Level.WARN
    sentence = _("Of the %(all)d newest numbers rented here, it holds %(some)d.") % {"all": len(ours), "some": count}
    return Check([Finding(about, level, sentence)], ours=(count, len(ours)))


def _callbacks(about: str, token: Token) -> Check:
    if not callback_addresses.valid_addresses(token).exists():
        sentence = _(
            "This token has no callback address, so the desk polls ThueSim for codes. Make an address and give it to "
            "ThueSim to get codes sooner."
        )
        return Check([Finding(about, Level.WARN, sentence)])
    calls = token.callbacks.order_by("-at").values_list("at", flat=True)
    latest = calls.filter(state__in=Callback.PROVEN).first()
    if latest is None and calls.filter(state__in=Callback.UNPROVEN).exists():
        sentence = _("Calls came, but none names a rental of this desk. Has the address been given to ThueSim?")
        return Check([Finding(about, Level.WARN, sentence)])
    if latest is None:
        sentence = _("There is an address, but ThueSim has never used it. Has it been given to ThueSim?")
        return Check([Finding(about, Level.WARN, sentence)])
    time = date_format(timezone.localtime(latest), "SHORT_DATETIME_FORMAT")
    return Check([Finding(about, Level.OK, _("The latest callback came at %(time)s.") % {"time": time})])


# What the three envelopes of the API page look like.
_ENVELOPE_KEYS = {"A": "status_code, data", "B": "ResponseCode, Data", "C": "ResponseCode, Result"}


def _envelope(about: str, observer: _Observer) -> Check:
    """Say which envelope the reply came in. One that the page does not print is a difference, too."""
    envelope = observer.envelope()
    if envelope is None:
        return Check([])
    if not envelope.family:
        sentence = _("The reply has no status key, but the rest of it could be read.")
        return Check([Finding(about, Level.WARN, sentence)])
    sentence = _("Reply format %(family)s (%(keys)s).") % {
        "family": envelope.family,
        "keys": _ENVELOPE_KEYS[envelope.family],
    }
    return Check([Finding(about, Level.OK, sentence)])


def _differences(about: str, observer: _Observer) -> Check:
    sentence = _("Differs from the API page: %(form)s.")
    return Check([Finding(about, Level.WARN, sentence % {"form": seen.form}) for seen in observer.differences])


_ADDRESS = gettext_lazy("ThueSim redirects to another address. Check THUESIM_BASE_URL.")
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
    (thuesim.Gibberish, gettext_lazy("The answer is not ThueSim's. Check THUESIM_BASE_URL, or try again later.")),
)


# The client's own words say nothing more to a person, and are in English alone; the log has them.
_WITHOUT_WORDS_OF_THUESIM = (thuesim.CannotConnect, thuesim.TimedOut, thuesim.ConnectionLost)


def _in_words(error: thuesim.ThueSimError) -> str:
    sentence = next((words for kind, words in _SENTENCES if isinstance(error, kind)), _("ThueSim reports an error."))
    if isinstance(error, _WITHOUT_WORDS_OF_THUESIM):
        logger.warning("a check of a token: %s: %s", type(error).__name__, error.message)
        return str(sentence)
    return f"{sentence} ({error.message})" if error.message else str(sentence)
