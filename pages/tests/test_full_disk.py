"""While the disk is full pages can be read, what writes says so in words, and monitors are told."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from lib.files import disk
from rentals.models import JobName, JobRun, Rental
from rentals.tests.factories import make_person, make_service, make_team, make_token
from rentals.tests.full_disk import full_disk

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    team = make_team()
    make_token(team)
    make_service(sv="02", upstream_id="97")
    client = Client(raise_request_exception=False)
    client.force_login(make_person(team, language="vi"))
    JobRun.objects.create(name=JobName.TICK, at=timezone.now())
    return client


@pytest.mark.parametrize("path", ["/", "/rentals/", "/services/", "/system/"])
def test_pages_can_be_read(reader: Client, path: str) -> None:
    with full_disk():
        assert reader.get(path).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_an_order_is_refused_in_the_language_of_the_person(reader: Client, headers: dict[str, str]) -> None:
    with full_disk():
        answer = reader.post("/rent/", {"service": "02.97"}, headers=headers)
    assert answer.status_code == 422
    assert "ổ đĩa của hệ thống đã đầy" in answer.content.decode()
    assert not Rental.objects.exists()


def test_a_sign_in_says_what_is_wrong(reader: Client) -> None:
    make_person(username="linh")
    with full_disk():
        answer = Client(raise_request_exception=False).post(
            "/accounts/login/", {"login": "linh", "password": "secret-enough"}, headers={"Accept-Language": "vi"}
        )
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert "Ổ đĩa của hệ thống đã đầy" in answer.content.decode()


def test_monitors_are_told_as_soon_as_the_scheduler_cannot_write(reader: Client) -> None:
    JobRun.objects.update(at=timezone.now() - timedelta(seconds=8))
    with full_disk():
        answer = reader.get("/readyz")
        metrics = reader.get("/metrics").content.decode()
        page = reader.get("/system/").content.decode()
    assert (answer.status_code, answer.json()["database"]) == (503, "full")
    assert "its disk is full" in answer.json()["reasons"][0]
    assert "desk_database_writable 0.0" in metrics
    assert "desk_ready 0.0" in metrics
    assert "Ổ đĩa của cơ sở dữ liệu đã đầy" in page
    assert reader.get("/readyz").status_code == 200


def test_a_scheduler_that_does_not_run_makes_the_desk_unready(reader: Client) -> None:
    JobRun.objects.update(at=timezone.now() - timedelta(seconds=34))
    answer = reader.get("/readyz")
    assert answer.status_code == 503
    assert "no worker has ticked" in answer.json()["reasons"][0]


def test_a_disk_that_is_nearly_full_is_said_before(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 15_000_000)
    assert "gần đầy" in reader.get("/system/").content.decode()
    assert reader.get("/readyz").json()["disk_free_mb"] == 15
