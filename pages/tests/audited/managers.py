"""What a manager does, and those whom they let in."""

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, Invitation
from pages.tests.audited.cases import ADDRESS, NEW_PASSWORD, World, case, received
from pages.tests.audited.operators import adding_a_two_factor_method
from rentals.models import BalanceQuestion, BalanceReading, Delivery, Destination, LedgerEntry, Status
from rentals.tests.factories import make_destination, make_rental


@case("password_link", "boss", "lan")
def making_a_password_link(world: World) -> Any:
    return world.post("boss", "person_password", world.lan.pk)


@case("password_reset", "lan")
def setting_a_password_by_a_link(world: World) -> None:
    page = making_a_password_link(world).content.decode()
    link = re.search(r'value="(http[^"]+/accounts/password/reset/key/[^"]+)"', page)
    assert link
    stranger = Client(REMOTE_ADDR=ADDRESS)
    where = stranger.get(link[1], follow=True).redirect_chain[-1][0]
    stranger.post(where, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})


@case("second_step_reset", "boss", "lan")
def turning_two_factor_off_for_a_person(world: World) -> None:
    adding_a_two_factor_method(world)
    world.post("boss", "person_two_factor", world.lan.pk)


@case("sessions_ended", "boss", "lan", {"sessions": 1})
def signing_somebody_out(world: World) -> None:
    world.client("lan")
    world.post("boss", "person_sign_out", world.lan.pk)


@case("read", "boss", "rental ")
def seeing_a_code(world: World) -> None:
    world.client("boss").get(reverse("rental", args=[received(world).pk]))


@case("copy", "boss", "rental ")
def copying_a_code(world: World) -> None:
    world.post("boss", "copied", received(world).pk)


@case("listen", "boss", "rental ")
def playing_a_recording(world: World) -> None:
    message = received(world).messages.get()
    message.audio.save("call.wav", ContentFile(b"RIFF"))
    b"".join(world.client("boss").get(reverse("recording", args=[message.rental_id])))


@case("hand_over", "boss", "rental ")
def handing_a_number_over(world: World) -> None:
    rental = make_rental(Status.WAITING, team=world.house.team, person=world.house.person, token=world.house.token)
    world.post("boss", "hand_over", rental.pk, person=world.lan.pk)


@case("export", "boss", "rentals", {"kind": "csv"})
def exporting_for_a_text_editor(world: World) -> None:
    world.post("boss", "export_csv")


@case("export", "boss", "rentals", {"kind": "xlsx"})
def exporting_for_excel(world: World) -> None:
    world.post("boss", "export_xlsx")


@case("audit_export", "boss", detail={"asked": {"q": "lan"}})
def exporting_the_record(world: World) -> None:
    world.post("boss", "team_audit_export", q="lan")


@case("invite", "boss", "Mai", {"role": "viewer"})
def inviting(world: World) -> Any:
    return world.post("boss", "invite", role="viewer", days=3, note="Mai")


@case("invite_withdrawn", "boss", "Mai")
def revoking_an_invitation(world: World) -> None:
    inviting(world)
    world.post("boss", "invite_revoke", Invitation.objects.get().pk)


@case("join", "mai", "mai", {"role": [None, "viewer"], "invited by": "boss", "for": "Mai"})
def joining(world: World) -> None:
    link = re.search(r"/join/([^/\"]+)/", inviting(world).content.decode())
    assert link
    form = {"username": "mai", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "first_name": "", "email": ""}
    Client(REMOTE_ADDR=ADDRESS).post(reverse("join", args=[link[1]]), form)


@case("role", "boss", "lan", {"role": ["operator", "viewer"]})
def changing_a_role(world: World) -> None:
    world.post("boss", "person_role", world.lan.pk, role="viewer")


@case("limits", "boss", "lan", {"budget_day": [None, 5000]})
def setting_a_budget_of_a_person(world: World) -> None:
    world.post("boss", "person_budgets", world.lan.pk, budget_day="5.000")


@case("removed", "boss", "lan", {"role": ["operator", None]})
def removing_somebody(world: World) -> None:
    world.post("boss", "person_remove", world.lan.pk)


@case("deactivated", "boss", "lan", {"is_active": [True, False]})
def deactivating(world: World) -> None:
    world.post("boss", "person_deactivate", world.lan.pk)


@case("activated", "boss", "lan", {"is_active": [False, True]})
def activating(world: World) -> None:
    deactivating(world)
    world.post("boss", "person_activate", world.lan.pk)


@case("team_settings", "boss", "Support", {"budget_month": [None, 90_000], "shares_codes": [False, True]})
def changing_settings_and_the_budget_of_a_team(world: World) -> None:
    world.post("boss", "team_settings", name="Support", budget_month="90.000", shares_codes="on")


@case("team_services", "boss", detail={"services": [[], ["02.97"]]})
def allowing_a_service(world: World) -> None:
    world.post("boss", "team_services", add="02.97")


@case("key_made", "boss", "CI (desk_", {"scopes": ["rentals:read"], "budget_day": 9000, "addresses": ["10.0.0.0/8"]})
def making_an_api_key(world: World) -> Any:
    form = {"name": "CI", "scopes": ["rentals:read"], "budget_day": "9.000", "addresses": "10.0.0.0/8"}
    return world.post("boss", "key_make", **form)


@case("key_revoked", "boss", "CI (desk_")
def revoking_an_api_key(world: World) -> None:
    making_an_api_key(world)
    world.post("boss", "key_revoke", ApiKey.objects.get().pk)


@case("key_expired", "boss", "CI (desk_")
def using_an_expired_api_key(world: World) -> None:
    page = making_an_api_key(world).content.decode()
    ApiKey.objects.update(expires_at=timezone.now())
    secret = re.search(r'value="(desk_[^"]+)"', page)
    assert secret
    with pytest.raises(api_keys.KeyRefused):
        api_keys.authenticate(secret[1], RequestFactory().get("/", REMOTE_ADDR=ADDRESS))


@case("balance_answer", "boss", "token Main", {"amount": 70_000, "answer": "top_up", "note": "VCB"})
def answering_a_question_about_a_balance(world: World) -> None:
    now = timezone.now()
    reading = BalanceReading.objects.create(token=world.house.token, at=now, balance=70_000, expected=0)
    question = BalanceQuestion.objects.create(
        token=world.house.token, reading=reading, since=now, until=now, amount=70_000
    )
    world.post("boss", "spend_answer", question.pk, answer="top_up", note="VCB")


@case("ledger_entry", "boss", "token Main", {"kind": "top_up", "amount": 5000})
def entering_a_top_up(world: World) -> None:
    world.post("boss", "spend_enter", token=world.house.token.pk, kind="top_up", amount="5.000")


@case("ledger_take_back", "boss", "token Main", {"amount": 5000, "note": "twice"})
def taking_back_a_line(world: World) -> None:
    entering_a_top_up(world)
    line = LedgerEntry.objects.get(kind="top_up")
    world.post("boss", "spend_take_back", line.pk, note="twice")


def _destination(world: World) -> Destination:
    return make_destination(world.house.team, name="CI")


@case("destination_add", "boss", "CI", detail={"kind": "webhook", "codes": True, "to": "https://1.1.1.1/…"})
def adding_a_destination_with_codes(world: World) -> None:
    typed = {"name": "CI", "address": "https://1.1.1.1/hook", "events": ["rental.code"], "includes_codes": "on"}
    world.post("boss", "destination_add", kind="webhook", **typed)


@case("destination_change", "boss", "CI", detail={"codes": [False, True]})
def switching_codes_on_for_a_destination(world: World) -> None:
    typed = {"name": "CI", "events": ["rental.code"], "includes_codes": "on"}
    world.post("boss", "destination_change", _destination(world).pk, **typed)


@case("destination_secret", "boss", "CI")
def replacing_a_destination_s_secret(world: World) -> None:
    world.post("boss", "destination_secret", _destination(world).pk)


@case("destination_off", "boss", "CI", detail={"reason": "manager"})
def switching_a_destination_off(world: World) -> None:
    world.post("boss", "destination_switch", _destination(world).pk, off="1")


@case("destination_on", "boss", "CI")
def switching_a_destination_on(world: World) -> None:
    destination = make_destination(world.house.team, name="CI", off_reason="gone")
    world.post("boss", "destination_switch", destination.pk, on="1")


@case("destination_test", "boss", "CI")
def sending_a_test(world: World) -> None:
    world.post("boss", "destination_test", _destination(world).pk)


@case("destination_again", "boss", "CI", detail={"event": "test"})
def sending_an_event_again(world: World) -> None:
    now = timezone.now()
    delivery = Delivery.objects.create(
        destination=_destination(world), event="test", at=now, next_try=now, state="failed"
    )
    world.post("boss", "destination_again", delivery.destination_id, delivery=delivery.pk)


@case("destination_delete", "boss", "CI")
def deleting_a_destination(world: World) -> None:
    world.post("boss", "destination_delete", _destination(world).pk)
