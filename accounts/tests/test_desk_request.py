"""Where a form leads back to: an address of ours alone."""

import pytest
from django.test import RequestFactory

from accounts.desk_request import local_address


@pytest.mark.parametrize("address", ["/", "/rentals/?q=1#5", "/team/"])
def test_an_address_of_ours_is_led_back_to(address: str) -> None:
    assert local_address(RequestFactory().post("/", {"next": address})) == address


@pytest.mark.parametrize(
    "address",
    ["", "desk", "https://elsewhere.invalid/", "//elsewhere.invalid/", "/\\elsewhere.invalid", "http://testserver/"],
)
def test_any_other_text_leads_to_the_fallback(address: str) -> None:
    request = RequestFactory().post("/", {"next": address})
    assert local_address(request) == "desk"
    assert local_address(request, "services") == "services"
