"""A number's likely network is told by its first digits, from a table that admins edit."""

from typing import Any

import pytest

from rentals.lifecycle.likely_network import forget, likely_network
from rentals.migrations._seed_prefixes import PREFIXES, seed
from rentals.models import Network, Prefix

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed(Network, Prefix)
    forget()


@pytest.mark.parametrize(
    ("phone", "network"),
    [
        ("+84852222127", "VINAPHONE"),
        ("+84843044146", "VINAPHONE"),
        ("+84961234567", "VIETTEL"),
        ("+84325550000", "VIETTEL"),
        ("+84701234567", "MOBIFONE"),
        ("+84561234567", "VIETNAMOBILE"),
        ("+84871234567", "ITELECOM"),
        ("+84551234567", "WINTEL"),
        ("+84991234567", "GMOBILE"),
        ("+84241234567", ""),
        ("+1961234567", ""),
        ("", ""),
    ],
)
def test_the_first_digits_tell(phone: str, network: str) -> None:
    assert likely_network(phone) == network


def test_the_longest_prefix_wins() -> None:
    Prefix.objects.create(network=Network.objects.get(name="WINTEL"), digits="9612")
    forget()
    assert likely_network("+84961234567") == "WINTEL"
    assert likely_network("+84961334567") == "VIETTEL"


def test_a_thousand_questions_read_the_table_once(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        for n in range(1000):
            likely_network(f"+84961{n:06d}")


def test_a_minute_later_the_table_is_read_again(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    now = 1000.0
    monkeypatch.setattr("rentals.lifecycle.likely_network.time.monotonic", lambda: now)
    likely_network("+84961234567")
    now = 1061.0
    with django_assert_num_queries(1):
        likely_network("+84961234567")


def test_no_two_networks_share_a_prefix() -> None:
    digits = [prefix for prefixes in PREFIXES.values() for prefix in prefixes]
    assert len(digits) == len(set(digits))
    assert Prefix.objects.count() == len(digits)


def test_seeding_again_keeps_what_an_admin_changed() -> None:
    Prefix.objects.filter(digits="55").update(network=Network.objects.get(name="MOBIFONE"))
    seed(Network, Prefix)
    assert Prefix.objects.get(digits="55").network.name == "MOBIFONE"


def test_a_seeded_network_is_not_offered_before_the_upstream_lists_it() -> None:
    Network.objects.all().delete()
    seed(Network, Prefix)
    assert not Network.objects.filter(active=True).exists()
