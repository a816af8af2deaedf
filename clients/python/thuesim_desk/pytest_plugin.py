"""pytest fixtures: `rented_number("01.2")` rents a number for a test.

    def test_sign_up(page, rented_number):
        rental = rented_number("01.2")
        page.fill("#phone", rental.phone)
        page.fill("#code", rental.wait_for_code())

pytest finds them by itself once the package is installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .desk import Desk
from .errors import DeskError
from .rental import Rental


@pytest.fixture(scope="session")
def thuesim_desk() -> Desk:
    """The desk of THUESIM_DESK_URL and THUESIM_DESK_KEY, else of `thuesim-desk login`."""
    try:
        return Desk()
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def rented_number(thuesim_desk: Desk, request: pytest.FixtureRequest) -> Iterator[Callable[..., Rental]]:
    """`rented_number(service, number_timeout=120, **wishes)`: rent, wait for the number, return the rental.

    `wishes` are those of `Desk.rent`. At the test's end an order that got no number is cancelled. Each rental's id and
    status go to the test's captured output and to the JUnit report, never a number or a code.
    """
    rentals: list[Rental] = []

    def rent(service: str, *, number_timeout: float = 120, **wishes: Any) -> Rental:
        wishes.setdefault("purpose", request.node.name[:100])
        rental = thuesim_desk.rent(service, **wishes)
        rentals.append(rental)
        request.node.user_properties.append(("thuesim_desk_rental", rental.id))
        rental.wait_for_number(number_timeout)
        return rental

    yield rent
    for rental in rentals:
        with contextlib.suppress(DeskError):
            rental.close()
        print(f"thuesim-desk: rental {rental.id} {rental.status}")
