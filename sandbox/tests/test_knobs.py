"""The knobs, as tests turn them."""

import pytest

from sandbox.server import Sandbox
from sandbox.tests.conftest import ask, code_status, rent


def test_seeded_rentals_wait_and_are_charged_past_gap_and_limit(sandbox: Sandbox) -> None:
    ids = sandbox.seed_rentals(300)
    assert len(set(ids)) == 300
    assert len(ask(sandbox, "history", limit="1000").json["data"]) == 300
    assert sandbox.books()["waiting"] == 300
    assert sandbox.books()["balance"] == 500_000 - 300 * 1450


def test_a_message_is_delivered_to_any_form_of_the_phone(sandbox: Sandbox) -> None:
    for prefix in ("0", "", "84", "+84"):
        rental = rent(sandbox)
        sandbox.deliver(prefix + rental["Phone"].strip()[1:], "1234", "1234")
        assert code_status(sandbox, rental) == 0
    with pytest.raises(LookupError):
        sandbox.deliver("0999999999", "to nobody")
