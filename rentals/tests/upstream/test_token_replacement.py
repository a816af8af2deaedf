"""A token's value is replaced: checked before it is kept, at once for the queue, and never shown."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.signals import pre_save
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import AuditRecord
from lib.encryption import Secret, digest
from rentals import orders
from rentals.jobs import placing
from rentals.models import Hold, Status, Token
from rentals.tests.admin.pages import at, audited, token_form
from rentals.tests.factories import make_rental, make_team, make_token
from rentals.tests.fixtures import House
from rentals.upstream import token_check, token_replacement
from rentals.upstream.client import _clients, client_for
from sandbox.server import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

OLD = "1-" + "0" * 32


@pytest.fixture
def token(upstream: Sandbox) -> Token:
    """A token with a value that the upstream does not know, since it was replaced there."""
    return make_token(make_team(), value=OLD, name="Main", hold=Hold.INVALID, faults=3)


def replace(as_admin: Client, token: Token, value: str, **sent: str) -> Any:
    return as_admin.post(at("token_replace", token.pk), {"new_value": value, **sent})


def test_a_value_that_the_upstream_takes_replaces_the_old_one_and_wakes_the_queue(
    as_admin: Client,
    token: Token,
    upstream: Sandbox,
    enqueued: list[tuple[str, int]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = replace(as_admin, token, f"  {upstream.token}\n")
    assert answer.status_code == 302
    token.refresh_from_db()
    assert (token.value.reveal(), token.value_digest) == (upstream.token, digest(upstream.token))
    assert (token.hold, token.faults) == (Hold.NONE, 0)
    assert {("rentals.sync_token", token.pk), ("rentals.place", token.pk), ("rentals.watch", token.pk)} <= set(enqueued)


def test_what_was_in_the_queue_is_ordered_with_the_new_value(as_admin: Client, house: House) -> None:
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    new = house.upstream.add_token()
    replace(as_admin, house.token, new)
    placing.place_next(house.token.pk)
    rental.refresh_from_db()
    assert (rental.status, rental.token) == (Status.WAITING, house.token)
    assert {call.token for call in house.upstream.calls() if call.endpoint == "rent"} == {new}


def test_nothing_of_the_old_value_is_left_in_the_process(token: Token, upstream: Sandbox) -> None:
    client_for(token)
    token_replacement.replace_value(token, Secret(upstream.token), record=list)
    client_for(Token.objects.get())
    assert [made_with[0].reveal() for made_with, _client in _clients.values() if made_with[0].reveal() == OLD] == []


@pytest.mark.parametrize("fault", ["invalid-token", "maintenance", "reset-before", "http-500"])
def test_a_value_that_the_upstream_does_not_take_is_not_kept(
    as_admin: Client, token: Token, upstream: Sandbox, fault: str
) -> None:
    upstream.set_fault(fault)
    answer = replace(as_admin, token, upstream.token)
    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()
    token.refresh_from_db()
    assert (token.value.reveal(), token.hold) == (OLD, Hold.INVALID)
    assert AuditRecord.objects.get(action="token_rotate_refused").detail["why"] == "refused by ThueSim"


def test_a_value_of_another_account_wants_a_word_more(as_admin: Client, token: Token, upstream: Sandbox) -> None:
    make_rental(Status.WAITING, token=token)
    upstream.seed_rentals(3)
    page = replace(as_admin, token, upstream.token).content.decode()
    assert "it seems to belong to another account" in page
    assert 'name="surely_ours"' in page
    token.refresh_from_db()
    assert token.value.reveal() == OLD
    assert replace(as_admin, token, upstream.token, surely_ours="on").status_code == 302
    token.refresh_from_db()
    assert token.value.reveal() == upstream.token
    assert audited() == ["token_rotate_refused", "token_rotate"]


@pytest.mark.parametrize("value", ["", "two words", OLD, "9-" + "9" * 32])
def test_what_is_no_new_value_is_not_asked_about(as_admin: Client, token: Token, upstream: Sandbox, value: str) -> None:
    make_token(value="9-" + "9" * 32, name="Other")
    assert replace(as_admin, token, value).status_code == 422
    assert not upstream.calls()
    token.refresh_from_db()
    assert token.value.reveal() == OLD


@pytest.mark.database
def test_of_two_who_replace_at_once_the_first_wins(
    as_admin: Client, token: Token, upstream: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    examine = token_check.examine

    def other_first(token: Token, value: Secret) -> Any:
        first = "2-" + "2" * 32
        Token.objects.filter(pk=token.pk).update(value=Secret(first), value_digest=digest(first))
        return examine(token, value)

    monkeypatch.setattr(token_replacement, "examine", other_first)
    assert "Another person replaced the value" in replace(as_admin, token, upstream.token).content.decode()
    token.refresh_from_db()
    assert token.value.reveal() == "2-" + "2" * 32


def test_the_record_says_that_and_nothing_of_the_value(as_admin: Client, token: Token, upstream: Sandbox) -> None:
    replace(as_admin, token, upstream.token)
    assert AuditRecord.objects.get(action="token_rotate").detail == {"id": token.pk}


# Never shown


def shown_anywhere(as_admin: Client, token: Token) -> str:
    """All pages of the admin that tell of a token, Django's own log, and the audit log."""
    addresses = [at("token_changelist"), at("token_history", token.pk), at("token_add"), "/admin/"]
    addresses += [at(f"token_{name}", token.pk) for name in ("change", "replace")]
    pages = [as_admin.get(address, follow=True).content.decode() for address in addresses]
    logged = [f"{entry.change_message} {entry.object_repr}" for entry in LogEntry.objects.all()]
    return "\n".join([*pages, *logged, *(str(record.detail) for record in AuditRecord.objects.all())])


def test_neither_value_is_on_a_page_or_in_a_log_afterwards(as_admin: Client, token: Token, upstream: Sandbox) -> None:
    replace(as_admin, token, upstream.token)
    as_admin.post(at("token_add"), token_form(make_team(), new_value="7-" + "7" * 32, name="Another"))
    shown = shown_anywhere(as_admin, token)
    for value in (OLD, upstream.token, "7-" + "7" * 32):
        assert value.partition("-")[2] not in shown


def test_a_value_is_not_given_back_with_a_mistake(as_admin: Client, token: Token, upstream: Sandbox) -> None:
    upstream.set_fault("invalid-token")
    assert upstream.token not in replace(as_admin, token, upstream.token).content.decode()
    assert "two words" not in replace(as_admin, token, "two words").content.decode()


@pytest.mark.parametrize("value", ["7-" + "7" * 32, "-".join(["unlike", "any", "other", "secret"])])
def test_an_error_page_for_developers_has_neither(
    as_admin: Client, token: Token, upstream: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("broken on purpose")

    settings.DEBUG = True
    as_admin.raise_request_exception = False
    monkeypatch.setattr(token_replacement, "examine", fail)
    pages = [replace(as_admin, token, value)]
    form = token_form(make_team(), name="Another", new_value=value)
    pre_save.connect(fail, sender=Token)
    try:
        pages.append(as_admin.post(at("token_add"), form))
    finally:
        pre_save.disconnect(fail, sender=Token)
    for page in pages:
        assert page.status_code == 500
        assert "broken on purpose" in page.content.decode()
        assert value not in page.content.decode()
        assert OLD not in page.content.decode()


def test_the_page_asks_for_an_admin(token: Token) -> None:
    assert Client().get(at("token_replace", token.pk)).status_code == 302
