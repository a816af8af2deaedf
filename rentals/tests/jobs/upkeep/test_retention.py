"""Messages are deleted after their time; the money and the timeline stay."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

import thuesim
from accounts import audit
from accounts.models import AuditRecord, Role
from accounts.policy import access_for
from lib import announce
from pages.presenters.cards import card_for
from rentals import lifecycle, orders
from rentals.jobs import callbacks, outcomes, placing, statistics
from rentals.jobs.upkeep import retention
from rentals.models import Callback, CallbackAddress, LedgerEntry, Message, MessageSource, Rental, RentalEvent, Status
from rentals.task_names import TaskName
from rentals.tests.factories import make_person, make_rental, make_team
from rentals.tests.fixtures import House, later
from thuesim_site.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings: Settings, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


def received(days: float) -> Rental:
    at = timezone.now() - timedelta(days=days)
    rental = make_rental(Status.RECEIVED, received_at=at)
    audio = default_storage.save("calls/x.audio", ContentFile(b"RIFF"))
    Message.objects.create(rental=rental, at=at, code="123456", text="Ma 123456", audio=audio, source="poll")
    LedgerEntry.objects.create(token=rental.token, rental=rental, kind="rent", amount=-1450, at=at)
    RentalEvent.objects.create(rental=rental, at=at, kind="received")
    Callback.objects.create(token=rental.token, rental=rental, at=at, body=b'{"code":"123456"}')
    return rental


def test_each_batch_begins_where_the_one_before_it_ended(settings: Settings) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    for days in range(31, 36):
        received(days)
    with CaptureQueriesContext(connection) as queries:
        assert retention.delete_old_messages(batch=2) == 5
    reads = [query["sql"] for query in queries if '"audio"' in query["sql"] and "LIMIT 2" in query["sql"]]
    assert ['"at" >= ' in sql.partition("ORDER BY")[0] for sql in reads[:4]] == [False, True, True, True]


def test_old_messages_go_with_their_recordings_and_callbacks(settings: Settings, tmp_path: Any) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    old, young = received(30.01), received(29.99)
    assert retention.delete_old_messages() == 1
    assert [message.rental for message in Message.objects.all()] == [young]
    assert [callback.rental for callback in Callback.objects.all()] == [young]
    assert len(list(tmp_path.glob("calls/*"))) == 1
    assert Rental.objects.filter(pk=old.pk, status=Status.RECEIVED, price=1450).exists()
    assert (old.ledger.count(), old.events.count()) == (1, 1)


def test_all_batches_are_done_and_a_second_run_finds_nothing() -> None:
    for _ in range(7):
        received(1000)
    assert retention.delete_old_messages(batch=3) == 7
    assert retention.delete_old_messages(batch=3) == 0
    assert not Callback.objects.exists()


def test_a_recording_that_is_gone_already_holds_nothing_up(tmp_path: Any) -> None:
    rental = received(1000)
    default_storage.delete(str(rental.messages.get().audio.name))
    assert retention.delete_old_messages() == 1


CANARY, CODE_CANARY = "chim hoang yến 8842", "884213"


def everything(folder: Path) -> str:
    """All rows of all tables, and all files, as they are kept."""
    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += [f"{table} {_plain(value)}" for row in cursor.fetchall() for value in row]
    files = [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    return "\n".join([*rows, *files])


def _plain(value: object) -> str:
    """A value as text, with what JSON wrote as \\u1ec5 read."""
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)
    return text + re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)


def live_through(house: House, client: Client) -> list[Rental]:
    """One text by polling, one by callback and again in a callback of its own accord, one call with its recording, one by
    the history's import: each looked at on every page that shows it, exported, revealed."""
    rentals = []
    for _ in range(3):
        rentals.append(orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service)))
        placing.place_next(house.token.pk)
    polled, posted, called = (Rental.objects.get(pk=rental.pk) for rental in rentals)
    said = f"{CANARY} {CODE_CANARY}"
    message = thuesim.Message(code=CODE_CANARY, text=said, is_call=False, audio_url="")
    outcomes.apply(polled, thuesim.State.RECEIVED, message, source=MessageSource.POLL)
    body = json.dumps({"status": 1, "requestId": posted.upstream_id, "code": CODE_CANARY, "smsContent": said})
    address = CallbackAddress.issue(house.token).secret.reveal()
    for text in (body, body, f"not json {said}"):
        client.post(f"/callback/{address}/", text.encode(), content_type="application/json")
    for pk in callbacks.due_callbacks():
        callbacks.apply_callback(Callback.objects.get(pk=pk))
    call = thuesim.Message(
        code="", text=said, is_call=True, audio_url="http://upstream.invalid/a.wav?say=" + CODE_CANARY
    )
    outcomes.apply(called, thuesim.State.RECEIVED, call, source=MessageSource.POLL)
    name = default_storage.save("calls/2026/01/1.audio", ContentFile(said.encode()))
    lifecycle.recording_kept(called.messages.get(), name=name, content_type="audio/wav")
    entry = thuesim.HistoryEntry(
        id="777.02", phone="+84961234567", service_id="97", service_name="X", state=thuesim.State.RECEIVED, price=1450,
        created_at=timezone.now(), message=message,
    )  # fmt: skip
    lifecycle.record_imported([(entry, house.service)], token=house.token, team=house.team, booked_from=None)
    look_everywhere(house, client, [polled, posted, called])
    return [polled, posted, called]


def look_everywhere(house: House, client: Client, rentals: list[Rental]) -> None:
    admin = make_person(house.team, Role.MANAGER, is_staff=True, is_superuser=True)
    client.force_login(admin)
    for rental in rentals:
        client.get(f"/rentals/{rental.pk}/")
        client.post(f"/rentals/{rental.pk}/reveal/")
        client.get(f"/admin/rentals/rental/{rental.pk}/change/")
    for where in ("/", "/rentals/?q=hoang", "/admin/rentals/callback/"):
        client.get(where)
    for where in ("/rentals/export.csv", "/rentals/export.xlsx"):
        client.post(where)
    statistics.refresh_if_due()


def test_nothing_of_a_message_is_left_in_any_table_or_file(
    house: House, client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    rentals = live_through(house, client)
    before = everything(tmp_path)
    for table in ("rentals_message", "rentals_callback"):
        assert f"{table} {CANARY}" in before or f'{table} {{"status' in before
    assert before.count(CODE_CANARY) > 8
    money = [
        list(LedgerEntry.objects.order_by("pk").values()),
        list(RentalEvent.objects.order_by("pk").values()),
        list(Rental.objects.order_by("pk").values("pk", "status", "price", "phone", "received_at", "purpose")),
    ]
    with later(timedelta(days=30, minutes=1)):
        retention.delete_old_messages()
    after = everything(tmp_path)
    for canary in (CANARY, CODE_CANARY):
        assert [line for line in after.splitlines() if canary in line] == []
    assert money == [
        list(LedgerEntry.objects.order_by("pk").values()),
        list(RentalEvent.objects.order_by("pk").values()),
        list(Rental.objects.order_by("pk").values("pk", "status", "price", "phone", "received_at", "purpose")),
    ]
    assert len(rentals) == 3


def test_a_message_that_comes_again_after_its_time_is_deleted_again(house: House, settings: Settings) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    old = received(40)
    Rental.objects.filter(pk=old.pk).update(queued_at=timezone.now() - timedelta(days=40))
    retention.delete_old_messages()
    message = thuesim.Message(code="123456", text="Ma 123456", is_call=False, audio_url="")
    outcomes.apply(Rental.objects.get(pk=old.pk), thuesim.State.RECEIVED, message, source=MessageSource.CALLBACK)
    assert Message.objects.filter(rental=old).exists()
    assert retention.delete_old_messages() == 1


def test_a_recording_that_no_row_knows_goes_after_its_time(settings: Settings, tmp_path: Path) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    now = timezone.now()
    files = {}
    for days in (0, 29, 31, 400):
        made = now - timedelta(days=days)
        path = files[days] = tmp_path / f"calls/{made:%Y/%m}/{days}.audio"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
        os.utime(path, (made.timestamp(), made.timestamp()))
    retention.delete_old_messages()
    assert [days for days, path in files.items() if path.exists()] == [0, 29]
    assert not files[400].parent.exists()


def test_a_batch_takes_as_many_queries_for_many_messages_as_for_few(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(10):
        received(1000)
    # Old messages: look, delete, look; come again: look; callbacks: look, delete, look; deliveries: look, delete.
    with django_assert_num_queries(9):
        retention.delete_old_messages()


def test_beat_does_it_every_ten_minutes() -> None:
    entry = app.conf.beat_schedule["retention"]
    assert (entry["task"], entry["schedule"]) == (TaskName.APPLY_RETENTION, 600)


def test_audit_records_have_a_retention_of_their_own(settings: Settings) -> None:
    settings.AUDIT_DAYS = 60
    now = timezone.now()
    for days in (5, 59, 61, 800):
        with time_machine.travel(now - timedelta(days=days)):
            audit.record(f"{days} days")
    assert audit.delete_old(batch=1) == 2
    assert set(AuditRecord.objects.values_list("action", flat=True)) == {"5 days", "59 days"}


def test_no_setting_deletes_a_young_audit_record(settings: Settings) -> None:
    settings.AUDIT_DAYS = 0
    audit.record("reveal")
    assert audit.delete_old() == 0


def test_screens_are_told_when_a_code_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(announce, "rental", lambda rental_id, team: told.append(rental_id))
    team = make_team(codes_fade_minutes=10, shares_codes=True)
    now = timezone.now()

    def came(minutes: float, **over: Any) -> Rental:
        return make_rental(Status.RECEIVED, received_at=now - timedelta(minutes=minutes), **over)

    came(9.9, team=team)
    faded = came(10.1, team=team)
    came(12, team=team)
    came(10.1, team=make_team())
    assert retention.fade() == 1
    assert told == [faded.pk]


def test_a_card_whose_message_was_deleted_offers_nothing_to_reveal() -> None:
    rental = received(1000)
    retention.delete_old_messages()
    card = card_for(Rental.objects.for_cards().get(pk=rental.pk), access_for(make_person(rental.team)))
    assert (card.code, card.sms, card.masked, card.may.reveal) == ("", "", False, False)
