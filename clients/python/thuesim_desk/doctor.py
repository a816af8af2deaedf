"""What `thuesim-desk doctor` looks at: whether this address and this key can rent a number and read its code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from .answers import Me
from .desk import Desk
from .tables import dong

_SOON = timedelta(days=7)
_NEEDED = {"rentals:write": "rent", "rentals:read": "wait", "codes:read": "read the code"}


class Check(NamedTuple):
    """One check. `detail` says what was found, and what to do where it is not `ok`."""

    name: str
    ok: bool
    detail: str


def checks(desk: Desk) -> Iterator[Check]:
    """Yield the checks as they are made; none of them costs money. Raises `DeskError` where the desk refuses the key."""
    started = time.monotonic()
    me = desk.me()
    yield Check("desk", True, f"{desk.url} answers in {round((time.monotonic() - started) * 1000)} ms")
    key, person, team = me["key"], me["person"], me["team"]
    yield Check("key", True, f"“{key['name']}” of {person['name']}, {me['role']} in team {team['name']}")
    yield _expiry(key.get("expires_at"))
    lacking = [f"{scope} (to {what})" for scope, what in _NEEDED.items() if scope not in me["scopes"]]
    yield Check(
        "scopes", not lacking, f"lacks {', '.join(lacking)}: make another key" if lacking else "rent, wait, read codes"
    )
    if me["role"] == "viewer":
        yield Check("role", False, "a viewer rents nothing: ask a manager for the role operator")
    yield from _budgets(me)
    if "balance:read" in me["scopes"]:
        yield from _tokens(desk)
    if "catalog:read" in me["scopes"]:
        offered = [service for service in desk.services() if service.get("allowed")]
        shown = "; try: thuesim-desk rent {} --wait".format(offered[0]["id"]) if offered else ""
        yield Check(
            "services", bool(offered), f"{len(offered)} to rent for{shown}" if offered else "none: ask a manager"
        )


def _expiry(expires_at: str | None) -> Check:
    if not expires_at:
        return Check("expiry", True, "works until it is revoked")
    end = datetime.fromisoformat(expires_at.replace("Z", "+00:00"))
    text = f"works until {end.astimezone():%Y-%m-%d %H:%M}"
    return Check("expiry", True, f"{text}: replace it soon" if end - datetime.now(timezone.utc) < _SOON else text)


def _budgets(me: Me) -> Iterator[Check]:
    for budget in me["budget"]:
        write = dong if budget["unit"] == "dong" else str
        text = f"{budget['label']}: {write(budget['left'])} of {write(budget['limit'])} left"
        yield Check("budget", budget["left"] > 0, text)
    if not me["budget"]:
        yield Check("budget", True, "no limit")


def _tokens(desk: Desk) -> Iterator[Check]:
    tokens = desk.tokens()
    is_one_free = any(not token.get("hold") for token in tokens)
    for token in tokens:
        hold = token.get("hold")
        text = f"{token['name']}: {dong(token.get('balance')) or 'balance not known yet'}"
        yield Check("token", is_one_free, f"{text}, takes no order now ({hold})" if hold else text)
    if not tokens:
        yield Check("token", False, "the team has none: ask an admin")
