"""What an admin does in the Django admin."""

from typing import Any

from django.urls import reverse

from accounts.models import Invitation, Membership
from pages.tests.audited.cases import NEW_PASSWORD, World, case, received
from pages.tests.audited.managers import inviting
from rentals.models import Network
from rentals.tests.factories import make_team


@case("sessions_ended", "root", "lan", {"sessions": 1})
def signing_somebody_out_in_the_admin(world: World) -> None:
    world.client("lan")
    chosen = {"action": "sign_out_selected", "_selected_action": world.lan.pk}
    world.post("root", "admin:accounts_user_changelist", **chosen)


@case("reveal", "root", "rental ", {"in": "admin"})
def opening_a_faded_code_in_the_admin(world: World) -> None:
    world.house.team.codes_fade_minutes = 5
    world.house.team.save()
    page = world.client("root").get(reverse("admin:rentals_rental_change", args=[received(world).pk]))
    assert b"749216" in page.content


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
def changing_a_role_in_the_admin(world: World) -> None:
    _save_team(world, lan={"role": "manager"})


@case("limits", "root", "lan", {"rentals_per_day": [None, 9]})
def setting_budgets_of_a_person_in_the_admin(world: World) -> None:
    _save_team(world, lan={"rentals_per_day": 9})


@case("removed", "root", "lan", {"role": ["operator", None]})
def removing_somebody_in_the_admin(world: World) -> None:
    _save_team(world, lan={"DELETE": "on"})


@case("team_change", "root", "Support", {"budget_day": [None, 70_000], "purpose_required": [False, True]})
def changing_a_team_in_the_admin(world: World) -> None:
    _save_team(world, budget_day="70.000", purpose_required="on")


@case("team_add", "root", "Sales", {"name": [None, "Sales"]})
def adding_a_team(world: World) -> None:
    fields = {"name": "Sales", "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    world.post("root", "admin:accounts_team_add", **fields)


@case("user_add", "root", "mai", {"username": [None, "mai"]})
def adding_a_person(world: World) -> None:
    fields = {"username": "mai", "usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    world.post("root", "admin:accounts_user_add", **fields)


def _save_person(world: World, **over: Any) -> None:
    row = Membership.objects.get(user=world.lan)
    fields = {"username": "lan", "is_active": "on", "memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1}
    fields |= {"memberships-0-id": row.pk, "memberships-0-user": world.lan.pk, "memberships-0-role": row.role}
    sent = {name: value for name, value in {**fields, **over}.items() if value is not None}
    world.post("root", "admin:accounts_user_change", world.lan.pk, **sent)


@case("user_change", "root", "lan", {"is_staff": [False, True]})
def appointing_an_admin(world: World) -> None:
    _save_person(world, is_staff="on")


@case("deactivated", "root", "lan", {"is_active": [True, False]})
def deactivating_in_the_admin(world: World) -> None:
    _save_person(world, is_active=None)


@case("added", "root", "lan", {"role": [None, "viewer"]})
def adding_somebody_to_a_team_in_the_admin(world: World) -> None:
    rows = {"memberships-TOTAL_FORMS": 2, "memberships-1-team": make_team("Sales").pk, "memberships-1-role": "viewer"}
    _save_person(world, **rows, **{"memberships-1-user": world.lan.pk})


@case("invite_withdrawn", "root", "Mai")
def revoking_an_invitation_in_the_admin(world: World) -> None:
    inviting(world)
    chosen = {"action": "revoke_selected", "_selected_action": Invitation.objects.get().pk}
    world.post("root", "admin:accounts_invitation_changelist", **chosen)


def _button(world: World, button: str, /, **sent: Any) -> None:
    world.post("root", f"admin:rentals_token_{button}", world.house.token.pk, **sent)


@case("token_add", "root", "Second", {"name": [None, "Second"], "new_value": "set"})
def adding_a_token(world: World) -> None:
    fields = {"name": "Second", "new_value": "7-" + "7" * 32, "teams": [world.house.team.pk]}
    world.post("root", "admin:rentals_token_add", **fields)


@case("token_add", "root", "Second", {"name": [None, "Second"], "new_value": "set", "teams": [None, ["Support"]]})
def adding_a_token_that_thuesim_accepts(world: World) -> None:
    world.post("root", "setup_token", name="Second", new_value=world.house.upstream.add_token())


@case("token_add_refused", "root", "Second")
def adding_a_token_that_thuesim_refuses(world: World) -> None:
    world.client("root").post(reverse("setup_token"), {"name": "Second", "new_value": "7-" + "7" * 32})


@case("callback_replace", "root", "Main")
def making_a_callback_address_in_the_set_up(world: World) -> None:
    world.post("root", "setup_callback", world.house.token.pk)


@case("token_change", "root", "Main", {"teams": [["Support"], ["Sales"]]})
def giving_a_token_to_another_team_in_the_set_up(world: World) -> None:
    world.post("root", "setup_people", world.house.token.pk, name="Support", teams=[make_team("Sales").pk])


@case("token_change", "root", "Main", {"waiting_limit": [None, 7], "teams": [["Support"], []]})
def limiting_a_token_and_taking_it_from_its_team(world: World) -> None:
    _button(world, "change", name="Main", waiting_limit=7)


@case("token_rotate", "root", "Main")
def replacing_a_token_s_value(world: World) -> None:
    _button(world, "replace", new_value=world.house.upstream.add_token())


@case("token_rotate_refused", "root", "Main", {"why": "refused by ThueSim"})
def trying_a_value_that_is_none(world: World) -> None:
    where = reverse("admin:rentals_token_replace", args=[world.house.token.pk])
    world.client("root").post(where, {"new_value": "7-" + "7" * 32})


@case("token_pause", "root", "Main", {"paused": [False, True]})
def pausing_a_token(world: World) -> None:
    _button(world, "pause")


@case("token_resume", "root", "Main", {"paused": [True, False]})
def resuming_a_token(world: World) -> None:
    pausing_a_token(world)
    _button(world, "resume")


@case("token_check", "root", "Main")
def checking_a_token(world: World) -> None:
    _button(world, "check")


@case("callback_replace", "root", "Main")
def making_a_callback_address(world: World) -> None:
    _button(world, "callback")


@case("callback_end", "root", "Main", {"addresses": 1})
def ending_a_replaced_address(world: World) -> None:
    _button(world, "callback")
    _button(world, "callback")
    _button(world, "callback_end")


@case("network_change", "root", "NEWCOMER", {"prefix added": "60"})
def changing_a_network(world: World) -> None:
    network = Network.objects.create(name="NEWCOMER")
    row = {"prefixes-0-digits": "060", "prefixes-0-network": network.pk}
    form = {"prefixes-TOTAL_FORMS": 1, "prefixes-INITIAL_FORMS": 0}
    world.post("root", "admin:rentals_network_change", network.pk, **form, **row)
