"""The address that ThueSim posts to."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from pages.views.programs import callback
from pages.views.programs.callback import MAX_BODY_BYTES
from rentals import tasks
from rentals.jobs import callbacks
from rentals.models import Callback, CallbackAddress, Rental, Status
from rentals.tests.factories import make_rental, make_token
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.django_db
BODY = b'{"data":{"status":1,"requestId":"58098","code":"486460","smsContent":"486460 la ma","isSound":"false"}}'


@pytest.fixture
def address() -> CallbackAddress:
    return CallbackAddress.issue(make_token())


def post(client: Client, secret: str, body: bytes = BODY, content_type: str = "application/json") -> int:
    return client.post(f"/callback/{secret}/", body, content_type=content_type).status_code


def test_it_is_kept_as_it_came_and_waits_for_its_rental(client: Client, address: CallbackAddress) -> None:
    assert post(client, address.secret.reveal()) == 200
    kept = Callback.objects.get()
    assert (bytes(kept.body), kept.upstream_key, kept.state) == (BODY, "58098", Callback.State.UNKNOWN)
    assert (kept.token, kept.address) == (address.token, "127.0.0.1")


def waiting_rental(address: CallbackAddress) -> Rental:
    return make_rental(Status.WAITING, token=address.token, upstream_id="58098.02", upstream_key="58098")


def codes(rental: Rental) -> list[str]:
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED
    return [message.code for message in rental.messages.all()]


@pytest.mark.django_db(transaction=True)
def test_the_code_is_on_the_rental_when_the_answer_goes_out_though_the_broker_is_away(
    client: Client, address: CallbackAddress, real_redis: RedisServer
) -> None:
    real_redis.stop()
    rental = waiting_rental(address)
    assert post(client, address.secret.reveal()) == 200
    assert codes(rental) == ["486460"]
    kept = Callback.objects.get()
    assert (kept.state, kept.rental) == (Callback.State.APPLIED, rental)


def test_what_the_database_refuses_to_apply_is_left_to_a_worker(
    client: Client,
    address: CallbackAddress,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    rental = waiting_rental(address)
    with (
        patch.object(callbacks, "apply", side_effect=OperationalError("database is locked")),
        django_capture_on_commit_callbacks(execute=True),
    ):
        assert post(client, address.secret.reveal()) == 200
    kept = Callback.objects.get()
    assert kept.state == Callback.State.PENDING
    assert enqueued == [("rentals.callback", kept.pk)]
    tasks.tick()
    assert codes(rental) == ["486460"]


@pytest.mark.django_db(transaction=True)
def test_the_page_and_the_tick_may_apply_it_at_once(address: CallbackAddress) -> None:
    rental = waiting_rental(address)
    kept = callbacks.receive_callback(address.token, BODY, content_type="application/json", address=None)
    start = threading.Barrier(4)

    def apply() -> bool:
        try:
            start.wait()
            return callbacks.apply_callback(Callback.objects.get(pk=kept.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        changed = [future.result() for future in [pool.submit(apply) for _ in range(4)]]
    assert sorted(changed) == [False, False, False, True]
    assert codes(rental) == ["486460"]
    assert rental.events.filter(kind="received").count() == 1


def test_a_form_is_taken_as_well(client: Client, address: CallbackAddress) -> None:
    form = b"status=1&requestId=58098&code=486460&smsContent=486460+la+ma&isSound=false"
    assert post(client, address.secret.reveal(), form, "application/x-www-form-urlencoded") == 200
    assert Callback.objects.get().upstream_key == "58098"


def test_a_wrong_secret_is_no_address_and_leaves_nothing(client: Client, address: CallbackAddress) -> None:
    assert post(client, "x" * 43) == 404
    assert not Callback.objects.exists()


def test_it_takes_no_get(client: Client, address: CallbackAddress) -> None:
    assert client.get(f"/callback/{address.secret.reveal()}/").status_code == 405


def test_what_is_not_understood_is_kept_for_the_admin(client: Client, address: CallbackAddress) -> None:
    assert post(client, address.secret.reveal(), b"hello") == 400
    assert Callback.objects.get().state == Callback.State.UNREADABLE


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 1024 * 1024])
def test_a_huge_body_is_not_taken(client: Client, address: CallbackAddress, size: int) -> None:
    assert post(client, address.secret.reveal(), b" " * size) == 413
    assert not Callback.objects.exists()


def test_a_replaced_address_works_until_its_overlap_is_over(client: Client, address: CallbackAddress) -> None:
    address.expires_at = timezone.now() + timedelta(hours=1)
    address.save(update_fields=["expires_at"])
    assert post(client, address.secret.reveal()) == 200
    address.expires_at = timezone.now() - timedelta(seconds=1)
    address.save(update_fields=["expires_at"])
    assert post(client, address.secret.reveal()) == 404


@pytest.mark.parametrize(("allowed", "status"), [(["10.0.0.0/8"], 404), (["127.0.0.0/8"], 200), (["127.0.0.1"], 200)])
def test_only_the_senders_on_the_list_may_post(
    client: Client, address: CallbackAddress, settings: Settings, allowed: list[str], status: int
) -> None:
    settings.CALLBACK_ALLOW = allowed
    assert post(client, address.secret.reveal()) == status


def test_more_than_any_upstream_sends_is_refused_and_not_kept(
    client: Client, address: CallbackAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "MAX_PER_MINUTE", 2)
    assert [post(client, address.secret.reveal()) for _ in range(3)] == [200, 200, 429]
    assert Callback.objects.count() == 2
    Callback.objects.update(at=timezone.now() - timedelta(seconds=61))
    assert post(client, address.secret.reveal()) == 200


FORM = "".join(
    f'--xyz\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
    for key, value in {"status": 1, "requestId": "58098", "code": "486460", "smsContent": "486460 la ma"}.items()
)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=xyz", 'multipart/form-data; boundary="xyz"', "multipart/form-data((((((", "", "x/\x01"],
)  # fmt: skip
def test_a_multipart_form_is_understood_whatever_its_header_says(
    client: Client, address: CallbackAddress, content_type: str
) -> None:
    rental = waiting_rental(address)
    assert post(client, address.secret.reveal(), (FORM + "--xyz--\r\n").encode(), content_type) == 200
    assert codes(rental) == ["486460"]


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data((((", "multipart/form-data; boundary=", "a" * 5000, "\x00", ";" * 3000,
     "application/json; charset=none", "a/b; charset=utf-16", "multipart/form-data; boundary*=utf-8''%zz", "é; charset=é"],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"hello", b"--xyz\r\n\r\n", b"\x00\xff", BODY])
def test_whatever_its_header_and_body_a_callback_is_kept_as_it_came(
    client: Client, address: CallbackAddress, content_type: str, body: bytes
) -> None:
    # `generic` sends the bytes as they are; `post` would recode them by the header's charset.
    answer = client.generic("POST", f"/callback/{address.secret.reveal()}/?a=%FFb", body, content_type=content_type)
    assert answer.status_code in {200, 400}
    kept = Callback.objects.get()
    assert bytes(kept.body) == body
    assert "\0" not in kept.content_type


@pytest.mark.parametrize(("sender", "kept"), [("fe80::1%eth0", "fe80::1"), ("unknown", None), ("10.0.0.7:8000", None)])
def test_a_sender_whose_address_is_odd_does_no_harm(
    client: Client, address: CallbackAddress, sender: str, kept: str | None
) -> None:
    url = f"/callback/{address.secret.reveal()}/"
    assert client.post(url, BODY, content_type="application/json", REMOTE_ADDR=sender).status_code == 200
    assert Callback.objects.get().address == kept
