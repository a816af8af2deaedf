"""Nothing that money hangs on is deleted: not by the admin's pages and actions, and not along with something else."""

from typing import Any

import pytest
from django.contrib.admin import site
from django.db.models import Model, ProtectedError, RestrictedError
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation, Membership, Role, Team, User
from rentals.models import BalanceReading, LedgerEntry, Rental, RentalEvent, Service, Status, Token
from rentals.tests.factories import make_person, make_rental, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def rental() -> Rental:
    """A rental that was paid for, and all that it stands on."""
    now = timezone.now()
    team = make_team()
    rental = make_rental(Status.RECEIVED, team=team, person=make_person(team, Role.MANAGER))
    LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-1450, at=now)
    LedgerEntry.objects.create(token=rental.token, kind="opening", amount=50_000, at=now)
    BalanceReading.objects.create(token=rental.token, at=now, balance=48_550, expected=48_550)
    RentalEvent.objects.create(rental=rental, at=now, kind="received")
    return rental


def money() -> list[int]:
    return [model._default_manager.count() for model in (Rental, RentalEvent, LedgerEntry, BalanceReading)]


@pytest.mark.parametrize("model", [Team, User, Service, Token, Rental], ids=lambda model: model.__name__)
def test_the_models_themselves_refuse(rental: Rental, model: Any) -> None:
    before = money()
    with pytest.raises((ProtectedError, RestrictedError)):
        model.objects.all().delete()
    assert money() == before


def test_a_token_that_has_readings_alone_stays_too() -> None:
    token = make_token()
    BalanceReading.objects.create(token=token, at=timezone.now(), balance=5)
    with pytest.raises(ProtectedError):
        token.delete()


@pytest.mark.parametrize("is_superuser", [False, True])
def test_no_page_and_no_action_of_the_admin_deletes_anything(rental: Rental, is_superuser: bool) -> None:
    admin = make_person(is_staff=True, is_superuser=is_superuser)
    client = Client()
    client.force_login(admin)
    request = RequestFactory().get("/")
    request.user = admin
    Invitation.objects.create(team=rental.team, invited_by=admin, secret_digest="x", expires_at=timezone.now())
    before = money(), Team.objects.count(), User.objects.count(), Token.objects.count(), Membership.objects.count()
    for model, page in site._registry.items():
        assert not page.has_delete_permission(request), model
        assert "delete_selected" not in page.get_actions(request), model
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        keys = list(model._default_manager.values_list("pk", flat=True)[:5])
        for pk in keys:
            assert client.post(reverse(f"{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
        client.post(reverse(f"{name}_changelist"), chosen)
    after = money(), Team.objects.count(), User.objects.count(), Token.objects.count(), Membership.objects.count()
    assert after == before


def test_only_prefixes_and_memberships_are_taken_away_inside_a_page(rental: Rental) -> None:
    admin = make_person(is_staff=True, is_superuser=True)
    request = RequestFactory().get("/")
    request.user = admin
    rows: dict[type[Model], Model] = {Team: rental.team, User: admin, Token: rental.token, Rental: rental}
    deletable = {
        inline.model._meta.model_name
        for model, page in site._registry.items()
        for inline in page.get_inline_instances(request, rows.get(model))
        if inline.has_delete_permission(request, rows.get(model))
    }
    assert deletable == {"membership", "prefix"}
