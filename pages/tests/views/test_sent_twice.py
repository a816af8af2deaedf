"""The same form sent twice orders, invites and books once, and the second answer is that of the first."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts import invitations, one_time_keys
from accounts.models import AuditRecord, Invitation, OneTimeKey, Role, Team, User
from pages.tests.markup import html, parse
from rentals.models import LedgerEntry, Rental, Service, Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_team

HTMX = {"HX-Request": "true"}


def form(response: Any, **attributes: str) -> dict[str, Any]:
    return parse(html(response)).find("form", **attributes).values()


def rent_form(client: Client) -> dict[str, Any]:
    return {**form(client.get("/"), id="rent"), "service": "02.97"}


def test_the_second_of_two_orders_alike_is_answered_with_the_first(as_manager: Client) -> None:
    order = rent_form(as_manager)
    first = as_manager.post("/rent/", order, headers=HTMX)
    second = as_manager.post("/rent/", order, headers=HTMX)
    rental = Rental.objects.get()
    for answer in (first, second):
        assert parse(html(answer)).find(data_testid="rental")["data-rental-id"] == str(rental.pk)
    assert "Ordered already: " in html(second)
    assert AuditRecord.objects.filter(action="order").count() == 1


def test_without_scripts_the_second_leads_to_the_desk_and_says_so(as_manager: Client) -> None:
    order = rent_form(as_manager)
    as_manager.post("/rent/", order)
    assert "It is not ordered twice." in html(as_manager.post("/rent/", order, follow=True))
    assert Rental.objects.count() == 1


def test_a_form_sent_twice_says_that_it_has_ordered_though_the_service_is_gone_meanwhile(as_manager: Client) -> None:
    order = rent_form(as_manager)
    as_manager.post("/rent/", order, headers=HTMX)
    Service.objects.update(active=False)
    answer = as_manager.post("/rent/", order, headers=HTMX)
    assert answer.status_code == 422
    rental = Rental.objects.get()
    assert f"This form has ordered {rental.service} already (#{rental.pk})." in html(answer)


def test_after_an_order_the_form_has_a_new_key(as_manager: Client) -> None:
    order = rent_form(as_manager)
    fresh = form(as_manager.post("/rent/", order, headers=HTMX), id="rent")
    assert fresh["form_key"] != order["form_key"]
    as_manager.post("/rent/", {**fresh, "service": "02.97"}, headers=HTMX)
    assert Rental.objects.count() == 2


def test_what_was_refused_is_sent_with_the_same_key_again(as_manager: Client) -> None:
    order = rent_form(as_manager)
    wrong = form(as_manager.post("/rent/", {**order, "prefixes": "x"}, headers=HTMX), id="rent")
    assert wrong["form_key"] == order["form_key"]
    assert as_manager.post("/rent/", {**wrong, "prefixes": ""}, headers=HTMX).status_code == 200
    assert Rental.objects.count() == 1


def test_a_form_sent_again_for_something_else_asks_first(as_manager: Client) -> None:
    make_service(sv="02", upstream_id="98", name="Zalo")
    order = rent_form(as_manager)
    as_manager.post("/rent/", order, headers=HTMX)
    answer = as_manager.post("/rent/", {**order, "service": "02.98"}, headers=HTMX)
    assert answer.status_code == 422
    assert "To order something else as well, send it again." in html(answer)
    assert Rental.objects.count() == 1
    again = {**form(answer, id="rent"), "service": "02.98"}
    assert as_manager.post("/rent/", again, headers=HTMX).status_code == 200
    assert Rental.objects.filter(service__name="Zalo").count() == 1


def test_two_people_with_one_key_order_twice(as_manager: Client, team: Team) -> None:
    colleague = Client()
    colleague.force_login(make_person(team, username="linh"))
    order = rent_form(as_manager)
    as_manager.post("/rent/", order)
    colleague.post("/rent/", order)
    assert Rental.objects.count() == 2


def test_the_second_is_not_refused_for_what_the_first_one_spent(as_manager: Client, team: Team) -> None:
    Team.objects.filter(pk=team.pk).update(budget_day=3000)
    order = rent_form(as_manager)
    assert as_manager.post("/rent/", order, headers=HTMX).status_code == 200
    assert as_manager.post("/rent/", order, headers=HTMX).status_code == 200


def test_a_program_without_a_key_orders_each_time(as_manager: Client) -> None:
    for _ in range(2):
        as_manager.post("/rent/", {"service": "02.97"})
    assert Rental.objects.count() == 2


def test_a_number_is_rented_again_once_for_each_form(
    as_manager: Client, team: Team, token: Token, service: Service
) -> None:
    manager = User.objects.get(username="boss")
    now = timezone.now()
    earlier = make_rental(
        Status.RECEIVED, team=team, person=manager, token=token, service=service, received_at=now, ended_at=now
    )
    address = f"/rentals/{earlier.pk}/again/"
    again = form(as_manager.get("/"), action=address)
    first = as_manager.post(address, again, headers=HTMX)
    second = as_manager.post(address, again, headers=HTMX)
    order = Rental.objects.get(again_of=earlier)
    assert "Ordered again already: " in html(second)
    for answer in (first, second):
        shown = {card["data-rental-id"] for card in parse(html(answer)).find_all(data_testid="rental")}
        assert shown == {str(order.pk), str(earlier.pk)}
    # The earlier card has a new form now: one may rent the number once more, as soon as nothing waits for it.
    once_more = form(second, action=address)
    assert "still waits" in html(as_manager.post(address, once_more, headers=HTMX))
    assert Rental.objects.filter(again_of=earlier).count() == 1
    Rental.objects.filter(pk=order.pk).update(status=Status.REFUSED, ended_at=now)
    as_manager.post(address, once_more, headers=HTMX)
    assert Rental.objects.filter(again_of=earlier).count() == 2


def test_a_row_of_the_history_rents_again_once(as_manager: Client, team: Team, token: Token, service: Service) -> None:
    earlier = make_rental(Status.RECEIVED, team=team, token=token, service=service, person=None)
    again = form(as_manager.get("/rentals/"), id="again")
    for _ in range(2):
        as_manager.post(f"/rentals/{earlier.pk}/again/", again)
    assert Rental.objects.filter(again_of=earlier).count() == 1


def test_a_double_click_makes_one_invitation_and_shows_its_link(as_manager: Client) -> None:
    invite = {**form(as_manager.get("/team/"), action="/team/invite/"), "role": "viewer", "days": 3, "note": "Hoa"}
    links = {html(as_manager.post("/team/invite/", invite)).split("/join/")[1].split("/")[0] for _ in range(2)}
    assert len(links) == 1
    assert Invitation.objects.count() == 1
    assert AuditRecord.objects.filter(action="invite").count() == 1
    assert Client().get(f"/join/{links.pop()}/").status_code == 200


def test_an_invitation_form_sent_again_for_another_person_makes_no_second_link(as_manager: Client) -> None:
    invite = {**form(as_manager.get("/team/"), action="/team/invite/"), "role": "viewer", "days": 3, "note": "Hoa"}
    as_manager.post("/team/invite/", invite)
    answer = as_manager.post("/team/invite/", {**invite, "role": "manager"}, follow=True)
    assert "This form has made a link already." in html(answer)
    assert Invitation.objects.get().role == Role.VIEWER


def test_a_key_alone_does_not_tell_its_link(as_manager: Client, team: Team, settings: Any) -> None:
    key, person = one_time_keys.Key("person 1", "known"), User.objects.get(username="boss")
    secret = invitations.invite(person, team, role=Role.VIEWER, key=key)[1]
    settings.SECRET_KEY = "another"
    assert invitations.invite(person, team, role=Role.VIEWER, key=key)[1] != secret


NEW = {"username": "hoa", "first_name": "Hoa", "password1": "nine tall trees", "password2": "nine tall trees"}


def test_a_second_click_on_join_leads_to_the_sign_in_of_the_account_that_was_made(as_manager: Client) -> None:
    invite = {**form(as_manager.get("/team/"), action="/team/invite/"), "role": "viewer", "days": 3}
    join = "/join/" + html(as_manager.post("/team/invite/", invite)).split("/join/")[1].split("/")[0] + "/"
    assert Client().post(join, NEW).status_code == 302
    second = Client().post(join, NEW, follow=True)
    assert second.redirect_chain[0][0] == "/accounts/login/"
    assert "Your account hoa is made. Sign in with it." in html(second)
    assert User.objects.filter(username="hoa").count() == 1
    stranger = Client().post(join, {**NEW, "username": "minh"})
    assert stranger.status_code == 404
    assert "hoa" not in html(stranger)


def test_a_second_click_of_somebody_signed_in_leads_to_the_desk(as_manager: Client) -> None:
    invite = {**form(as_manager.get("/team/"), action="/team/invite/"), "role": "viewer", "days": 3}
    join = "/join/" + html(as_manager.post("/team/invite/", invite)).split("/join/")[1].split("/")[0] + "/"
    minh = Client()
    minh.force_login(make_person(make_team("Sales"), username="minh"))
    minh.post(join)
    second = minh.post(join, follow=True)
    assert second.redirect_chain[0][0] == "/"
    assert "You are in the team already." in html(second)


def test_a_top_up_sent_twice_is_booked_once(as_manager: Client, token: Token) -> None:
    entry = {
        **form(as_manager.get("/spend/"), action="/spend/lines/"),
        "token": token.pk,
        "kind": "top_up",
        "amount": "50000",
    }
    for _ in range(2):
        assert as_manager.post("/spend/lines/", entry).status_code == 302
    assert LedgerEntry.objects.filter(kind="top_up").count() == 1
    other = as_manager.post("/spend/lines/", {**entry, "amount": "60000"})
    assert "This form has booked a line already." in html(other)


def test_keys_are_deleted_after_a_day(as_manager: Client) -> None:
    as_manager.post("/rent/", rent_form(as_manager))
    assert one_time_keys.delete_old() == 0
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert one_time_keys.delete_old() == 1
    assert not OneTimeKey.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("clients", [8])
def test_the_same_order_from_many_connections_at_once_is_one_order(
    team: Team, service: Service, as_manager: Client, clients: int
) -> None:
    order, start = rent_form(as_manager), threading.Barrier(clients)
    answers: list[int] = []

    def send() -> None:
        client = Client()
        client.cookies = as_manager.cookies
        start.wait()
        try:
            answers.append(client.post("/rent/", order, headers=HTMX).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * clients
    assert Rental.objects.count() == 1
    assert OneTimeKey.objects.count() == 1


def test_an_order_whose_answer_was_lost_is_answered_by_the_next_process(
    as_manager: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*args: Any, **kwargs: Any) -> str:
        raise RuntimeError("the web process is killed here, after its transaction")

    order = rent_form(as_manager)
    with monkeypatch.context() as patch:
        patch.setattr("pages.views.desk.render_to_string", dies)
        with pytest.raises(RuntimeError):
            as_manager.post("/rent/", order, headers=HTMX)
    again = as_manager.post("/rent/", order, headers=HTMX)
    assert "It is not ordered twice." in html(again)
    assert Rental.objects.count() == 1
