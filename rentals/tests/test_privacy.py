"""Messages are deleted after their time; the money and the timeline stay."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import Settings

from accounts import audit
from accounts.models import AuditRecord
from accounts.policy import access_for
from rentals import live, privacy
from rentals.cards import card_for
from rentals.models import Callback, LedgerEntry, Message, Rental, RentalEvent, Status
from rentals.tests.factories import make_person, make_rental, make_team

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


def test_old_messages_go_with_their_recordings_and_callbacks(settings: Settings, tmp_path: Any) -> None:
    settings.KEEP_MESSAGES_DAYS = 30
    old, young = received(30.01), received(29.99)
    assert privacy.delete_old_messages() == 1
    assert [message.rental for message in Message.objects.all()] == [young]
    assert [callback.rental for callback in Callback.objects.all()] == [young]
    assert len(list(tmp_path.glob("calls/*"))) == 1
    assert Rental.objects.filter(pk=old.pk, status=Status.RECEIVED, price=1450).exists()
    assert (old.ledger.count(), old.events.count()) == (1, 1)


def test_all_batches_are_done_and_a_second_run_finds_nothing() -> None:
    for _ in range(7):
        received(1000)
    assert privacy.delete_old_messages(batch=3) == 7
    assert privacy.delete_old_messages(batch=3) == 0
    assert not Callback.objects.exists()


def test_a_recording_that_is_gone_already_holds_nothing_up(tmp_path: Any) -> None:
    rental = received(1000)
    default_storage.delete(str(rental.messages.get().audio.name))
    assert privacy.delete_old_messages() == 1


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
    monkeypatch.setattr(live, "announce", lambda rental: told.append(rental.pk))
    team = make_team(codes_fade_minutes=10, shares_codes=True)
    now = timezone.now()

    def came(minutes: float, **over: Any) -> Rental:
        return make_rental(Status.RECEIVED, received_at=now - timedelta(minutes=minutes), **over)

    came(9.9, team=team)
    faded = came(10.1, team=team)
    came(12, team=team)
    came(10.1, team=make_team())
    assert privacy.fade() == 1
    assert told == [faded.pk]


def test_a_card_whose_message_was_deleted_offers_nothing_to_reveal() -> None:
    rental = received(1000)
    privacy.delete_old_messages()
    card = card_for(Rental.objects.for_cards().get(pk=rental.pk), access_for(make_person(rental.team)))
    assert (card.code, card.sms, card.masked, card.may_reveal) == ("", "", False, False)
