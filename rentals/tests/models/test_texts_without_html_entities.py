"""What an older desk kept with HTML entities is decoded at the upgrade, and is still known as the same message."""

from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

import thuesim
from rentals import lifecycle
from rentals.models import Message, MessageSource, Rental, Service, Status
from rentals.tests.factories import make_rental, make_service

pytestmark = pytest.mark.django_db
migration = import_module("rentals.migrations.0016_texts_without_html_entities")


def kept(rental: Rental, text: str, code: str = "") -> Message:
    message = thuesim.Message(text, code, False, "")
    return Message.objects.create(
        rental=rental,
        at=timezone.now(),
        text=text,
        code=code,
        source=MessageSource.POLL,
        fingerprint=lifecycle.fingerprint(message),
    )


def test_texts_codes_and_names_are_decoded_once() -> None:
    rental = make_rental(Status.RECEIVED)
    encoded = kept(rental, "M&atilde; &quot;529310&quot; &amp;lt;", "529310")
    plain = kept(rental, "AT&T: https://x.vn/?a=1&copy=2", "")
    service = make_service(name="Tiki &amp; Sendo")
    migration.decode_messages(apps, None)
    migration.decode_services(apps, None)
    encoded.refresh_from_db()
    assert encoded.text == 'Mã "529310" &lt;'
    assert Message.objects.get(pk=plain.pk).text == plain.text
    assert Service.objects.get(pk=service.pk).name == "Tiki & Sendo"


def test_the_same_message_does_not_come_again() -> None:
    rental = make_rental(Status.RECEIVED)
    kept(rental, "&quot;529310&quot; la ma", "529310")
    migration.decode_messages(apps, None)
    again = thuesim.Message('"529310" la ma', "529310", False, "")
    assert not lifecycle.message_arrived(rental, again, source=MessageSource.POLL)
    assert rental.messages.count() == 1


def test_one_that_has_come_again_already_stays_beside_it() -> None:
    rental = make_rental(Status.RECEIVED)
    kept(rental, "&quot;529310&quot; la ma", "529310")
    kept(rental, '"529310" la ma', "529310")
    migration.decode_messages(apps, None)
    assert rental.messages.count() == 2
