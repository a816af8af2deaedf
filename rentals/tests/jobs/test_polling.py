"""Messages are found by polling and by callbacks, however the upstream tells of them."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

import thuesim
from rentals import enqueue, orders
from rentals.jobs import callbacks, outcomes, placing, polling
from rentals.models import Callback, CallbackAddress, Hold, MessageSource, Rental, Status, Token
from rentals.tests.factories import make_rental
from rentals.tests.fixtures import House

pytestmark = pytest.mark.django_db


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A rental that is to be polled singly is polled at once, by the test itself; the list holds which ones were."""
    made: list[int] = []

    def poll_at_once(rental_id: int) -> None:
        made.append(rental_id)
        polling.poll_rental(rental_id)

    monkeypatch.setattr(enqueue, "poll_rental", poll_at_once)
    return made


def rent(house: House, count: int = 1) -> list[Rental]:
    rentals = []
    for _ in range(count):
        rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
        placing.place_next(house.token.pk)
        rental.refresh_from_db()
        assert rental.status == Status.WAITING
        rentals.append(rental)
    return rentals


def poll(house: House, *rentals: Rental, after: float = 0.0) -> None:
    """Let everything be due, and poll."""
    with time_machine.travel(timezone.now() + timedelta(seconds=after), tick=True):
        Token.objects.update(next_watch_at=None)
        Rental.objects.exclude(due_at=None).update(due_at=timezone.now())
        polling.poll_token(house.token.pk)
    for rental in rentals:
        rental.refresh_from_db()


def test_a_code_is_found_by_polling(house: House) -> None:
    [rental] = rent(house)
    poll(house, rental)
    assert rental.status == Status.WAITING
    house.upstream.deliver(rental.upstream_key, "Ma xac thuc: 059809", "059809")
    poll(house, rental)
    assert rental.status == Status.RECEIVED
    message = rental.latest_message
    assert message is not None
    assert (message.code, message.text, message.source) == ("059809", "Ma xac thuc: 059809", "poll")


def test_a_wrong_session_ends_no_rental(house: House) -> None:
    [rental] = rent(house)
    house.upstream.set_fault("code-wrong-session", value=60)
    poll(house, rental)
    assert rental.status == Status.WAITING


@pytest.mark.parametrize(
    "fault", ["http-500", "maintenance", "reset-before", "lost-cut", "lost-empty", "error", "unknown-status"]
)
def test_no_error_of_the_upstream_ends_a_rental(house: House, fault: str) -> None:
    [rental] = rent(house)
    house.upstream.set_fault(fault)
    poll(house, rental)
    assert rental.status == Status.WAITING


def test_a_positive_expired_ends_it_and_frees_its_place(house: House) -> None:
    [rental] = rent(house)
    Token.objects.update(hold=Hold.LIMIT, hold_until=timezone.now() + timedelta(minutes=1))
    house.upstream.expire(rental.upstream_key)
    poll(house, rental)
    assert rental.status == Status.EXPIRED
    house.token.refresh_from_db()
    assert house.token.hold == Hold.NONE


def test_a_wrongly_expired_number_still_gets_its_code(house: House, polled: list[int]) -> None:
    [rental] = rent(house)
    house.upstream.set_fault("code-says-expired", count=1)
    poll(house, rental)
    assert rental.status == Status.EXPIRED
    house.upstream.deliver(rental.upstream_key, "Ma: 111222", "111222")
    poll(house, rental)
    assert rental.status == Status.RECEIVED


def test_our_clock_ends_a_wait_only_with_the_historys_word(house: House) -> None:
    [rental] = rent(house)
    house.upstream.set_fault("code-lag", value=99999)
    house.upstream.set_fault("http-500", endpoint="history")
    late = (rental.service.seconds + outcomes.GRACE_SECONDS + 5) * 1.0
    poll(house, rental, after=late)
    assert rental.status == Status.WAITING, "the history did not answer"
    house.upstream.clear_faults()
    house.upstream.set_fault("code-lag", value=99999)
    poll(house, rental, after=late + 60)
    assert rental.status == Status.EXPIRED


def test_our_clock_ends_a_wait_that_the_history_still_tells_of_after_the_grace_alone(house: House) -> None:
    [rental] = rent(house)
    seconds = float(rental.service.seconds)
    house.upstream.set_fault("code-lag", value=99999)
    for late, status in ((outcomes.GRACE_SECONDS - 5, Status.WAITING), (outcomes.GRACE_SECONDS + 5, Status.EXPIRED)):
        house.upstream.set_fault("history-lag", value=late + seconds - 60)  # as it was when the number waited
        poll(house, rental, after=seconds + late)
        assert rental.status == status


def test_one_history_call_takes_the_place_of_many_code_calls(house: House, polled: list[int]) -> None:
    house.upstream.change_settings(waiting_limit=100)
    rentals = rent(house, 40)
    before = dict(house.upstream.books()["calls"])
    house.upstream.deliver(rentals[7].upstream_key, "Ma: 777777", "777777")
    poll(house, *rentals)
    after = house.upstream.books()["calls"]
    assert after["history"] - before.get("history", 0) == 1
    assert after.get("code", 0) - before.get("code", 0) <= len(rentals) / 20 - 1
    assert [rental.status for rental in rentals].count(Status.RECEIVED) == 1
    assert rentals[7].status == Status.RECEIVED


def test_what_the_history_leaves_out_is_asked_for_singly(house: House, polled: list[int]) -> None:
    rentals = rent(house, 6)
    house.upstream.set_fault("history-omits-recent", value=2)
    for rental in rentals[-2:]:
        house.upstream.deliver(rental.upstream_key, "Ma: 123456", "123456")
    poll(house, *rentals)
    assert [rental.status for rental in rentals[-2:]] == [Status.RECEIVED] * 2
    assert {rental.pk for rental in rentals[-2:]} >= set(polled)


def test_a_history_that_lags_behind_is_not_trusted_for_a_while(house: House, polled: list[int]) -> None:
    rentals = rent(house, 5)
    poll(house, *rentals)
    house.upstream.set_fault("history-lag", value=3600)
    house.upstream.set_fault("history-omits-recent", value=99)
    poll(house, *rentals)
    house.token.refresh_from_db()
    assert house.token.history_distrusted_until is not None
    before = house.upstream.books()["calls"]["history"]
    poll(house, *rentals)
    assert house.upstream.books()["calls"]["history"] == before


def test_two_workers_poll_once(house: House) -> None:
    [rental] = rent(house)
    Rental.objects.filter(pk=rental.pk).update(due_at=timezone.now())
    first = polling.poll_token(house.token.pk)
    assert first is not None
    assert polling.poll_token(house.token.pk) is None
    assert house.upstream.books()["calls"]["code"] == 1


def test_a_second_message_is_found_while_the_number_lives(house: House, polled: list[int]) -> None:
    [rental] = rent(house)
    house.upstream.deliver(rental.upstream_key, "Ma: 111111", "111111")
    poll(house, rental)
    house.upstream.deliver(rental.upstream_key, "Ma: 222222", "222222")
    poll(house, rental)
    assert sorted(message.code for message in rental.messages.all()) == ["111111", "222222"]


def seconds_to_next_poll(rental: Rental) -> float:
    assert rental.due_at is not None
    return (rental.due_at - timezone.now()).total_seconds()


def test_after_an_advert_the_code_is_polled_for_as_before_and_after_the_code_seldom(
    house: House, polled: list[int], settings: Settings
) -> None:
    [rental] = rent(house)
    house.upstream.deliver(rental.upstream_key, "Giam 50% cho don dau tien", "")
    poll(house, rental)
    assert (rental.status, rental.lacks_code) == (Status.RECEIVED, True)
    assert seconds_to_next_poll(rental) <= settings.THUESIM_POLL_SECONDS
    house.upstream.deliver(rental.upstream_key, "Ma xac thuc: 222222", "222222")
    poll(house, rental)
    assert seconds_to_next_poll(rental) > settings.THUESIM_POLL_SECONDS
    assert seconds_to_next_poll(rental) == pytest.approx(outcomes.LATE_POLL_SECONDS, abs=2)


def test_after_an_advert_a_number_whose_time_is_up_is_polled_seldom(house: House, polled: list[int]) -> None:
    [rental] = rent(house)
    house.upstream.deliver(rental.upstream_key, "Giam 50% cho don dau tien", "")
    poll(house, rental)
    Rental.objects.filter(pk=rental.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    poll(house, rental)
    assert seconds_to_next_poll(rental) == pytest.approx(outcomes.LATE_POLL_SECONDS, abs=2)


def test_after_its_time_and_the_grace_it_is_polled_no_more(house: House) -> None:
    [rental] = rent(house)
    house.upstream.deliver(rental.upstream_key, "Ma: 111111", "111111")
    poll(house, rental)
    poll(house, rental, after=rental.service.seconds + outcomes.GRACE_SECONDS + 1)
    assert rental.due_at is None


def test_an_upstream_that_is_down_is_asked_ever_less_and_then_caught_up_with(house: House, settings: Settings) -> None:
    [rental] = rent(house)
    house.upstream.set_fault("http-500")
    for _ in range(5):
        poll(house, rental)
    house.token.refresh_from_db()
    assert house.token.faults == 5
    assert house.token.next_watch_at is not None
    assert house.token.next_watch_at > timezone.now() + timedelta(seconds=settings.THUESIM_POLL_SECONDS)
    house.upstream.clear_faults()
    house.upstream.deliver(rental.upstream_key, "Ma: 111111", "111111")
    poll(house, rental)
    house.token.refresh_from_db()
    assert (rental.status, house.token.faults, house.token.hold) == (Status.RECEIVED, 0, Hold.NONE)


def callback(house: House, rental_id: str, code: str = "486460", status: int = 1) -> Callback:
    body = {
        "data": {
            "status": status,
            "requestId": rental_id,
            "code": code,
            "smsContent": f"{code} la ma",
            "isSound": "false",
        }
    }
    return callbacks.receive_callback(
        house.token, json.dumps(body).encode(), content_type="application/json", address="127.0.0.1"
    )


def test_a_callback_brings_the_code_and_the_poll_after_it_nothing_new(house: House) -> None:
    [rental] = rent(house)
    kept = callback(house, rental.upstream_key)
    assert callbacks.apply_callback(kept)
    assert not callbacks.apply_callback(kept)
    rental.refresh_from_db()
    kept.refresh_from_db()
    assert (rental.status, kept.state, kept.rental) == (Status.RECEIVED, Callback.State.APPLIED, rental)
    assert rental.messages.count() == 1


def test_a_callback_that_comes_before_its_rental_waits_for_it(house: House) -> None:
    kept = callback(house, "88237016")
    assert not callbacks.apply_callback(kept)
    kept.refresh_from_db()
    assert kept.state == Callback.State.UNKNOWN
    assert callbacks.due_callbacks() == []
    [rental] = rent_without_check(house)
    assert rental.status == Status.RECEIVED


def rent_without_check(house: House) -> list[Rental]:
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    return [rental]


def test_a_callback_is_found_again_where_a_worker_died_before_applying_it(house: House) -> None:
    kept = callback(house, "77.02")
    callbacks.apply_callback(kept)
    rental = make_rental(Status.WAITING, token=house.token, team=house.team, upstream_id="77.02", upstream_key="77")
    assert callbacks.due_callbacks() == [kept.pk]
    kept.refresh_from_db()
    assert callbacks.apply_callback(kept)
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED


def test_the_callback_of_another_token_is_not_for_our_rental(house: House) -> None:
    rental = make_rental(Status.WAITING, upstream_id="77.02", upstream_key="77")
    assert not callbacks.apply_callback(callback(house, "77.02"))
    rental.refresh_from_db()
    assert rental.status == Status.WAITING


def test_an_expired_callback_after_the_code_takes_nothing_back(house: House) -> None:
    [rental] = rent(house)
    callbacks.apply_callback(callback(house, rental.upstream_key))
    callbacks.apply_callback(callback(house, rental.upstream_key, code="", status=2))
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED


def test_a_person_may_have_a_number_polled_now_but_not_ten_times_a_second(house: House) -> None:
    [rental] = rent(house)
    assert polling.poll_now(rental)
    assert not polling.poll_now(rental)


def test_a_callback_address_is_told_by_its_secret_alone(house: House) -> None:
    address = CallbackAddress.issue(house.token)
    assert address.secret.reveal() not in str(address)
    assert len(address.secret.reveal()) >= 40


def test_of_a_call_that_the_history_tells_without_words_the_code_is_asked_for(house: House, polled: list[int]) -> None:
    rentals = rent(house, 5)
    house.upstream.deliver(rentals[0].upstream_key, "[Call]mã otp của bạn là 059809", call=True)
    poll(house, *rentals)
    assert polled == [rentals[0].pk]
    assert {message.code for message in rentals[0].messages.all()} >= {"059809"}
    poll(house, *rentals)
    assert polled == [rentals[0].pk], "once is enough"


def test_a_history_that_says_received_and_no_more_is_not_the_last_word(
    house: House, polled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rentals = rent(house, 5)
    house.upstream.deliver(rentals[0].upstream_key, "Ma: 121212", "121212")
    history = thuesim.Client.history

    def wordless(client: thuesim.Client, **filters: Any) -> list[thuesim.HistoryEntry]:
        return [replace(entry, message=None) for entry in history(client, **filters)]

    monkeypatch.setattr(thuesim.Client, "history", wordless)
    poll(house, *rentals)
    assert rentals[0].status == Status.RECEIVED


def test_words_are_asked_for_until_they_come(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    [rental] = rent(house)
    long_ago = timezone.now() - timedelta(hours=1)
    Rental.objects.update(expires_at=long_ago)
    rental.refresh_from_db()
    house.upstream.deliver(rental.upstream_key, "[Call]mã otp của bạn là 059809", call=True)
    recording = thuesim.Message("", "", is_call=True, audio_url="http://127.0.0.1/1.wav")
    monkeypatch.setattr(enqueue, "poll_rental", lambda pk: None)  # and Redis lost it
    outcomes.apply(rental, thuesim.State.RECEIVED, recording, source=MessageSource.HISTORY)
    rental.refresh_from_db()
    assert rental.due_at is not None
    poll(house, rental)
    assert "059809" in {message.code for message in rental.messages.all()}
    assert rental.due_at is None


def test_of_a_call_whose_callback_tells_the_code_alone_the_words_are_asked_for(house: House, polled: list[int]) -> None:
    rental, other = rent(house, 2)
    other.messages.create(at=timezone.now(), text="Ma 749216", source="poll", fingerprint="1")
    house.upstream.deliver(rental.upstream_key, "[Call]mã otp của bạn là 059809", call=True)
    told = thuesim.Message(text="", code="059809", is_call=True, audio_url="http://127.0.0.1/1.wav")
    outcomes.apply(rental, thuesim.State.RECEIVED, told, source=MessageSource.CALLBACK)
    assert polled == [rental.pk]
    [message] = rental.messages.all()
    assert (message.code, message.text) == ("059809", "[Call]mã otp của bạn là 059809")
    outcomes.apply(rental, thuesim.State.RECEIVED, told, source=MessageSource.CALLBACK)
    assert polled == [rental.pk], "once is enough"
