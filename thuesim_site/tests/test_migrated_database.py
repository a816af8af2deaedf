"""A test finds what the migrations wrote, and nothing else, whichever test ran before it in the same process."""

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache

from accounts import audit
from accounts.models import AuditRecord, Team, User
from rentals.models import Prefix, Rental, SpendSum, Status
from rentals.tests.factories import make_person, make_rental, make_team


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_prefixes_are_there_after_a_test_that_ended_by_emptying_every_table(turn: str) -> None:
    assert Prefix.objects.get(digits="96").network.name == "VIETTEL", turn


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_of_what_a_test_commits_nothing_stays_and_every_permission_does(turn: str) -> None:
    for model in (Team, User, Rental, SpendSum, AuditRecord):
        assert not model.objects.exists(), (turn, model)
    assert cache.get("failures") is None, turn
    cache.set("failures", [1.5])
    assert Permission.objects.get(codename="add_rental").content_type == ContentType.objects.get_for_model(Rental)
    team = make_team("Support")
    rental = make_rental(Status.RECEIVED, team=team, person=make_person(team))
    audit.record("reveal", person=rental.person, team=team, target="7")
    assert SpendSum.objects.exists()
