"""Who is not signed in any more is led to the sign-in, and from there back to where they were."""

from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

DESK = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?mine=1&status=waiting"}


def test_a_page_is_redirected(client: Client) -> None:
    assert client.get("/rentals/?q=1").headers["Location"] == "/accounts/login/?next=/rentals/%3Fq%3D1"


@pytest.mark.parametrize(
    ("method", "address"), [("post", "/rent/"), ("get", "/tokens/"), ("post", "/rentals/1/check/")]
)
def test_a_part_of_a_page_leads_the_whole_page_away_and_back(client: Client, method: str, address: str) -> None:
    response: Any = getattr(client, method)(address, headers=DESK)
    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == "/accounts/login/?next=/%3Fmine%3D1%26status%3Dwaiting"
    assert response.content == b""


def test_a_page_elsewhere_is_not_led_back_to(client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "https://elsewhere.invalid/steal/"}
    assert client.post("/rent/", headers=headers).headers["HX-Redirect"] == "/accounts/login/?next=/"
