"""A test finds what the migrations wrote, whichever test ran before it in the same process."""

import pytest

from rentals.models import Prefix


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_prefixes_are_there_after_a_test_that_ended_by_emptying_every_table(turn: str) -> None:
    assert Prefix.objects.get(digits="96").network.name == "VIETTEL", turn
