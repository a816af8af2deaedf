from django.test import RequestFactory
from pytest_django import Settings

from lib.web.urls import absolute_reverse


def test_an_address_lies_under_the_public_one_whatever_host_the_request_names(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example"
    request = RequestFactory().get("/", headers={"host": "localhost"})
    assert absolute_reverse("rental", args=[5], request=request) == "https://desk.example/rentals/5/"


def test_without_a_public_address_it_lies_under_the_host_of_the_request(settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    request = RequestFactory().get("/", headers={"host": "localhost:8000"})
    assert absolute_reverse("rental", kwargs={"pk": 5}, request=request) == "http://localhost:8000/rentals/5/"
