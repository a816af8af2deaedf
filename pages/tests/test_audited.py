"""Everything that the record must tell of, done once, in the product and in the Django admin: who, what, on what, before
and after, when, and from where."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts import audit
from accounts.models import AuditRecord, Role
from pages.tests.audited import admins as admins
from pages.tests.audited import managers as managers
from pages.tests.audited import operators as operators
from pages.tests.audited import sign_ins as sign_ins
from pages.tests.audited.cases import ADDRESS, CASES, World
from rentals.tests.factories import make_person
from rentals.tests.fixtures import House

pytestmark = pytest.mark.django_db

# Recorded in no transaction: nothing of ours is written with it, or allauth writes it before it tells us.
BY_ITSELF = {
    audit.Action.SIGN_IN,
    audit.Action.SIGN_IN_FAILED,
    audit.Action.SIGN_IN_THROTTLED,
    audit.Action.SIGN_OUT,
    audit.Action.PASSWORD_CHANGED,
    audit.Action.PASSWORD_RESET,
    audit.Action.PASSWORD_LINK,
    audit.Action.TWO_FACTOR_ADDED,
    audit.Action.TWO_FACTOR_REMOVED,
    audit.Action.TWO_FACTOR_FAILED,
    audit.Action.RECOVERY_CODES_MADE,
    audit.Action.SESSIONS_ENDED,
    audit.Action.PROVIDER_CONNECTED,
    audit.Action.REVEAL,
    audit.Action.EXPORT,
    audit.Action.AUDIT_EXPORT,
    audit.Action.TOKEN_ADD_REFUSED,
    audit.Action.TOKEN_CHECK,
    audit.Action.TOKEN_ROTATE_REFUSED,
}


@pytest.fixture
def world(house: House, settings: Settings, tmp_path: Path) -> World:
    settings.MEDIA_ROOT = tmp_path
    manager = make_person(house.team, Role.MANAGER, username="boss")
    root = make_person(house.team, Role.MANAGER, username="root", is_staff=True, is_superuser=True)
    return World(house, manager, root, make_person(house.team, username="lan"))


@pytest.mark.parametrize("name", CASES)
def test_it_is_recorded(world: World, name: str) -> None:
    do, action, by, target, detail = CASES[name]
    world.house.token.name = "Main"
    world.house.token.save(update_fields=["name"])
    if by != "mai" and not action.startswith(("sign_in", "password_reset")):
        world.client(by)
    last = AuditRecord.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    inside: list[bool] = []
    outside = len(connection.atomic_blocks)

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(f'INSERT INTO "{AuditRecord._meta.db_table}"') and action in params:
            inside.append(len(connection.atomic_blocks) > outside)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        do(world)
    assert all(inside) or action in BY_ITSELF, "what is done and its record may be torn apart"
    since = AuditRecord.objects.filter(pk__gt=last)
    expected = (detail or {}).items()
    written = [r for r in since.filter(action=action) if all(r.detail.get(key) == value for key, value in expected)]
    assert len(written) == 1, [(record.action, record.detail) for record in since]
    [record] = written
    assert record.person is not None
    assert (record.person.username, record.address) == (by, ADDRESS)
    assert record.target.startswith(target)
    assert timezone.now() - record.at < timedelta(minutes=5)


def test_every_action_that_has_a_name_is_walked() -> None:
    # An emergency link is made on the machine, by no person: accounts/tests/single_sign_on/test_passwords_off.py.
    walked = {action for _do, action, *_rest in CASES.values()}
    assert walked | {audit.Action.BREAK_GLASS_LINK} == set(audit.Action.values), (
        "a case is missing in pages/tests/audited"
    )
