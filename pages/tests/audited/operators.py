"""What an operator does, and what happens as they sign in."""

from django.test import Client
from django.urls import reverse

from accounts.models import AuditRecord
from accounts.sign_in import email_change
from accounts.tests.test_audit_signals import set_up_totp
from pages.tests.audited.cases import ADDRESS, NEW_PASSWORD, World, case, received
from rentals.models import Rental, Status
from rentals.tests.factories import make_rental


@case("sign_in", "lan", detail={"by": ["password"]})
def signing_in(world: World) -> None:
    world.client("lan")


@case("sign_in_failed", "lan")
def a_wrong_password(world: World) -> None:
    Client(REMOTE_ADDR=ADDRESS).post(reverse("account_login"), {"login": "lan", "password": "wrong"})


@case("sign_in_throttled", "lan")
def too_many_tries(world: World) -> None:
    for _ in range(30):
        if AuditRecord.objects.filter(action="sign_in_throttled").exists():
            break
        a_wrong_password(world)


@case("sign_out", "lan")
def signing_out(world: World) -> None:
    world.post("lan", "account_logout")


@case("password_changed", "lan")
def changing_one_s_password(world: World) -> None:
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    world.post("lan", "account_change_password", oldpassword="secret-enough", **new)


@case("email_changed", "lan", detail={"email": ["", "lan@example.com"]})
def changing_one_s_e_mail(world: World) -> None:
    world.post("lan", "account_confirm_email", email_change.make_key(world.lan, "lan@example.com"))


@case("name_changed", "lan", detail={"name": ["", "Lan Vũ"]})
def changing_one_s_name(world: World) -> None:
    world.post("lan", "account_name", first_name="Lan Vũ")


@case("second_step_added", "lan", detail={"kind": "totp"})
def adding_a_two_factor_method(world: World) -> None:
    set_up_totp(world.client("lan"))


@case("recovery_codes_made", "lan")
def getting_recovery_codes(world: World) -> None:
    adding_a_two_factor_method(world)


@case("second_step_removed", "lan", detail={"kind": "totp"})
def removing_a_two_factor_method(world: World) -> None:
    adding_a_two_factor_method(world)
    world.post("lan", "mfa_deactivate_totp")


@case("second_step_failed", "lan")
def a_wrong_code(world: World) -> None:
    adding_a_two_factor_method(world)
    fresh = Client(REMOTE_ADDR=ADDRESS)
    fresh.post(reverse("account_login"), {"login": "lan", "password": "secret-enough"})
    fresh.post(reverse("mfa_authenticate"), {"code": "000000"})


@case("order", "lan", "rental ")
def ordering(world: World) -> None:
    world.post("lan", "rent", service="02.97", purpose="test")


@case("order", "lan", "rental ")
def renting_again(world: World) -> None:
    rental = make_rental(
        Status.EXPIRED, person=world.lan, team=world.house.team, token=world.house.token, service=world.house.service
    )
    world.post("lan", "rent_again", rental.pk)


@case("cancel", "lan", "rental ")
def cancelling(world: World) -> None:
    ordering(world)
    world.post("lan", "cancel", Rental.objects.latest("pk").pk)


@case("reveal", "lan", "rental ")
def revealing(world: World) -> None:
    world.post("lan", "reveal", received(world).pk)
