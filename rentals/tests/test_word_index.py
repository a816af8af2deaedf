"""The index of words on SQLite: what it finds after each kind of change."""

import pytest
from django.db import connection
from django.utils import timezone

from rentals import word_index
from rentals.models import Message, Rental, Status
from rentals.tests.factories import make_rental

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has trigrams of its own"),
]


def messages_with(*parts: str) -> list[str]:
    return list(word_index.narrowed(Message.objects.order_by("pk"), parts).values_list("fingerprint", flat=True))


def message(text: str, code: str = "") -> Message:
    rental = make_rental(Status.RECEIVED)
    return Message.objects.create(
        rental=rental, at=timezone.now(), text=text, code=code, source="poll", fingerprint=text[:60]
    )


def test_a_message_is_found_by_a_part_of_its_text_or_code_without_accents() -> None:
    message("Mã xác thực của bạn", code="FB-31902")
    message("something else")
    assert messages_with("xac thu") == messages_with("b-319") == ["Mã xác thực của bạn"]
    assert messages_with("xac thu", "ng els") == ["Mã xác thực của bạn", "something else"]
    assert messages_with("nowhere") == []


def test_a_text_that_changes_or_goes_is_no_longer_found() -> None:
    changed, deleted = message("first words"), message("other words")
    Message.objects.filter(pk=changed.pk).update(text="second thoughts")
    Message.objects.filter(pk=deleted.pk).delete()
    assert messages_with("words") == []
    assert messages_with("thoughts") == ["first words"]


def test_a_rental_is_found_by_its_number_and_purpose() -> None:
    rental = make_rental(Status.WAITING, phone="+84852222127", purpose="Kiểm thử")
    rentals = Rental.objects.order_by("pk")
    assert list(word_index.narrowed(rentals, ["22212"])) == list(word_index.narrowed(rentals, ["kiem"])) == [rental]
    Rental.objects.filter(pk=rental.pk).update(phone="+84961234567")
    assert list(word_index.narrowed(rentals, ["22212"])) == []


@pytest.mark.parametrize("part", ['"', "a'b", "*", "NEAR(", "x" * 300, "% _"])
def test_signs_of_the_index_s_own_language_mean_themselves(part: str) -> None:
    message(f"before {part.lower()} after")
    assert len(messages_with(f"re {part.lower()} af")) == 1


def test_a_part_too_short_for_the_index_narrows_nothing() -> None:
    message("one")
    message("two")
    assert messages_with("on") == ["one", "two"]


def test_all_is_indexed_again_after_migrations() -> None:
    message("before the migration")
    plan = [("a migration", False)]
    word_index.before_migrations(using="default", plan=plan)
    Message.objects.update(text="changed by the migration")
    word_index.after_migrations(using="default", plan=plan)
    assert messages_with("before") == []
    assert len(messages_with("changed by")) == 1
