"""Who the key is, what may be ordered, and on which tokens."""

from datetime import timedelta
from typing import Annotated

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query

from accounts.models import Scope
from api import schemas
from api.answers import Calls, asked
from api.problems import Problem
from api.rendering import person
from rentals import budgets
from rentals.jobs import statistics
from rentals.models import Network
from rentals.models.catalog import searchable
from rentals.queries.tokens import token_lines
from rentals.upstream import pacing

router = Calls()

SearchText = Annotated[schemas.Text, Query("", max_length=80, description="A part of a name.")]


@router.reads("/me", None, "The key itself", schemas.Me, name="me")
def me(request: HttpRequest) -> schemas.Me:
    """Whose key this is, what it may do, and what is left of the budgets."""
    caller = asked(request)
    key, team = caller.api_key, caller.access.team
    assert team is not None
    assert caller.access.role is not None
    remaining = budgets.remaining_for(caller.access, key)
    return schemas.Me(
        key=schemas.Key(id=key.pk, name=key.name, start=key.start, expires_at=key.expires_at),
        person=person(caller.person),
        team=schemas.Named(id=team.pk, name=team.name),
        role=caller.access.role.value,
        scopes=key.scopes,
        budget=[_budget(budget) for budget in remaining.budgets],
        server_time=timezone.now(),
    )


def _budget(budget: budgets.Budget) -> schemas.Budget:
    return schemas.Budget(
        of="key" if budget.of_key else "team" if budget.of_team else "person",
        label=budget.label,
        unit="dong" if budget.is_money else "rentals",
        limit=budget.most,
        used=budget.used,
        left=budget.remaining,
    )


@router.reads("/services", Scope.CATALOG_READ, "Services", schemas.Services, name="services", takes=("q",))
def services(request: HttpRequest, q: SearchText) -> schemas.Services:
    """The services on offer: those that the team uses most come first."""
    lines = statistics.service_lines(asked(request).access, all_services=True)
    name = searchable(q.strip())
    return schemas.Services(
        items=[_service(line) for line in lines if name in line.service.search_name or line.service.key == q.strip()]
    )


@router.reads("/services/{service_id}", Scope.CATALOG_READ, "One service", schemas.Service, name="service")
def service(request: HttpRequest, service_id: str) -> schemas.Service:
    """One service on offer, by `SV.ID` or by `ID` where that is unique."""
    lines = statistics.service_lines(asked(request).access, all_services=True)
    found = [line for line in lines if line.service.key == service_id] or [
        line for line in lines if line.service.upstream_id == service_id
    ]
    if len(found) != 1:
        raise Problem(404)
    return _service(found[0])


def _service(line: statistics.ServiceLine) -> schemas.Service:
    figure = line.figure
    return schemas.Service(
        id=line.service.key,
        name=line.service.name,
        price=line.service.price,
        wait_seconds=line.service.seconds,
        allowed=line.allowed,
        success_share=None if figure.success is None else round(figure.received / figure.ended, 2),
        median_seconds=figure.median_seconds,
    )


@router.reads("/networks", Scope.CATALOG_READ, "Networks", schemas.Networks, name="networks")
def networks(request: HttpRequest) -> schemas.Networks:
    """The networks to choose from, with the prefixes that likely belong to each."""
    offered = Network.objects.filter(active=True).prefetch_related("prefixes")
    return schemas.Networks(
        items=[
            schemas.Network(
                id=each.pk, name=each.name, prefixes=[f"0{prefix.digits}" for prefix in each.prefixes.all()]
            )
            for each in offered
        ]
    )


@router.reads("/tokens", Scope.BALANCE_READ, "Tokens and balances", schemas.Tokens, name="tokens")
def tokens(request: HttpRequest) -> schemas.Tokens:
    """The team's tokens of ThueSim, without their values."""
    now = timezone.now()
    return schemas.Tokens(
        items=[
            schemas.Token(
                id=line.token.pk,
                name=line.token.name,
                balance=line.balance,
                balance_at=line.balance_at,
                waiting=line.waiting,
                limit=line.limit,
                queued=line.queued,
                next_free_at=now + timedelta(seconds=max(0, pacing.seconds_to_turn(line.token))),
                hold=line.hold.value,
            )
            for line in token_lines(asked(request).access)
        ]
    )
