"""Setting up the true service: four steps from a token to the first number. How far it is, the database says by itself.

No step is a condition of the next one but the token: a person who left comes back to the first one that is open.
"""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Invitation, User
from accounts.policy import Access
from lib.formats import dong
from rentals.jobs.statistics import service_lines
from rentals.models import Callback, Hold, Rental, Service, Status, Token
from rentals.upstream import callback_addresses
from rentals.upstream.token_check import Finding, Level

# The services that the first number is offered for: the cheapest.
MAX_OFFERED = 5
_FOR_TESTS = "(TEST)"  # in the names of ThueSim's services for tests


class Progress(StrEnum):
    """How far a step is. `WAITING`: done here, and another one has to do something."""

    OPEN = "open"
    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """A step. `url` is `""` for one that wants a token first; `sentence` says how far it is."""

    name: str
    title: str
    url: str
    progress: Progress
    sentence: str


def is_needed(access: Access) -> bool:
    """Whether the desk is for the true service, has no token at all, and this person may add one. One query at most."""
    return access.holds_tokens and not settings.DEMO and not Token.objects.exists()


def goes_on(access: Access) -> bool:
    """Whether no number was ever rented on a desk for the true service. One query, for those who may set it up."""
    return access.holds_tokens and not settings.DEMO and not Rental.objects.filter(imported=False).exists()


def current_token(access: Access) -> Token | None:
    """Return the token to go on with: the newest of the person's team, else of all."""
    newest = Token.objects.order_by("-pk")
    return newest.filter(teams=access.team_id).first() or newest.first()


def next_step(steps: list[Step]) -> Step:
    """Return the first open step, else the one that waits for somebody, else the last."""
    for progress in (Progress.OPEN, Progress.WAITING):
        for step in steps:
            if step.progress == progress:
                return step
    return steps[-1]


def steps(access: Access, token: Token | None) -> list[Step]:
    """Return the four steps with how far `token` and the person's team are. Seven queries at most."""
    url = (
        {name: reverse(f"setup_{name}", args=[token.pk]) for name in ("callback", "people", "number")} if token else {}
    )
    return [
        Step("token", _("Token"), reverse("setup_token"), *_token(token)),
        Step("callback", _("Callback address"), url.get("callback", ""), *_callback(token)),
        Step("people", _("Team and people"), url.get("people", ""), *_people(access)),
        Step("number", _("First number"), url.get("number", ""), *_number(token)),
    ]


def _token(token: Token | None) -> tuple[Progress, str]:
    if token is None:
        return Progress.OPEN, _("not yet")
    if token.hold == Hold.INVALID or not token.value:
        return Progress.OPEN, f"{token.name} · {(Hold.INVALID if token.value else Hold.KEY_MISSING).label}"
    balance = "" if token.balance is None else f" · {dong(token.balance)}"
    return Progress.DONE, f"{token.name}{balance}"


def _callback(token: Token | None) -> tuple[Progress, str]:
    if token is None or not callback_addresses.valid_addresses(token).exists():
        return Progress.OPEN, _("recommended: codes come sooner")
    if token.callbacks.filter(state__in=Callback.PROVEN).exists():
        return Progress.DONE, _("ThueSim uses it")
    if token.callbacks.filter(state__in=Callback.UNPROVEN).exists():
        return Progress.WAITING, _("a call came that names no rental")
    return Progress.WAITING, _("waiting for ThueSim's first call")


def _people(access: Access) -> tuple[Progress, str]:
    people = User.objects.filter(memberships__team=access.team_id, is_active=True).exclude(pk=access.person_id).count()
    if people:
        return Progress.DONE, ngettext("%(n)d person besides you", "%(n)d people besides you", people) % {"n": people}
    invited = Invitation.objects.filter(Invitation.usable(), team=access.team_id).count()
    if invited:
        return Progress.WAITING, ngettext("%(n)d invitation is open", "%(n)d invitations are open", invited) % {
            "n": invited
        }
    return Progress.OPEN, _("only you so far")


def _number(token: Token | None) -> tuple[Progress, str]:
    rental = first_rental(token)
    if rental is None:
        return Progress.OPEN, _("not yet")
    if rental.phone:
        return Progress.DONE, _("rented")
    return Progress.WAITING, str(Status(rental.status).label)


def first_rental(token: Token | None) -> Rental | None:
    """Return the first rental that got a number with the token on the desk, else its latest order. Two queries."""
    if token is None:
        return None
    rentals = Rental.objects.filter(token=token, imported=False).select_related("service")
    return rentals.exclude(phone="").order_by("pk").first() or rentals.order_by("-pk").first()


@dataclass(frozen=True, slots=True)
class Answer:
    """What ThueSim answers with a token: the `main` part in a few sentences, and the `rest` for who looks closer."""

    main: list[Finding]
    rest: list[Finding]


def answer(findings: tuple[Finding, ...]) -> Answer:
    """Divide the findings of a check. The first of each heading, every error and an empty balance are main."""
    main: list[Finding] = []
    rest: list[Finding] = []
    for finding in findings:
        is_first = all(earlier.about != finding.about for earlier in main)
        is_money = finding.about == findings[0].about and finding.level == Level.WARN
        (main if is_first or is_money or finding.level == Level.FAIL else rest).append(finding)
    return Answer(main, rest)


def offered(access: Access) -> list[Service]:
    """Return the services to rent the first number of: the cheapest that the team may order.

    Those for tests, which may give no code, come last.
    """
    maximum = access.team.max_price if access.team else None
    allowed = [
        line.service
        for line in service_lines(access, all_services=True)
        if line.allowed and line.service.price and (maximum is None or line.service.price <= maximum)
    ]
    return sorted(allowed, key=lambda service: (_FOR_TESTS in service.name, service.price, service.search_name))[
        :MAX_OFFERED
    ]


def gap_seconds() -> float:
    """Return the seconds that ThueSim wants between two orders with one token."""
    return float(settings.THUESIM_RENT_GAP_SECONDS)


def message_to_thuesim(address: str) -> str:
    """Return the request to enter a callback address (API page, section 3.3), in the language of ThueSim's people."""
    return (
        "Chào ThueSim, nhờ bạn cài URL callback sau cho tài khoản của tôi (mục 3.3 API Callback, POST, "
        f"application/json):\n{address}"
    )


def is_private(address: str) -> bool:
    """Whether no other machine, or only one nearby, reaches this address: ThueSim could not post to it."""
    host = urlsplit(address).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
