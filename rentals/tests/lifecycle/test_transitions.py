"""The one place where a rental changes."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

import thuesim
from rentals import lifecycle
from rentals.lifecycle import reasons
from rentals.models import LedgerEntry, MessageSource, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team, make_token

pytestmark = pytest.mark.django_db

RENTED = thuesim.Rented(
    id="88237016.10",
    phone="+84962222127",
    price=470,
    balance=123456,
    service_id="4",
    service_name="Yahoo",
    created_at=None,
    message="",
)
SMS = thuesim.Message(text="Ma cua ban la 529310", code="529310", is_call=False, audio_url="")


def test_the_state_diagram_and_the_table_say_the_same() -> None:
    diagram = {}
    for line in (lifecycle.__doc__ or "").splitlines():
        match = re.match(r" +(\w+) +→ (.+)", line)
        if match:
            diagram[Status(match[1])] = frozenset(Status(word.strip()) for word in match[2].split("|"))
    assert diagram == {before: afters for before, afters in lifecycle.LEGAL.items() if afters}
    assert set(lifecycle.LEGAL) == set(Status)


@pytest.mark.parametrize("status", list(Status))
def test_no_move_that_the_state_diagram_does_not_have(status: Status) -> None:
    rental = make_rental(status)
    moves: dict[Status, Callable[[], bool]] = {
        Status.PLACING: lambda: lifecycle.start_attempt(rental),
        Status.REFUSED: lambda: lifecycle.refuse(rental, reason=reasons.OUT_OF_STOCK),
        Status.UNCONFIRMED: lambda: lifecycle.unconfirm(rental, reason=reasons.LOST),
        Status.EXPIRED: lambda: lifecycle.expire(rental),
        Status.WAITING: lambda: lifecycle.number_taken(rental, RENTED),
        Status.QUEUED: lambda: lifecycle.requeue(rental, reason=reasons.TOO_SOON, due_at=timezone.now()),
    }
    for after, move in moves.items():
        if after not in lifecycle.LEGAL[status]:
            with pytest.raises(lifecycle.IllegalTransition):
                move()
    rental.refresh_from_db()
    assert rental.status == status
    assert not rental.events.exists()


def test_an_order_gets_its_number_its_price_and_its_line() -> None:
    rental = make_rental(Status.PLACING)
    assert lifecycle.number_taken(rental, RENTED)
    rental.refresh_from_db()
    assert (rental.status, rental.phone, rental.network) == (Status.WAITING, "+84962222127", "VIETTEL")
    assert (rental.upstream_id, rental.upstream_key) == ("88237016.10", "88237016")
    assert rental.expires_at is not None
    assert rental.placed_at is not None
    assert rental.expires_at - rental.placed_at == timedelta(seconds=rental.service.seconds)
    line = LedgerEntry.objects.get(rental=rental)
    assert (line.kind, line.amount, line.token) == ("rent", -470, rental.token)
    assert [event.kind for event in rental.events.all()] == ["rented"]


def test_a_reply_without_a_price_costs_what_the_service_costs() -> None:
    rental = make_rental(Status.PLACING, service=make_service(price=900))
    lifecycle.number_taken(rental, replace(RENTED, price=None))
    assert LedgerEntry.objects.get(rental=rental).amount == -900


def test_the_second_of_two_callers_changes_nothing() -> None:
    first = make_rental(Status.PLACING)
    second = Rental.objects.get(pk=first.pk)
    assert lifecycle.number_taken(first, RENTED)
    assert not lifecycle.number_taken(second, RENTED)
    assert not lifecycle.unconfirm(Rental(pk=first.pk, status=Status.PLACING, attempts=1), reason=reasons.LOST)
    assert LedgerEntry.objects.filter(rental=first).count() == 1
    assert first.events.count() == 1


def test_a_stale_worker_cannot_end_a_newer_attempt() -> None:
    rental = make_rental()
    lifecycle.start_attempt(rental)
    stale = Rental.objects.get(pk=rental.pk)
    lifecycle.requeue(rental, reason=reasons.TOO_SOON, due_at=timezone.now())
    lifecycle.start_attempt(rental)
    assert not lifecycle.refuse(stale, reason=reasons.OUT_OF_STOCK)
    rental.refresh_from_db()
    assert rental.status == Status.PLACING
    assert rental.attempts == 2


def test_an_order_that_was_moved_meanwhile_is_not_placed_on_its_former_token() -> None:
    rental = make_rental()
    stale = Rental.objects.get(pk=rental.pk)
    assert lifecycle.move_to_token(rental, make_token(rental.team))
    assert not lifecycle.start_attempt(stale)
    assert not lifecycle.move_to_token(stale, make_token(rental.team))
    assert Rental.objects.get(pk=rental.pk).status == Status.QUEUED


def test_the_id_of_another_order_is_no_news_of_this_one() -> None:
    token = make_token()
    lifecycle.number_taken(make_rental(Status.PLACING, token=token), RENTED)
    other = make_rental(Status.PLACING, token=token)
    with pytest.raises(lifecycle.DuplicateNumber):
        lifecycle.number_taken(other, replace(RENTED, id="88237016.1"))
    other.refresh_from_db()
    assert other.status == Status.PLACING
    assert LedgerEntry.objects.count() == 1


def test_what_the_import_took_for_foreign_is_merged_into_the_order() -> None:
    team = make_team()
    token = make_token(team)
    service = make_service()
    entry = thuesim.HistoryEntry(
        id="88237016",
        service_id=service.upstream_id,
        service_name=service.name,
        state=thuesim.State.RECEIVED,
        price=470,
        phone="+84962222127",
        created_at=timezone.now(),
        message=SMS,
    )
    lifecycle.record_imported(
        [(entry, service)], token=token, team=team, booked_from=timezone.now() - timedelta(hours=1)
    )
    order = make_rental(Status.UNCONFIRMED, token=token, team=team, service=service, person=make_person(team))
    assert lifecycle.number_taken(order, RENTED)
    assert Rental.objects.filter(token=token).count() == 1
    assert LedgerEntry.objects.get(token=token).rental == order
    assert [message.code for message in order.messages.all()] == ["529310"]


def test_a_message_turns_the_rental_once_whichever_way_it_comes() -> None:
    rental = make_rental(Status.WAITING)
    assert lifecycle.message_arrived(rental, SMS, source=MessageSource.CALLBACK)
    stale = make_rental(Status.WAITING)
    stale.pk = rental.pk
    assert not lifecycle.message_arrived(stale, SMS, source=MessageSource.POLL)
    assert rental.messages.count() == 1
    assert [event.kind for event in rental.events.all()] == ["received"]
    rental.refresh_from_db()
    assert rental.status == Status.RECEIVED


def test_the_text_completes_a_message_of_which_only_the_code_was_known() -> None:
    rental = make_rental(Status.WAITING)
    lifecycle.message_arrived(rental, thuesim.Message("", "529310", False, ""), source=MessageSource.CALLBACK)
    assert lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL)
    assert [(message.code, message.text) for message in rental.messages.all()] == [("529310", SMS.text)]


def test_a_call_told_with_transcript_and_one_told_with_its_audio_are_one() -> None:
    rental = make_rental(Status.WAITING)
    lifecycle.message_arrived(
        rental, thuesim.Message("[Call]mã otp 059809", "059809", True, "http://x/1"), source=MessageSource.POLL
    )
    lifecycle.message_arrived(rental, thuesim.Message("", "059809", True, "http://x/2"), source=MessageSource.HISTORY)
    assert rental.messages.count() == 1


def test_a_second_message_is_added_and_takes_nothing_back() -> None:
    rental = make_rental(Status.WAITING)
    lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL)
    again = thuesim.Message("Ma moi: 111222", "111222", False, "")
    assert lifecycle.message_arrived(rental, again, source=MessageSource.POLL)
    latest = Rental.objects.get(pk=rental.pk).latest_message
    assert latest is not None
    assert latest.code == "111222"
    assert rental.status == Status.RECEIVED


def test_both_readings_of_a_message_are_kept_and_either_way_it_comes_once() -> None:
    alone = thuesim.Message("", "1533", False, "")
    read = thuesim.Message("ma GD 1533 ma OTP 572123", "572123", False, "", second_code="1533")
    for deliveries in ((alone, read), (read, alone)):
        rental = make_rental(Status.WAITING)
        for message in deliveries:
            lifecycle.message_arrived(rental, message, source=MessageSource.POLL)
        assert list(rental.messages.values_list("code", "second_code", "text")) == [("572123", "1533", read.text)]


def test_the_equal_codes_of_a_message_are_recognised_once_whichever_way_its_text_comes() -> None:
    two = "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512"
    at_once, later, from_before = (make_rental(Status.WAITING) for _ in range(3))
    for rental, texts in ((at_once, [two]), (later, ["", two]), (from_before, [two])):
        for text in texts:
            lifecycle.message_arrived(rental, thuesim.Message(text, "119020", False, ""), source=MessageSource.POLL)
    from_before.messages.update(several_codes=None)
    assert at_once.messages.get().several_codes == "119020\n884512"
    for rental in (at_once, later, from_before):
        assert rental.messages.get().equal_codes == ("119020", "884512")


def test_a_code_that_comes_after_an_advert_counts_from_its_own_time() -> None:
    rental = make_rental(Status.WAITING)
    first, second, third = (timezone.now() + timedelta(minutes=minutes) for minutes in (1, 2, 3))
    advert = thuesim.Message("Uu dai 50%", "", False, "")
    lifecycle.message_arrived(rental, advert, source=MessageSource.POLL, at=first)
    assert (rental.status, rental.received_at) == (Status.RECEIVED, first)
    lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL, at=second)
    lifecycle.message_arrived(
        rental, thuesim.Message("Ma moi: 111222", "111222", False, ""), source=MessageSource.POLL, at=third
    )
    stored = Rental.objects.get(pk=rental.pk)
    assert (stored.status, stored.received_at, stored.ended_at) == (Status.RECEIVED, second, second)


def test_the_message_of_the_former_rental_is_known_again() -> None:
    former = make_rental(Status.WAITING)
    lifecycle.message_arrived(former, SMS, source=MessageSource.POLL)
    same = {"team": former.team, "service": former.service, "phone": former.phone}
    again = make_rental(Status.WAITING, again_of=former, **same)
    lifecycle.message_arrived(again, SMS, source=MessageSource.POLL)
    fresh = thuesim.Message("Ma moi: 111222", "111222", False, "")
    lifecycle.message_arrived(again, fresh, source=MessageSource.POLL)
    assert list(again.messages.values_list("code", "is_earlier")) == [(SMS.code, True), ("111222", False)]
    ordered_anew = make_rental(Status.WAITING, **same)
    lifecycle.message_arrived(ordered_anew, SMS, source=MessageSource.POLL)
    assert list(ordered_anew.messages.values_list("is_earlier", flat=True)) == [False]


def test_a_late_message_brings_an_expired_rental_back() -> None:
    rental = make_rental(Status.WAITING)
    lifecycle.expire(rental)
    assert lifecycle.message_arrived(rental, SMS, source=MessageSource.CALLBACK)
    rental.refresh_from_db()
    assert (rental.status, rental.reason) == (Status.RECEIVED, "")


def test_a_message_for_a_rental_that_was_merged_into_another_meanwhile_is_left_out() -> None:
    rental = make_rental(Status.WAITING)
    Rental.objects.filter(pk=rental.pk).delete()
    assert not lifecycle.message_arrived(rental, SMS, source=MessageSource.CALLBACK)


def test_a_number_that_is_known_already_is_not_replaced() -> None:
    rental = make_rental(Status.WAITING, phone="")
    lifecycle.phone_learned(rental, "+84962222127")
    lifecycle.phone_learned(rental, "+84912345678")
    assert Rental.objects.get(pk=rental.pk).phone == "+84962222127"


@pytest.mark.parametrize(
    "status", [Status.QUEUED, Status.PLACING, Status.UNCONFIRMED, Status.REFUSED, Status.CANCELLED]
)
def test_a_rental_without_a_number_takes_no_message(status: Status) -> None:
    rental = make_rental(status)
    assert not lifecycle.message_arrived(rental, SMS, source=MessageSource.POLL)
    assert not rental.messages.exists()


def test_only_a_queued_order_can_be_cancelled() -> None:
    queued, placing = make_rental(), make_rental(Status.PLACING)
    assert lifecycle.cancel(queued, person=None)
    assert not lifecycle.cancel(placing, person=None)


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ({"networks": ["VIETTEL"], "prefixes": ["96"]}, []),
        ({"networks": ["MOBIFONE"]}, ["network"]),
        ({"prefixes": ["97", "98"]}, ["prefix"]),
        ({"exclude_prefixes": ["96"]}, ["exclude_prefix"]),
    ],
)
def test_a_number_that_was_not_asked_for_is_marked(wishes: dict[str, list[str]], found: list[str]) -> None:
    rental = make_rental(Status.PLACING, **wishes)
    lifecycle.number_taken(rental, RENTED)
    assert rental.unasked == found
