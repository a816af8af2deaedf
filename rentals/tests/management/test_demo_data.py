"""The month to look at is written once, into a demo alone, and its books balance."""

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from pytest_django import Settings

from accounts.models import User
from rentals.management.commands.demo_data import SERVICES
from rentals.models import LedgerEntry, Message, Rental, Status
from rentals.tests.factories import make_person, make_service, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings: Settings) -> None:
    """A desk in demo mode that has read its catalog."""
    settings.DEMO = True
    make_token(make_team())
    for name in SERVICES:
        make_service(name=name)


def test_a_month_with_its_messages_and_its_money_is_written(demo: None) -> None:
    call_command("demo_data")
    received = Rental.objects.filter(status=Status.RECEIVED)
    assert received.count() > 300
    assert Message.objects.count() == received.count()
    assert LedgerEntry.objects.aggregate(sum=Sum("amount"))["sum"] == 0


def test_a_second_time_changes_nothing(demo: None) -> None:
    call_command("demo_data")
    count = Rental.objects.count()
    with pytest.raises(CommandError, match="there already"):
        call_command("demo_data")
    assert Rental.objects.count() == count


def test_people_keep_the_name_they_have_entered(demo: None) -> None:
    make_person(username="linh", first_name="Trần Thị Linh")
    make_person(username="minh", last_name="Phạm")
    make_person(username="trang", first_name="", last_name="")
    call_command("demo_data")
    names = {person.username: person.get_full_name() for person in User.objects.all()}
    assert names == {"linh": "Trần Thị Linh", "minh": "Phạm", "trang": "Trang Lê", "huy": "Huy Nguyễn"}


def test_a_desk_on_the_true_service_is_left_alone(demo: None, settings: Settings) -> None:
    settings.DEMO = False
    with pytest.raises(CommandError, match="true ThueSim"):
        call_command("demo_data")
    assert not Rental.objects.exists()


def test_before_the_first_catalog_it_says_what_to_do(settings: Settings) -> None:
    settings.DEMO = True
    with pytest.raises(CommandError, match="Within a minute of its start"):
        call_command("demo_data")
