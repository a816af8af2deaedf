"""A lost or wrong DESK_SECRET_KEYS: ThueSim is asked nothing, and every place says which key is missing and what to do."""

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import translation
from pytest_django import Settings

import thuesim
from lib.key_rotation import undecryptable
from rentals.jobs import balances, catalog, placing, polling, reconciling, recordings
from rentals.models import CallbackAddress, Hold, Message, Rental, Status, Token
from rentals.tests.factories import make_token
from rentals.tests.fixtures import House, order
from rentals.upstream import breaker
from rentals.upstream.client import KeyMissing, client_for

pytestmark = pytest.mark.django_db


def lose_the_key(settings: Settings) -> list[str]:
    """Put another key in the place of the one in use. Returns the keys that were there."""
    before: list[str] = settings.TOKEN_KEYS
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    return before


@pytest.fixture
def waiting(house: House) -> Rental:
    """A number that waits for its code, and an order behind it."""
    rental = order(house)
    placing.place_next(house.token.pk)
    order(house)
    return rental


def test_no_job_asks_the_upstream_and_none_fails(house: House, waiting: Rental, settings: Settings) -> None:
    message = Message.objects.create(
        rental=waiting, at=waiting.queued_at, is_call=True, audio_url=f"{house.upstream.url}/x.wav", fingerprint="x"
    )
    asked = len(house.upstream.calls())
    lose_the_key(settings)
    token = Token.objects.get()
    placing.place_next(token.pk)
    Token.objects.update(next_watch_at=None)
    Rental.objects.filter(pk=waiting.pk).update(due_at=waiting.queued_at)
    polling.poll_token(token.pk)
    polling.poll_rental(waiting.pk)
    recordings.fetch_recording(message.pk)
    for ask in (
        lambda: balances.read_balance(token),
        lambda: catalog.sync_catalog(token),
        lambda: reconciling.reconcile(token.pk),
        lambda: client_for(token),
    ):
        with pytest.raises(KeyMissing, match="DESK_SECRET_KEYS"):
            ask()
    assert len(house.upstream.calls()) == asked
    token.refresh_from_db()
    assert (token.faults, token.hold, token.last_fault) == (0, "", ""), "ThueSim is not blamed"
    message.refresh_from_db()
    assert message.audio_tries == 0
    assert sorted(Rental.objects.values_list("status", flat=True)) == [Status.QUEUED, Status.WAITING]


def test_the_token_is_on_hold_until_the_key_is_back(house: House, waiting: Rental, settings: Settings) -> None:
    before = lose_the_key(settings)
    assert breaker.hold_of(Token.objects.get()) == Hold.KEY_MISSING
    settings.TOKEN_KEYS = [*settings.TOKEN_KEYS, *before]
    assert breaker.hold_of(Token.objects.get()) == Hold.NONE
    placing.place_next(house.token.pk)
    assert not Rental.objects.filter(status=Status.QUEUED).exists()


def test_the_queue_moves_to_a_token_whose_key_is_there(house: House, waiting: Rental, settings: Settings) -> None:
    lose_the_key(settings)
    other = make_token(house.team, name="Other")
    placing.place_next(house.token.pk)
    assert Rental.objects.get(status=Status.QUEUED).token == other


def test_every_secret_without_its_key_is_named(settings: Settings) -> None:
    token = make_token()
    address = CallbackAddress.issue(token)
    assert undecryptable() == []
    lose_the_key(settings)
    with translation.override("vi"):  # the terminal's sentence is English
        assert undecryptable() == [f"token {token.pk}", f"callback address {address.pk}"]


def test_the_admins_page_and_the_system_page_say_which_key_is_missing(as_admin: Client, settings: Settings) -> None:
    token = make_token()
    pages = (f"/admin/rentals/token/{token.pk}/change/", "/system/")
    sentence = "missing from DESK_SECRET_KEYS"
    assert [sentence in as_admin.get(page).content.decode() for page in pages] == [False, False]
    lose_the_key(settings)
    shown = [as_admin.get(page).content.decode() for page in pages]
    assert [sentence in page for page in shown] == [True, True]
    assert ["key missing" in page.lower() for page in shown] == [True, True]


def test_the_error_is_one_of_a_request_that_was_kept_back() -> None:
    assert issubclass(KeyMissing, thuesim.KeptBack)
    assert not KeyMissing.blames_upstream
