"""The audit record: nobody changes it, by any way."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept() -> AuditRecord:
    return audit.record("reveal", target="rental 7", detail={"before": 1, "after": 2})


def test_a_record_says_who_what_on_what_and_when(kept: AuditRecord) -> None:
    assert (kept.action, kept.target, kept.detail) == ("reveal", "rental 7", {"before": 1, "after": 2})
    assert timezone.now() - kept.at < timedelta(minutes=1)


def test_a_record_can_be_saved_once(kept: AuditRecord) -> None:
    kept.action = "nothing"
    with pytest.raises(TypeError):
        kept.save()
    with pytest.raises(TypeError):
        kept.save(update_fields=["action"])


def test_a_record_cannot_be_deleted(kept: AuditRecord) -> None:
    with pytest.raises(TypeError):
        kept.delete()
    with pytest.raises(TypeError):
        AuditRecord.objects.all().delete()


CHANGES: dict[str, Callable[[AuditRecord], object]] = {
    "update": lambda kept: AuditRecord.objects.update(action="nothing"),
    "bulk_update": lambda kept: AuditRecord.objects.bulk_update([kept], ["action"]),
    "update_or_create": lambda kept: AuditRecord.objects.update_or_create(pk=kept.pk, defaults={"action": "nothing"}),
    "bulk_create": lambda kept: AuditRecord.objects.bulk_create(
        [kept], update_conflicts=True, update_fields=["action"], unique_fields=["id"]
    ),
    "base manager": lambda kept: AuditRecord._base_manager.update(action="nothing"),
}


@pytest.mark.parametrize("way", CHANGES)
def test_a_queryset_cannot_change_records(kept: AuditRecord, way: str) -> None:
    kept.action = "nothing"
    with pytest.raises(TypeError), transaction.atomic():
        CHANGES[way](kept)
    assert AuditRecord.objects.get().action == "reveal"


def test_the_database_refuses_to_change_a_record(kept: AuditRecord) -> None:
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_auditrecord SET action = 'nothing'")
    assert AuditRecord.objects.get().action == "reveal"


def test_postgresql_refuses_to_delete_a_young_record_past_the_model(kept: AuditRecord) -> None:
    try:
        with transaction.atomic():
            AuditRecord.objects.all()._raw_delete("default")
    except DatabaseError:
        refused = True
    else:
        refused = False
    assert refused is (connection.vendor == "postgresql")
    assert AuditRecord.objects.exists() is refused
