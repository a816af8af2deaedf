"""Take an order: check it, choose its token, write it, and wake a worker. Calls no upstream."""

import re
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import Team, User
from rentals import budgets, enqueue, lifecycle
from rentals.lifecycle import reasons
from rentals.models import Rental, Service, Token
from rentals.queries.queue import best_tokens
from thuesim import phones

MAX_KEEP_TRYING_MINUTES = 60
MAX_PREFIX_DIGITS = 4


class OrderRefused(Exception):
    """The desk does not take the order. `sentence` tells the person why; `field` names the wrong form field, or is `""`."""

    def __init__(self, sentence: str | Promise, field: str = "") -> None:
        super().__init__(str(sentence))
        self.sentence = str(sentence)
        self.field = field


def parse_prefixes(text: str) -> list[str]:
    """Return the prefixes in `"96|97"`, `"096, 97"` or `"96 97"`, each once and without the leading 0.

    Raises `OrderRefused` for anything that is not 1 to 4 digits.
    """
    prefixes: list[str] = []
    for word in filter(None, re.split(r"[\s,;|]+", text)):
        try:
            digits = phones.prefix(word)
        except ValueError:
            digits = ""
        if not 1 <= len(digits) <= MAX_PREFIX_DIGITS:
            raise OrderRefused(_("“%(word)s” is not a prefix. Write digits such as 96 or 097.") % {"word": word[:20]})
        prefixes.append(digits)
    return list(dict.fromkeys(prefixes))


def take_order(
    *,
    person: User,
    team: Team,
    service: Service,
    networks: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    exclude_prefixes: Sequence[str] = (),
    purpose: str = "",
    keep_trying_minutes: int = 0,
    token: Token | None = None,
    again_of: Rental | None = None,
) -> Rental:
    """Write an order for one number, with its audit record, and wake a worker for it. Calls no upstream.

    Without a `token`, the one is chosen that is likely to serve the order first; a rental of `again_of` takes its token.
    Raises `OrderRefused`.
    """
    purpose = " ".join(purpose.split())
    if again_of is not None:
        service = service.offered(sv=again_of.upstream_id.partition(".")[2])
    _check(team, service, purpose, prefixes, exclude_prefixes, keep_trying_minutes)
    if again_of is not None:
        if not again_of.phone:
            raise OrderRefused(_("This order never got a number, so there is none to rent again."))
        token = again_of.token
    chosen = _choose_token(team, service, token)
    with transaction.atomic():
        refusal = budgets.why_not_taken(team=team, person=person, service=service)
        if refusal is not None:
            raise OrderRefused(refusal.sentence, refusal.field)
        rental = lifecycle.queue(
            team=team,
            person=person,
            token=chosen,
            service=service,
            again_of=again_of,
            token_pinned=token is not None,
            networks=list(networks),
            prefixes=list(prefixes),
            exclude_prefixes=list(exclude_prefixes),
            purpose=purpose[:120],
            keep_trying_until=timezone.now() + timedelta(minutes=keep_trying_minutes) if keep_trying_minutes else None,
        )
        detail = {"service": service.key, "price": service.price, "token": chosen.name, "purpose": rental.purpose}
        audit.record(audit.Action.ORDER, person=person, team=team, target=audit.about(rental), detail=detail)
    enqueue.place(chosen.pk)
    return rental


def _check(
    team: Team,
    service: Service,
    purpose: str,
    prefixes: Sequence[str],
    exclude_prefixes: Sequence[str],
    keep_trying_minutes: int,
) -> None:
    """Raise `OrderRefused` for an order that contradicts itself, the team's settings or the catalogue."""
    if team.purpose_required and not purpose:
        raise OrderRefused(_("Say what the number is for: your team requires a purpose with every order."), "purpose")
    if not service.active:
        raise OrderRefused(reasons.SENTENCES[reasons.SUSPENDED], "service")
    clash = sorted(set(prefixes) & set(exclude_prefixes))
    if clash:
        raise OrderRefused(
            _("Prefix %(prefix)s is both requested and excluded. Remove it from one of the two.")
            % {"prefix": clash[0]},
            "exclude_prefixes",
        )
    if not 0 <= keep_trying_minutes <= MAX_KEEP_TRYING_MINUTES:
        raise OrderRefused(_("Choose to keep trying for 0 to 60 minutes."), "keep_trying")


def _choose_token(team: Team, service: Service, token: Token | None) -> Token:
    """Return the token to order on: the chosen one, else the one that is likely to serve the order first.

    Raises `OrderRefused` where the chosen one is not the team's or is paused, or none is usable.
    """
    if token is not None:
        if not team.tokens.filter(pk=token.pk).exists():
            raise OrderRefused(_("This token is not one of your team's. Choose another one."), "token")
        if token.paused:
            raise OrderRefused(reasons.SENTENCES[reasons.PAUSED], "token")
        return token
    usable = best_tokens(team, price=service.price or 0)
    if not usable:
        reason = reasons.PAUSED if team.tokens.exists() else reasons.NO_TOKEN
        raise OrderRefused(reasons.SENTENCES[reason])
    return usable[0]
