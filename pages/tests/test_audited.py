"""Everything that the record must tell of, done once, in the product and in the Django admin: who, what, on what, before
and after, when, and from where."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import api_keys, audit
from accounts.models import ApiKey, AuditRecord, Invitation, Membership, Role, User
from accounts.sign_in import email_change
from accounts.tests.test_audit_signals import set_up_totp
from rentals.models import BalanceQuestion, BalanceReading, Delivery, Destination, LedgerEntry, Network, Rental, Status
from rentals.tests.factories import make_destination, make_person, make_rental, make_team
from rentals.tests.fixtures import House

pytestmark = pytest.mark.django_db

ADDRESS = "10.9.8.7"
NEW_PASSWORD = "a fine long one 9"


@dataclass
class World:
    """A team on the stand-in upstream: `boss` manages it, `root` is an admin, `lan` an operator of it."""

    house: House
    boss: User
    root: User
    lan: User
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, name: str) -> Client:
        """Signed in as people do."""
        if name not in self.clients:
            client = self.clients[name] = Client(REMOTE_ADDR=ADDRESS)
            client.post(reverse("account_login"), {"login": name, "password": "secret-enough"})
        return self.clients[name]

    def post(self, by: str, view: str, /, *args: object, **sent: Any) -> Any:
        """Send a form as a person."""
        answer = self.client(by).post(reverse(view, args=args), sent)
        assert answer.status_code < 400, (view, answer.status_code)
        return answer


@pytest.fixture
def world(house: House, settings: Settings, tmp_path: Path) -> World:
    settings.MEDIA_ROOT = tmp_path
    cache.clear()
    boss = make_person(house.team, Role.MANAGER, username="boss")
    root = make_person(house.team, Role.MANAGER, username="root", is_staff=True, is_superuser=True)
    return World(house, boss, root, make_person(house.team, username="lan"))


Do = Callable[[World], Any]
CASES: dict[str, tuple[Do, str, str, str, Any]] = {}


def case(action: str, by: str, target: str = "", detail: Any = None) -> Callable[[Do], Do]:
    """Say what the record must hold after `do`. Of a `detail` that is given, each item must be there."""

    def keep(do: Do) -> Do:
        CASES[do.__name__.strip("_")] = (do, action, by, target, detail)
        return do

    return keep


# Signing in


@case("sign_in", "lan", detail={"by": ["password"]})
def _signing_in(world: World) -> None:
    world.client("lan")


@case("sign_in_failed", "lan")
def _a_wrong_password(world: World) -> None:
    Client(REMOTE_ADDR=ADDRESS).post(reverse("account_login"), {"login": "lan", "password": "wrong"})


@case("sign_in_throttled", "lan")
def _too_many_tries(world: World) -> None:
    for _ in range(30):
        if AuditRecord.objects.filter(action="sign_in_throttled").exists():
            break
        _a_wrong_password(world)


@case("sign_out", "lan")
def _signing_out(world: World) -> None:
    world.post("lan", "account_logout")


@case("password_changed", "lan")
def _changing_one_s_password(world: World) -> None:
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    world.post("lan", "account_change_password", oldpassword="secret-enough", **new)


@case("email_changed", "lan", detail={"email": ["", "lan@example.com"]})
def _changing_one_s_e_mail(world: World) -> None:
    world.post("lan", "account_confirm_email", email_change.make_key(world.lan, "lan@example.com"))


@case("password_link", "boss", "lan")
def _making_a_password_link(world: World) -> Any:
    return world.post("boss", "person_password", world.lan.pk)


@case("password_reset", "lan")
def _setting_a_password_by_a_link(world: World) -> None:
    page = _making_a_password_link(world).content.decode()
    link = re.search(r'value="(http[^"]+/accounts/password/reset/key/[^"]+)"', page)
    assert link
    stranger = Client(REMOTE_ADDR=ADDRESS)
    where = stranger.get(link[1], follow=True).redirect_chain[-1][0]
    stranger.post(where, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})


@case("second_step_added", "lan", detail={"kind": "totp"})
def _adding_a_two_factor_method(world: World) -> None:
    set_up_totp(world.client("lan"))


@case("recovery_codes_made", "lan")
def _getting_recovery_codes(world: World) -> None:
    _adding_a_two_factor_method(world)


@case("second_step_removed", "lan", detail={"kind": "totp"})
def _removing_a_two_factor_method(world: World) -> None:
    _adding_a_two_factor_method(world)
    world.post("lan", "mfa_deactivate_totp")


@case("second_step_reset", "boss", "lan")
def _turning_two_factor_off_for_a_person(world: World) -> None:
    _adding_a_two_factor_method(world)
    world.post("boss", "person_two_factor", world.lan.pk)


@case("second_step_failed", "lan")
def _a_wrong_code(world: World) -> None:
    _adding_a_two_factor_method(world)
    fresh = Client(REMOTE_ADDR=ADDRESS)
    fresh.post(reverse("account_login"), {"login": "lan", "password": "secret-enough"})
    fresh.post(reverse("mfa_authenticate"), {"code": "000000"})


@case("sessions_ended", "boss", "lan", {"sessions": 1})
def _signing_somebody_out(world: World) -> None:
    world.client("lan")
    world.post("boss", "person_sign_out", world.lan.pk)


@case("sessions_ended", "root", "lan", {"sessions": 1})
def _signing_somebody_out_in_the_admin(world: World) -> None:
    world.client("lan")
    chosen = {"action": "sign_out_selected", "_selected_action": world.lan.pk}
    world.post("root", "admin:accounts_user_changelist", **chosen)


# Rentals


@case("order", "lan", "rental ")
def _ordering(world: World) -> None:
    world.post("lan", "rent", service="02.97", purpose="test")


@case("order", "lan", "rental ")
def _renting_again(world: World) -> None:
    rental = make_rental(
        Status.EXPIRED, person=world.lan, team=world.house.team, token=world.house.token, service=world.house.service
    )
    world.post("lan", "rent_again", rental.pk)


@case("cancel", "lan", "rental ")
def _cancelling(world: World) -> None:
    _ordering(world)
    world.post("lan", "cancel", Rental.objects.latest("pk").pk)


def _received(world: World) -> Rental:
    came = timezone.now() - timedelta(hours=1)
    team, person = world.house.team, world.house.person
    rental = make_rental(Status.RECEIVED, team=team, person=person, token=world.house.token, received_at=came)
    rental.messages.create(at=came, code="749216", text="Ma 749216", source="poll", fingerprint="1")
    return rental


@case("read", "boss", "rental ")
def _seeing_a_code(world: World) -> None:
    world.client("boss").get(reverse("rental", args=[_received(world).pk]))


@case("copy", "boss", "rental ")
def _copying_a_code(world: World) -> None:
    world.post("boss", "copied", _received(world).pk)


@case("listen", "boss", "rental ")
def _playing_a_recording(world: World) -> None:
    message = _received(world).messages.get()
    message.audio.save("call.wav", ContentFile(b"RIFF"))
    b"".join(world.client("boss").get(reverse("audio", args=[message.rental_id])))


@case("hand_over", "boss", "rental ")
def _handing_a_number_over(world: World) -> None:
    rental = make_rental(Status.WAITING, team=world.house.team, person=world.house.person, token=world.house.token)
    world.post("boss", "hand_over", rental.pk, person=world.lan.pk)


@case("reveal", "lan", "rental ")
def _revealing(world: World) -> None:
    world.post("lan", "reveal", _received(world).pk)


@case("reveal", "root", "rental ", {"in": "admin"})
def _opening_a_faded_code_in_the_admin(world: World) -> None:
    world.house.team.codes_fade_minutes = 5
    world.house.team.save()
    page = world.client("root").get(reverse("admin:rentals_rental_change", args=[_received(world).pk]))
    assert b"749216" in page.content


@case("export", "boss", "rentals", {"kind": "csv"})
def _exporting_for_a_text_editor(world: World) -> None:
    world.post("boss", "export_csv")


@case("export", "boss", "rentals", {"kind": "xlsx"})
def _exporting_for_excel(world: World) -> None:
    world.post("boss", "export_xlsx")


@case("audit_export", "boss", detail={"asked": {"q": "lan"}})
def _exporting_the_record(world: World) -> None:
    world.post("boss", "team_audit_export", q="lan")


# People and teams, in the product


@case("invite", "boss", "Mai", {"role": "viewer"})
def _inviting(world: World) -> Any:
    return world.post("boss", "invite", role="viewer", days=3, note="Mai")


@case("invite_withdrawn", "boss", "Mai")
def _revoking_an_invitation(world: World) -> None:
    _inviting(world)
    world.post("boss", "invite_revoke", Invitation.objects.get().pk)


@case("join", "mai", "mai", {"role": [None, "viewer"], "invited by": "boss"})
def _joining(world: World) -> None:
    link = re.search(r"/join/([^/\"]+)/", _inviting(world).content.decode())
    assert link
    form = {"username": "mai", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "first_name": "", "email": ""}
    Client(REMOTE_ADDR=ADDRESS).post(reverse("join", args=[link[1]]), form)


@case("role", "boss", "lan", {"role": ["operator", "viewer"]})
def _changing_a_role(world: World) -> None:
    world.post("boss", "person_role", world.lan.pk, role="viewer")


@case("limits", "boss", "lan", {"budget_day": [None, 5000]})
def _setting_a_budget_of_a_person(world: World) -> None:
    world.post("boss", "person_budgets", world.lan.pk, budget_day="5.000")


@case("removed", "boss", "lan", {"role": ["operator", None]})
def _removing_somebody(world: World) -> None:
    world.post("boss", "person_remove", world.lan.pk)


@case("deactivated", "boss", "lan", {"is_active": [True, False]})
def _deactivating(world: World) -> None:
    world.post("boss", "person_deactivate", world.lan.pk)


@case("activated", "boss", "lan", {"is_active": [False, True]})
def _activating(world: World) -> None:
    _deactivating(world)
    world.post("boss", "person_activate", world.lan.pk)


@case("team_settings", "boss", "Support", {"budget_month": [None, 90_000], "shares_codes": [False, True]})
def _changing_settings_and_the_budget_of_a_team(world: World) -> None:
    world.post("boss", "team_settings", name="Support", budget_month="90.000", shares_codes="on")


@case("team_services", "boss", detail={"services": [[], ["02.97"]]})
def _allowing_a_service(world: World) -> None:
    world.post("boss", "team_services", add="02.97")


# The same in the Django admin


def _team_form(world: World, **over: Any) -> dict[str, Any]:
    rows = list(Membership.objects.filter(team=world.house.team).order_by("team__name", "user__username"))
    fields = {"name": "Support", "memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": len(rows)}
    for n, row in enumerate(rows):
        values = {"id": row.pk, "team": row.team_id, "role": row.role, **over.pop(row.user.username, {})}
        fields |= {f"memberships-{n}-{name}": value for name, value in values.items()}
    return {**fields, **over}


def _save_team(world: World, **over: Any) -> None:
    world.post("root", "admin:accounts_team_change", world.house.team.pk, **_team_form(world, **over))


@case("role", "root", "lan", {"role": ["operator", "manager"]})
def _changing_a_role_in_the_admin(world: World) -> None:
    _save_team(world, lan={"role": "manager"})


@case("limits", "root", "lan", {"rentals_per_day": [None, 9]})
def _setting_budgets_of_a_person_in_the_admin(world: World) -> None:
    _save_team(world, lan={"rentals_per_day": 9})


@case("removed", "root", "lan", {"role": ["operator", None]})
def _removing_somebody_in_the_admin(world: World) -> None:
    _save_team(world, lan={"DELETE": "on"})


@case("team_change", "root", "Support", {"budget_day": [None, 70_000], "purpose_required": [False, True]})
def _changing_a_team_in_the_admin(world: World) -> None:
    _save_team(world, budget_day="70.000", purpose_required="on")


@case("team_add", "root", "Sales", {"name": [None, "Sales"]})
def _adding_a_team(world: World) -> None:
    fields = {"name": "Sales", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    world.post("root", "admin:accounts_team_add", **fields)


@case("user_add", "root", "mai", {"username": [None, "mai"]})
def _adding_a_person(world: World) -> None:
    fields = {"username": "mai", "usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    world.post("root", "admin:accounts_user_add", **fields)


def _save_person(world: World, **over: Any) -> None:
    row = Membership.objects.get(user=world.lan)
    fields = {"username": "lan", "is_active": "on", "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1}
    fields |= {"memberships-0-id": row.pk, "memberships-0-user": world.lan.pk, "memberships-0-role": row.role}
    sent = {name: value for name, value in {**fields, **over}.items() if value is not None}
    world.post("root", "admin:accounts_user_change", world.lan.pk, **sent)


@case("user_change", "root", "lan", {"is_staff": [False, True]})
def _appointing_an_admin(world: World) -> None:
    _save_person(world, is_staff="on")


@case("deactivated", "root", "lan", {"is_active": [True, False]})
def _deactivating_in_the_admin(world: World) -> None:
    _save_person(world, is_active=None)


@case("added", "root", "lan", {"role": [None, "viewer"]})
def _adding_somebody_to_a_team_in_the_admin(world: World) -> None:
    rows = {"memberships-TOTAL_FORMS": 2, "memberships-1-team": make_team("Sales").pk, "memberships-1-role": "viewer"}
    _save_person(world, **rows, **{"memberships-1-user": world.lan.pk})


@case("invite_withdrawn", "root", "Mai")
def _revoking_an_invitation_in_the_admin(world: World) -> None:
    _inviting(world)
    chosen = {"action": "revoke_selected", "_selected_action": Invitation.objects.get().pk}
    world.post("root", "admin:accounts_invitation_changelist", **chosen)


# API keys


@case("key_made", "boss", "CI (desk_", {"scopes": ["rentals:read"], "budget_day": 9000, "addresses": ["10.0.0.0/8"]})
def _making_an_api_key(world: World) -> Any:
    form = {"name": "CI", "scopes": ["rentals:read"], "budget_day": "9.000", "addresses": "10.0.0.0/8"}
    return world.post("boss", "key_make", **form)


@case("key_revoked", "boss", "CI (desk_")
def _revoking_an_api_key(world: World) -> None:
    _making_an_api_key(world)
    world.post("boss", "key_revoke", ApiKey.objects.get().pk)


@case("key_expired", "boss", "CI (desk_")
def _using_an_expired_api_key(world: World) -> None:
    page = _making_an_api_key(world).content.decode()
    ApiKey.objects.update(expires_at=timezone.now())
    secret = re.search(r'value="(desk_[^"]+)"', page)
    assert secret
    with pytest.raises(api_keys.KeyRefused):
        api_keys.authenticate(secret[1], RequestFactory().get("/", REMOTE_ADDR=ADDRESS))


# Tokens


def _button(world: World, button: str, /, **sent: Any) -> None:
    world.post("root", f"admin:rentals_token_{button}", world.house.token.pk, **sent)


@case("token_add", "root", "Second", {"name": [None, "Second"], "new_value": "set"})
def _adding_a_token(world: World) -> None:
    fields = {"name": "Second", "new_value": "7-" + "7" * 32, "teams": [world.house.team.pk]}
    world.post("root", "admin:rentals_token_add", **fields)


@case("token_change", "root", "Main", {"waiting_limit": [None, 7], "teams": [["Support"], []]})
def _limiting_a_token_and_taking_it_from_its_team(world: World) -> None:
    _button(world, "change", name="Main", waiting_limit=7)


@case("token_rotate", "root", "Main")
def _replacing_a_token_s_value(world: World) -> None:
    _button(world, "replace", new_value=world.house.upstream.add_token())


@case("token_rotate_refused", "root", "Main", {"why": "refused by ThueSim"})
def _trying_a_value_that_is_none(world: World) -> None:
    where = reverse("admin:rentals_token_replace", args=[world.house.token.pk])
    world.client("root").post(where, {"new_value": "7-" + "7" * 32})


@case("token_pause", "root", "Main", {"paused": [False, True]})
def _pausing_a_token(world: World) -> None:
    _button(world, "pause")


@case("token_resume", "root", "Main", {"paused": [True, False]})
def _resuming_a_token(world: World) -> None:
    _pausing_a_token(world)
    _button(world, "resume")


@case("token_check", "root", "Main")
def _checking_a_token(world: World) -> None:
    _button(world, "check")


@case("callback_replace", "root", "Main")
def _making_a_callback_address(world: World) -> None:
    _button(world, "callback")


@case("callback_end", "root", "Main", {"addresses": 1})
def _ending_a_replaced_address(world: World) -> None:
    _button(world, "callback")
    _button(world, "callback")
    _button(world, "callback_end")


@case("balance_answer", "boss", "token Main", {"amount": 70_000, "answer": "top_up", "note": "VCB"})
def _answering_a_question_about_a_balance(world: World) -> None:
    now = timezone.now()
    reading = BalanceReading.objects.create(token=world.house.token, at=now, balance=70_000, expected=0)
    question = BalanceQuestion.objects.create(
        token=world.house.token, reading=reading, since=now, until=now, amount=70_000
    )
    world.post("boss", "spend_answer", question.pk, answer="top_up", note="VCB")


@case("ledger_entry", "boss", "token Main", {"kind": "top_up", "amount": 5000})
def _entering_a_top_up(world: World) -> None:
    world.post("boss", "spend_enter", token=world.house.token.pk, kind="top_up", amount="5.000")


@case("ledger_take_back", "boss", "token Main", {"amount": 5000, "note": "twice"})
def _taking_back_a_line(world: World) -> None:
    _entering_a_top_up(world)
    line = LedgerEntry.objects.get(kind="top_up")
    world.post("boss", "spend_take_back", line.pk, note="twice")


@case("network_change", "root", "NEWCOMER", {"prefix added": "60"})
def _changing_a_network(world: World) -> None:
    network = Network.objects.create(name="NEWCOMER")
    row = {"prefixes-0-digits": "060", "prefixes-0-network": network.pk}
    form = {"prefixes-TOTAL_FORMS": 1, "prefixes-INITIAL_FORMS": 0}
    world.post("root", "admin:rentals_network_change", network.pk, **form, **row)


# Where events go


def _destination(world: World) -> Destination:
    return make_destination(world.house.team, name="CI")


@case("destination_add", "boss", "CI", detail={"kind": "webhook", "codes": True, "to": "https://1.1.1.1/…"})
def _adding_a_destination_with_codes(world: World) -> None:
    typed = {"name": "CI", "address": "https://1.1.1.1/hook", "events": ["rental.code"], "includes_codes": "on"}
    world.post("boss", "destination_add", kind="webhook", **typed)


@case("destination_change", "boss", "CI", detail={"codes": [False, True]})
def _switching_codes_on_for_a_destination(world: World) -> None:
    typed = {"name": "CI", "events": ["rental.code"], "includes_codes": "on"}
    world.post("boss", "destination_change", _destination(world).pk, **typed)


@case("destination_secret", "boss", "CI")
def _replacing_a_destination_s_secret(world: World) -> None:
    world.post("boss", "destination_secret", _destination(world).pk)


@case("destination_off", "boss", "CI", detail={"reason": "manager"})
def _switching_a_destination_off(world: World) -> None:
    world.post("boss", "destination_switch", _destination(world).pk, off="1")


@case("destination_on", "boss", "CI")
def _switching_a_destination_on(world: World) -> None:
    destination = make_destination(world.house.team, name="CI", off_reason="gone")
    world.post("boss", "destination_switch", destination.pk, on="1")


@case("destination_test", "boss", "CI")
def _sending_a_test(world: World) -> None:
    world.post("boss", "destination_test", _destination(world).pk)


@case("destination_again", "boss", "CI", detail={"event": "test"})
def _sending_an_event_again(world: World) -> None:
    now = timezone.now()
    delivery = Delivery.objects.create(
        destination=_destination(world), event="test", at=now, next_try=now, state="failed"
    )
    world.post("boss", "destination_again", delivery.destination_id, delivery=delivery.pk)


@case("destination_delete", "boss", "CI")
def _deleting_a_destination(world: World) -> None:
    world.post("boss", "destination_delete", _destination(world).pk)


@pytest.mark.parametrize("name", CASES)
def test_it_is_recorded(world: World, name: str) -> None:
    do, action, by, target, detail = CASES[name]
    world.house.token.name = "Main"
    world.house.token.save(update_fields=["name"])
    if by != "mai" and not action.startswith(("sign_in", "password_reset")):
        world.client(by)
    last = AuditRecord.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    do(world)
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
    assert {action for _do, action, *_rest in CASES.values()} == set(audit.Action.values)
