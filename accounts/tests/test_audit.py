"""The audit log: no record is changed or deleted, by any way."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from pytest_django import Settings

from accounts import audit, invitations
from accounts.models import ACTIONS_ON_RENTALS, AuditRecord, Role, Team, User
from rentals.models import BackgroundJob, Callback, Message
from rentals.tests.factories import make_rental

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


# What a record says


def test_a_target_is_the_kind_and_number_or_the_name() -> None:
    team, person = Team.objects.create(name="Support"), User.objects.create_user("linh")
    invitation, _secret = invitations.invite(person, team, role=Role.VIEWER)
    rental, job = make_rental(), BackgroundJob(pk=3)
    targets = [audit.about(row) for row in (rental, invitation, job, Message(pk=5), Callback(pk=6), team, person)]
    assert targets == [
        f"rental {rental.pk}", f"invitation {invitation.pk}", "file 3", "message 5", "callback 6", "Support",
        f"linh #{person.pk}",
    ]  # fmt: skip
    assert audit.read_target(audit.about(rental)) == (audit.Numbered.RENTAL, rental.pk)
    assert audit.read_target(audit.about(job)) == (audit.Numbered.FILE, 3)


@pytest.mark.parametrize("target", ["", "rental", "rental x", "rental -1", "rental ½", "Support", "linh 7", "rentals"])
def test_a_target_that_is_a_text_has_no_number(target: str) -> None:
    assert audit.read_target(target) is None


def test_an_action_is_shown_in_words_and_an_unknown_one_as_it_is_stored() -> None:
    assert audit.label("reveal") == audit.label(audit.Action.REVEAL) == "Revealed a code"
    assert audit.label("reveal_all") == "reveal_all"


# Past Django: what the database itself refuses, by its triggers

YOUNG, OLD = 5, 400  # days
RAW: dict[str, str] = {
    "update": "UPDATE accounts_auditrecord SET action = 'nothing'",
    "update of one": "UPDATE accounts_auditrecord SET detail = '{}' WHERE id > 0",
    "delete": "DELETE FROM accounts_auditrecord",
    "delete of the old": "DELETE FROM accounts_auditrecord WHERE at < '2100-01-01'",
    "upsert": "INSERT INTO accounts_auditrecord (id, at, action, target, detail) "
    "SELECT id, at, 'nothing', '', '{}' FROM accounts_auditrecord WHERE true "
    "ON CONFLICT (id) DO UPDATE SET action = 'nothing'",
}
RAW_BY_VENDOR = {
    "sqlite": {
        "insert or replace": "INSERT OR REPLACE INTO accounts_auditrecord (id, at, action, target, detail) "
        "SELECT id, at, 'nothing', '', '{}' FROM accounts_auditrecord",
        "replace": "REPLACE INTO accounts_auditrecord SELECT * FROM accounts_auditrecord",
        "update or ignore": "UPDATE OR IGNORE accounts_auditrecord SET action = 'nothing'",
    },
    "postgresql": {
        "truncate": "TRUNCATE accounts_auditrecord",
        "truncate by the way": "TRUNCATE accounts_user CASCADE",
        "merge": "MERGE INTO accounts_auditrecord USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
        "delete by a query": "WITH gone AS (DELETE FROM accounts_auditrecord RETURNING 1) SELECT count(*) FROM gone",
    },
}


def made(days: int) -> AuditRecord:
    with time_machine.travel(timezone.now() - timedelta(days=days)):
        return audit.record(f"{days} days")


@pytest.mark.parametrize("way", [*RAW, *(way for ways in RAW_BY_VENDOR.values() for way in ways)])
def test_the_database_refuses(way: str) -> None:
    made(OLD), made(YOUNG)
    statement = RAW.get(way) or RAW_BY_VENDOR[connection.vendor].get(way)
    if statement is None:
        assert way in RAW_BY_VENDOR["sqlite" if connection.vendor == "postgresql" else "postgresql"]
        return
    connection.check_constraints()  # else TRUNCATE is refused for what is still to be checked
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert set(AuditRecord.objects.values_list("action", flat=True)) == {"400 days", "5 days"}


def test_the_database_refuses_what_goes_past_the_model_s_own_refusal() -> None:
    for record in (made(OLD), made(YOUNG)):
        with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
            AuditRecord.objects.filter(pk=record.pk)._raw_delete("default")
    assert AuditRecord.objects.count() == 2


def test_who_announces_a_deletion_still_cannot_delete_what_is_young() -> None:
    made(YOUNG)
    with pytest.raises(DatabaseError, match="cannot be changed"), audit._retention_ends(timezone.now()):
        AuditRecord.objects.all()._raw_delete("default")


def test_the_job_deletes_the_old_and_leaves_no_door_open(settings: Settings) -> None:
    settings.AUDIT_DAYS = 60
    kept, gone = made(59), made(61)
    assert audit.delete_old(batch=1) == 1
    assert list(AuditRecord.objects.all()) == [kept]
    assert gone.pk is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_auditretention")
        assert cursor.fetchone()[0] == 0


@pytest.mark.parametrize("model", [User, Team], ids=lambda model: model.__name__)
def test_nobody_with_a_record_is_deleted_with_it(model: type[User | Team]) -> None:
    team = Team.objects.create(name="Support")
    person = User.objects.create_user("linh")
    audit.record("reveal", person=person, team=team)
    with pytest.raises(ProtectedError):
        model.objects.all().delete()


def test_the_index_of_texts_leaves_out_actions_that_there_are() -> None:
    assert set(ACTIONS_ON_RENTALS) < set(audit.Action)
