"""The tour of the desk: a few steps for each role, which point at parts of the page by their mark `data-tour`.

A tour comes by itself until the person has left or ended it, and again when they ask for it. By itself it does not come
while a number of the person's own waits.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.policy import Access


@dataclass(frozen=True, slots=True)
class Step:
    """What is said of the part of the page with the mark `data-tour="{part}"`."""

    part: str
    title: Promise
    text: Promise


@dataclass(frozen=True, slots=True)
class Tour:
    """The steps that one person is shown. `place` is the part of the page in which the first one stands."""

    place: str
    steps: tuple[Step, ...]

    @property
    def shown(self) -> list[dict[str, str]]:
        """The steps for the script."""
        return [{"part": step.part, "title": str(step.title), "text": str(step.text)} for step in self.steps]


_ORDER = Step(
    "order",
    _("Rent a number"),
    _("Type a part of the service's name and choose it. The button then shows the price; one press rents one number."),
)
_WISHES = Step(
    "wishes",
    _("Only if you need it"),
    _("Networks, prefixes, a purpose, a highest price. Without them there is a number soonest."),
)
_BOARD = Step(
    "board",
    _("Codes arrive here"),
    _("By themselves, within seconds. Click on a number or a code to copy it."),
)
_SIGNALS = Step(
    "signals",
    _("Be told of a code"),
    _("A sound, a notification, a count in the title: switch on what you want while you work in another window."),
)
_HISTORY = Step(
    "history",
    _("All numbers of the team"),
    _("Search and filter them here. The page of each number has its whole story, and managers export the list."),
)
_TEAM = Step(
    "team",
    _("People and rules"),
    _("Invite people, give them roles and budgets, and decide who reads whose codes. The audit log is here, too."),
)
_SPEND = Step(
    "spend",
    _("Money"),
    _("What was spent by day, person, service and purpose, and the differences that need your answer."),
)
_TOKENS = Step(
    "tokens",
    _("Tokens"),
    _(
        "The accounts at ThueSim that numbers are paid with: each with its balance, and the reason if it takes no order."
    ),
)
_SYSTEM = Step(
    "system",
    _("Is it well?"),
    _("Whether ThueSim answers, callbacks come and the workers run. Look here first when codes come late."),
)
_ADMINISTRATION = Step(
    "menu",
    _("Administration"),
    _("In this menu: tokens, teams and people. Your own account is here as well."),
)
_HELP = Step(
    "help",
    _("When you are stuck"),
    _(
        "Guides for every role, with a search; a “?” beside a word explains it. This tour is in the menu at the top right."
    ),
)

TOURS: Mapping[str, tuple[Step, ...]] = {
    "viewer": (_BOARD, _HISTORY, _HELP),
    "operator": (_ORDER, _WISHES, _BOARD, _SIGNALS, _HELP),
    "manager": (_ORDER, _BOARD, _TEAM, _SPEND, _HELP),
    "admin": (_ADMINISTRATION, _TOKENS, _SYSTEM, _TEAM, _HELP),
}
# Where a tour begins, in sight without a scroll. What is not here stands above the whole desk.
_PLACES = {"order": "form", "board": "board"}


def tour_of(access: Access, seen: Collection[str]) -> Tour | None:
    """Return the tour that the person has yet to be shown; None where they have left or ended it."""
    steps = TOURS.get(access.tour, ())
    if not steps or access.tour in seen:
        return None
    return Tour(_PLACES.get(steps[0].part, "top"), steps)
