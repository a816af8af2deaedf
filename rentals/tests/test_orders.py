"""Taking an order: what the desk itself refuses, and the sentence that says so."""

from dataclasses import replace
from unittest.mock import patch

import pytest

from accounts.one_time_keys import Key
from rentals import orders
from rentals.models import Rental, Service, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token
from rentals.tests.fixtures import House, order

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [("96|97|", ["96", "97"]), ("096, 97", ["96", "97"]), ("  ", []), ("+8496 96", ["96"]), ("84", ["84"])],
)
def test_prefixes_are_read_in_every_form_people_write(text: str, prefixes: list[str]) -> None:
    assert orders.parse_prefixes(text) == prefixes


@pytest.mark.parametrize("text", ["abc", "96x", "123456", "9-6"])
def test_what_is_no_prefix_is_told(text: str) -> None:
    with pytest.raises(orders.OrderRefused, match="not a prefix"):
        orders.parse_prefixes(text)


def test_the_token_of_another_team_cannot_be_used(house: House) -> None:
    with pytest.raises(orders.OrderRefused, match="not one of your team"):
        order(house, token=make_token(make_team()))


def test_a_team_without_a_token_is_told_so(house: House) -> None:
    team = make_team()
    with pytest.raises(orders.OrderRefused, match="Ask an admin"):
        orders.take_order(orders.Order(person=make_person(team), team=team, service=house.service))


def test_a_purpose_is_wanted_where_the_team_wants_one(house: House) -> None:
    house.team.purpose_required = True
    with pytest.raises(orders.OrderRefused) as refused:
        order(house, purpose="  ")
    assert refused.value.field == "purpose"
    assert order(house, purpose=" sign-up  test ").purpose == "sign-up test"


def test_a_prefix_cannot_be_wanted_and_unwanted(house: House) -> None:
    with pytest.raises(orders.OrderRefused, match="96"):
        order(house, prefixes=["96"], exclude_prefixes=["96"])


def test_an_order_for_a_service_no_longer_offered_is_told_so(house: House) -> None:
    with pytest.raises(orders.OrderRefused, match="Choose another"):
        order(house, service=make_service(active=False))


def test_an_order_that_clashes_with_itself_taken_a_moment_before_is_not_refused(house: House) -> None:
    earlier = make_rental(
        Status.EXPIRED, team=house.team, person=house.person, token=house.token, service=house.service
    )
    again = orders.Order(person=house.person, team=house.team, service=house.service, again_of=earlier)
    key, look_up = Key("form", "1"), orders.taken_with

    def overtaken(key: Key | None) -> None:
        with patch.object(orders, "taken_with", look_up):
            orders.take_order(again, key=key)

    with patch.object(orders, "taken_with") as looks_up:
        calls = iter([overtaken])  # only the first look-up comes too early
        looks_up.side_effect = lambda key: next(calls, look_up)(key)
        with pytest.raises(orders.OrderedAlready) as already:
            orders.take_order(again, key=key)
    assert already.value.rental == Rental.objects.get(again_of=earlier)
    assert not already.value.differs


def test_what_was_ordered_is_found_by_its_own_key_alone(house: House) -> None:
    order(house)
    ordered = orders.Order(person=house.person, team=house.team, service=house.service)
    taken = orders.take_order(ordered, key=Key("form", "1"))
    assert orders.taken_with(Key("form", "1")) == taken
    assert orders.taken_with(Key("form", "2")) is None


@pytest.mark.parametrize(("before", "since"), [([], ["07"]), ([], ["07", "08"]), (["07"], [])])
def test_the_same_number_again_is_one_order_whichever_server_offers_its_service(
    house: House, before: list[str], since: list[str]
) -> None:
    service = make_service(sv="", active=not before)
    offered = {"upstream_id": service.upstream_id, "name": service.name}
    for server in before:
        make_service(sv=server, **offered)
    earlier = make_rental(Status.EXPIRED, team=house.team, person=house.person, token=house.token, service=service)
    again = orders.Order(person=house.person, team=house.team, service=service, again_of=earlier)
    rental = orders.take_order(again, key=Key("form", "1"))
    Service.objects.filter(pk=service.pk).update(active=False)
    for server in since:
        make_service(sv=server, **offered)
    with pytest.raises(orders.OrderedAlready) as already:
        orders.take_order(replace(again, service=Service.objects.get(pk=service.pk)), key=Key("form", "1"))
    assert (already.value.rental, already.value.differs) == (rental, False)
