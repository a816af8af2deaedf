"""Events go out at least once, in order for each rental, and no code after its life or without the manager's word."""

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox_of_mail
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from standardwebhooks import Webhook, WebhookVerificationError

from accounts import mail
from accounts.models import AuditRecord, Role
from lib.encryption import Secret
from lib.network import outgoing
from lib.network.outgoing import Answer, NotSent, Problem
from rentals import destinations, tasks
from rentals.jobs import delivering, delivery_attempt
from rentals.jobs.upkeep import retention
from rentals.models import Delivery, Destination, Message, Rental, Status
from rentals.tests.factories import make_destination, make_person, make_rental
from thuesim_site.testing import wait_until

pytestmark = pytest.mark.django_db

Sent = tuple[str, bytes, dict[str, str]]


@dataclass
class Receiver:
    """Stands in for the other side: keeps what it is sent, and answers as told."""

    answer: Callable[[], Answer] = lambda: Answer(204, "")
    sent: list[Sent] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        self.sent.append((url, body, headers))
        return self.answer()

    @property
    def events(self) -> list[str]:
        return [json.loads(body)["type"] for _url, body, _headers in self.sent]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    receiver = Receiver()
    monkeypatch.setattr(outgoing, "post", receiver.post)
    return receiver


def _refuses(problem: Problem = Problem.TIMEOUT) -> Callable[[], Answer]:
    def answer() -> Answer:
        raise NotSent(problem)

    return answer


def _event(destination: Destination, event: str = "rental.number", **over: Any) -> Delivery:
    now = timezone.now()
    fields = {"data": {"rental": None}, "at": now, "next_try": now, **over}
    return Delivery.objects.create(destination=destination, event=event, **fields)


def _code(destination: Destination, **over: Any) -> tuple[Delivery, Message]:
    rental = make_rental(Status.RECEIVED, team=destination.team)
    message = Message.objects.create(
        rental=rental, at=timezone.now(), code="749216", text="Ma cua ban la 749216", source="poll", fingerprint="x"
    )
    return _event(destination, "rental.code", rental=rental, message=message, **over), message


def _deliver_all(until: timedelta) -> None:
    """Do each second's work, without waiting between."""
    end = timezone.now() + until
    with time_machine.travel(timezone.now(), tick=False) as clock:
        while timezone.now() < end:
            for pk in delivering.due_destinations():
                delivering.deliver(pk)
            due = Delivery.objects.filter(state="pending").order_by("next_try").first()
            if due is None:
                return
            clock.move_to(max(due.next_try, timezone.now() + timedelta(seconds=1)))


def test_a_webhook_is_signed_so_that_the_public_library_accepts_it(receiver: Receiver) -> None:
    destination = make_destination()
    delivery = _event(destination)
    assert delivering.deliver(destination.pk) == 1
    _url, body, headers = receiver.sent[0]
    assert Webhook(destination.secret.reveal()).verify(body, headers)["type"] == "rental.number"
    with pytest.raises(WebhookVerificationError):
        Webhook(destination.secret.reveal()).verify(body.replace(b"number", b"code"), headers)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)


def test_a_replaced_secret_signs_beside_the_new_one_for_a_day(receiver: Receiver) -> None:
    destination = make_destination()
    before = destination.secret.reveal()
    after = destinations.replace_secret(destination, by=make_person()).reveal()
    _event(destination)
    delivering.deliver(destination.pk)
    _url, body, headers = receiver.sent[0]
    for secret in (before, after):
        Webhook(secret).verify(body, headers)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        _event(destination)
        delivering.deliver(destination.pk)
        _url, body, headers = receiver.sent[1]
        Webhook(after).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(before).verify(body, headers)


def test_an_event_takes_two_writes_beside_those_of_its_destination(
    receiver: Receiver, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    destination = make_destination()
    for _ in range(10):
        _event(destination)
    with django_assert_max_num_queries(75) as captured:  # with the savepoints of this test
        assert delivering.deliver(destination.pk) == 10
    assert sum(query["sql"].startswith("UPDATE") for query in captured) == 2 * 10 + 2


def test_codes_and_texts_go_out_where_a_manager_switched_them_on_and_nowhere_else(receiver: Receiver) -> None:
    silent, open_one = make_destination(), make_destination(includes_codes=True)
    for destination in (silent, open_one):
        _code(destination)
        delivering.deliver(destination.pk)
    assert b"749216" not in receiver.sent[0][1]
    assert json.loads(receiver.sent[1][1])["data"]["message"] == {
        "code": "749216", "second_code": "", "text": "Ma cua ban la 749216",
    }  # fmt: skip


def test_codes_that_are_switched_off_before_the_next_try_do_not_go_out(receiver: Receiver) -> None:
    destination = make_destination(includes_codes=True)
    _code(destination)
    Destination.objects.update(includes_codes=False)
    delivering.deliver(destination.pk)
    assert b"749216" not in receiver.sent[0][1]


def test_what_fails_is_tried_again_after_growing_pauses_and_then_given_up(receiver: Receiver) -> None:
    receiver.answer = lambda: Answer(500, "down")
    delivery = _event(make_destination())
    tried = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        while delivery.state == "pending":
            assert delivering.deliver(delivery.destination_id) == 1
            tried.append(timezone.now())
            delivery.refresh_from_db()
            clock.move_to(delivery.next_try)
    pauses = [(after - before).total_seconds() for before, after in itertools.pairwise(tried)]
    assert all(least <= pause <= 1.2 * least for least, pause in zip(delivering.RETRY_SECONDS, pauses, strict=True))
    assert (delivery.state, delivery.status, delivery.answer) == ("failed", 500, "down")


def test_events_of_a_rental_go_out_in_order_and_other_rentals_do_not_wait(receiver: Receiver) -> None:
    destination = make_destination()
    rental, other = make_rental(), make_rental()
    first = _event(destination, "rental.number", rental=rental)
    _event(destination, "rental.expired", rental=rental)
    _event(destination, "rental.refused", rental=other)
    receiver.answer = lambda: Answer(500 if len(receiver.sent) == 1 else 200, "")
    delivering.deliver(destination.pk)
    delivering.deliver(destination.pk)
    assert receiver.events == ["rental.number", "rental.refused"]
    Delivery.objects.filter(pk=first.pk).update(next_try=timezone.now())
    delivering.deliver(destination.pk)
    assert receiver.events == ["rental.number", "rental.refused", "rental.number", "rental.expired"]


def test_a_code_whose_time_is_over_is_not_sent(receiver: Receiver) -> None:
    destination = make_destination(includes_codes=True)
    delivery, _message = _code(destination, drop_after=timezone.now() - timedelta(seconds=1))
    delivering.deliver(destination.pk)
    delivery.refresh_from_db()
    assert (receiver.sent, delivery.state) == ([], "dropped")


def test_a_code_whose_next_try_would_be_too_late_is_given_up_at_once(receiver: Receiver) -> None:
    receiver.answer = _refuses()
    destination = make_destination()
    delivery, _message = _code(destination, drop_after=timezone.now() + timedelta(seconds=3))
    delivering.deliver(destination.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.problem) == ("dropped", "timeout")


def test_a_worker_that_was_killed_while_sending_leaves_the_event_to_the_next_one(receiver: Receiver) -> None:
    destination = make_destination()
    delivery = _event(destination)

    def killed() -> Answer:
        raise SystemExit

    receiver.answer = killed
    with pytest.raises(SystemExit):
        delivering.deliver(destination.pk)
    receiver.answer = lambda: Answer(200, "")
    assert delivering.due_destinations() == []
    with time_machine.travel(timezone.now() + delivering.ATTEMPT + delivering.SPARE + timedelta(seconds=1)):
        assert delivering.due_destinations() == [destination.pk]
        delivering.deliver(destination.pk)
    delivery.refresh_from_db()
    assert (delivery.state, len(receiver.sent)) == ("delivered", 2)


def test_two_workers_do_not_send_to_one_destination_at_once(receiver: Receiver) -> None:
    destination = make_destination()
    _event(destination)
    inside = []
    receiver.answer = lambda: inside.append(delivering.deliver(destination.pk)) or Answer(200, "")  # type: ignore[func-returns-value]
    delivering.deliver(destination.pk)
    assert (inside, len(receiver.sent)) == ([0], 1)


def test_410_switches_a_destination_off_at_once_and_its_managers_are_told(
    receiver: Receiver, settings: Settings, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    monkeypatch.setattr(mail, "send", lambda letter: letter.send())
    destination = make_destination()
    make_person(destination.team, Role.MANAGER, email="boss@example.com")
    make_person(destination.team, Role.OPERATOR, email="operator@example.com")
    receiver.answer = lambda: Answer(410, "")
    _event(destination)
    with django_capture_on_commit_callbacks(execute=True):
        delivering.deliver(destination.pk)
    destination.refresh_from_db()
    assert destination.off_reason == "gone"
    assert [letter.to for letter in outbox_of_mail.outbox] == [["boss@example.com"]]
    assert AuditRecord.objects.get().action == "destination_off"
    assert delivering.due_destinations() == []


def test_five_days_of_failure_switch_a_destination_off(receiver: Receiver) -> None:
    receiver.answer = _refuses(Problem.CONNECT)
    destination = make_destination()
    for days in (0, 4, 6):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            _event(destination)
            Destination.objects.update(busy_until=None)
            delivering.deliver(destination.pk)
            destination.refresh_from_db()
            assert destination.off_reason == ("failing" if days == 6 else "")


def test_a_success_ends_the_count_of_failing_days(receiver: Receiver) -> None:
    destination = make_destination(failing_since=timezone.now() - timedelta(days=9))
    _event(destination)
    delivering.deliver(destination.pk)
    destination.refresh_from_db()
    assert (destination.failing_since, destination.off_reason) == (None, "")


def test_what_a_receiver_repeats_of_ours_does_not_stay_in_the_log(receiver: Receiver) -> None:
    destination = make_destination(includes_codes=True)
    secret = destination.secret.reveal()
    receiver.answer = lambda: Answer(
        200, f"{secret} https://hooks.example.com/secret-path 74 92 16 Ma cua ban la 749216"
    )
    delivery, _message = _code(destination)
    delivering.deliver(destination.pk)
    delivery.refresh_from_db()
    for hidden in (secret, "secret-path", "749216", "74 92 16"):
        assert hidden not in delivery.answer


def test_telegram_gets_lines_and_its_token_stays_out_of_the_log(receiver: Receiver) -> None:
    token = "123456:AAbbCCddEEff"
    destination = make_destination(
        kind="telegram",
        address=Secret(delivery_attempt.TELEGRAM),
        secret=Secret(token),
        chat="-100",
        includes_codes=True,
    )
    receiver.answer = lambda: Answer(404, f"no bot {token}")
    delivery, _message = _code(destination, data={"rental": _rental_data()})
    delivering.deliver(destination.pk)
    url, body, _headers = receiver.sent[0]
    assert url == f"https://api.telegram.org/bot{token}/sendMessage"
    assert json.loads(body)["text"] == (
        "A message came\nZalo · 0961 234 567\nLinh · sign-up\n1.450 ₫\nCode: 749216\nMa cua ban la 749216"
    )
    delivery.refresh_from_db()
    assert token not in delivery.answer


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Uu dai 50% hom nay", "No code recognised: read the message"),
        ("Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512", "Code: 119020, 884512"),
    ],
)
def test_a_text_for_people_says_where_no_code_stands_out(receiver: Receiver, text: str, line: str) -> None:
    destination = make_destination(kind="slack", includes_codes=True)
    delivery, message = _code(destination, data={"rental": _rental_data()})
    assert message is not None
    message.code, message.text = "", text
    assert delivery_attempt.text(delivery, message).splitlines()[-2:] == [line, text]


def _rental_data() -> dict[str, Any]:
    return {
        "service": {"id": "01.2", "name": "Zalo"}, "phone": {"national": "0961 234 567"}, "price": 1450,
        "person": {"id": 1, "name": "Linh"}, "purpose": "sign-up", "reason": "",
    }  # fmt: skip


def test_slack_takes_nothing_of_a_text_for_a_command(receiver: Receiver) -> None:
    destination = make_destination(kind="slack", secret=Secret(""), includes_codes=True)
    delivery, message = _code(destination)
    Message.objects.filter(pk=message.pk).update(text="<!channel> @all & 749216")
    delivering.deliver(destination.pk)
    text = json.loads(receiver.sent[0][1])["text"]
    assert "&lt;!channel&gt; @\u200ball &amp; 749216" in text
    assert delivery.destination.shown_address == "https://hooks.example.com/…"


def test_an_email_goes_to_its_address_and_a_broken_mail_server_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    destination = make_destination(kind="email", address=Secret("qa@example.com"), secret=Secret(""))
    delivery = _event(destination, data={"rental": _rental_data()})
    delivering.deliver(destination.pk)
    assert outbox_of_mail.outbox[0].to == ["qa@example.com"]
    assert outbox_of_mail.outbox[0].subject == "ThueSim Desk: A number was rented"

    def broken(*_: Any, **__: Any) -> int:
        raise ConnectionRefusedError("qa@example.com")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", broken)
    delivery = _event(destination, data={"rental": _rental_data()})
    delivering.deliver(destination.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.problem) == ("pending", "mail refused")


def test_a_mail_server_that_takes_a_minute_gets_an_email_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    destination = make_destination(kind="email", address=Secret("qa@example.com"), secret=Secret(""))
    _event(destination, data={"rental": _rental_data()})
    due_meanwhile: list[list[int]] = []
    with time_machine.travel(timezone.now(), tick=False) as clock:

        def slow(*_: Any, **__: Any) -> int:
            clock.shift(60)
            due_meanwhile.append(delivering.due_destinations())
            return 1

        monkeypatch.setattr("django.core.mail.EmailMessage.send", slow)
        delivering.deliver(destination.pk)
    assert due_meanwhile == [[]]


def test_an_event_that_is_sent_again_keeps_its_id(receiver: Receiver) -> None:
    destination = make_destination()
    delivery = _event(destination)
    delivering.deliver(destination.pk)
    delivery.refresh_from_db()
    destinations.send_again(delivery, by=make_person())
    delivering.deliver(destination.pk)
    assert [headers["webhook-id"] for _url, _body, headers in receiver.sent] == [delivery.webhook_id] * 2


def test_a_code_is_not_sent_again_after_its_life(receiver: Receiver) -> None:
    delivery, _message = _code(make_destination(), drop_after=timezone.now() - timedelta(seconds=1), state="delivered")
    with pytest.raises(destinations.NotDone):
        destinations.send_again(delivery, by=make_person())


def test_a_receiver_that_fails_half_the_time_gets_every_event_in_order(receiver: Receiver) -> None:
    destination = make_destination()
    rentals = [make_rental(team=destination.team) for _ in range(3)]
    for event in ("rental.number", "rental.code", "rental.refunded"):
        for rental in rentals:
            _event(destination, event, rental=rental, data={"id": rental.pk})
    accepted: list[tuple[int, str]] = []

    def answer() -> Answer:
        if len(receiver.sent) % 2:
            return Answer(503, "")
        body = json.loads(receiver.sent[-1][1])
        accepted.append((body["data"]["id"], body["type"]))
        return Answer(200, "")

    receiver.answer = answer
    _deliver_all(timedelta(hours=8))
    for rental in Rental.objects.all():
        assert [event for pk, event in accepted if pk == rental.pk] == [
            "rental.number",
            "rental.code",
            "rental.refunded",
        ]


def test_deliveries_are_deleted_after_their_retention() -> None:
    old, young = _event(make_destination()), _event(make_destination())
    Delivery.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=31))
    assert retention.delete_old_deliveries() == 1
    assert Delivery.objects.get() == young


def test_a_worker_that_stops_leaves_the_rest_to_another_one_at_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "_stopping", threading.Event())
    destination = make_destination()
    for _ in range(2):
        _event(destination)

    def told_to_stop() -> Answer:
        delivering.stop()
        return Answer(204, "")

    receiver.answer = told_to_stop
    assert delivering.deliver(destination.pk) == 1
    assert delivering.due_destinations() == [destination.pk]


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_holds_up_neither_the_worker_nor_another_receiver(receiver: Receiver) -> None:
    slow, quick = make_destination(), make_destination()
    hanging, finish = threading.Event(), threading.Event()

    def answer() -> Answer:
        if not hanging.is_set():
            hanging.set()
            finish.wait(60)
        return Answer(204, "")

    receiver.answer = answer
    first, second = _event(slow), _event(quick)
    tasks.deliver(slow.pk)  # returns at once
    assert hanging.wait(60)
    tasks.deliver(quick.pk)
    delivered = Delivery.objects.filter(state="delivered")
    wait_until(lambda: list(delivered.all()) == [second], "the other one is delivered")
    finish.set()
    wait_until(lambda: set(delivered.all()) == {first, second}, "both are delivered")
    wait_until(lambda: not Destination.objects.exclude(busy_until=None).exists(), "no thread is at work")
