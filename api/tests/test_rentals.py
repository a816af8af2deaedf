"""Numbers rented by a program: the same orders, limits and rights as on the pages."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey, AuditRecord, Role, Scope, Team, User
from api.tests.conftest import Program, make_program
from rentals.models import Message, Network, Rental, Service, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team
from rentals.tests.fixtures import House

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def _received(house: House, person: User | None = None, code: str = "G-195829") -> Rental:
    now = timezone.now()
    rental = make_rental(
        Status.RECEIVED, team=house.team, person=person or house.person, token=house.token, service=house.service,
        received_at=now, ended_at=now, expires_at=now + timedelta(minutes=5), phone="+84852222127",
    )  # fmt: skip
    Message.objects.create(rental=rental, at=now, code=code, text=f"Ma {code}", source="poll", fingerprint="1")
    return rental


def test_a_number_is_ordered_at_once(program: Program, house: House) -> None:
    answer = program.post("rentals", {"service": "02.97", "networks": [], "purpose": "sign-up", "max_price": 90_000})
    assert answer.status_code == 201
    body = answer.json()
    rental = Rental.objects.get()
    assert (body["id"], body["status"], body["service"]["id"]) == (rental.pk, "queued", "02.97")
    assert (body["key"], body["person"]["id"], body["place"]) == (
        {"id": program.key.pk, "name": "CI"},
        house.person.pk,
        1,
    )
    record = AuditRecord.objects.get(action="order")
    assert (record.person, record.key) == (house.person, program.key)
    assert answer.headers["RateLimit-Limit"] == "1200"


def test_an_order_says_which_limit_holds_for_its_price(program: Program, house: House) -> None:
    order = {"service": "02.97", "max_price": 90_000}
    assert program.post("rentals", order).json()["price_limit"] == {"of": "order", "limit": 90_000}
    Team.objects.update(max_price=50_000)
    assert program.post("rentals", order).json()["price_limit"] == {"of": "team", "limit": 50_000}
    del order["max_price"]
    assert program.post("rentals", order).json()["price_limit"] == {"of": "shown", "limit": house.service.price}
    records = AuditRecord.objects.filter(action="order").order_by("pk")
    assert [record.detail.get("team_max_price") for record in records] == [None, 50_000, 50_000]
    assert _received(house) is not None
    imported = Rental.objects.latest("pk")
    assert program.get(f"rentals/{imported.pk}").json()["price_limit"] is None


def test_the_same_order_with_the_same_key_is_taken_once(program: Program) -> None:
    order = {"service": "02.97"}
    first = program.post("rentals", order, Idempotency_Key="one")
    again = program.post("rentals", order, Idempotency_Key="one")
    assert (first.json()["id"], again.status_code) == (again.json()["id"], 201)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = program.post("rentals", {**order, "purpose": "other"}, Idempotency_Key="one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert Rental.objects.count() == 1


def test_the_first_answer_comes_again_though_what_was_ordered_is_not_on_offer_any_more(
    program: Program, house: House
) -> None:
    network = Network.objects.filter(active=True).first()
    assert network is not None
    order = {"service": "02.97", "networks": [network.name.lower()], "token": house.token.pk, "max_price": 90_000}
    first = program.post("rentals", order, Idempotency_Key="one")
    assert first.status_code == 201
    Network.objects.all().delete()
    house.team.tokens.clear()
    Service.objects.filter(pk=house.service.pk).update(active=False, price=95_000)
    make_service(sv="07", upstream_id="97")
    Team.objects.update(purpose_required=True)
    again = program.post("rentals", order, Idempotency_Key="one")
    assert (again.status_code, again.headers.get("Idempotency-Replayed")) == (201, "true")
    assert again.json()["id"] == first.json()["id"]
    others: list[dict[str, Any]] = [{"networks": ["NOWHERE"]}, {"service": "07.97"}, {"networks": []}]
    for other in (*others, {"token": house.token.pk + 1}):
        answer = program.post("rentals", {**order, **other}, Idempotency_Key="one")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch"), other
    assert program.post("rentals", order, Idempotency_Key="two").json()["code"] != "idempotency_mismatch"
    assert Rental.objects.count() == 1


def test_the_same_number_again_is_answered_again_though_another_server_offers_its_service_now(
    program: Program, house: House
) -> None:
    earlier = _received(house)
    Rental.objects.update(upstream_id="5.02", upstream_key="5")
    first = program.post(f"rentals/{earlier.pk}/again", {}, Idempotency_Key="one")
    assert first.status_code == 201
    Service.objects.filter(pk=house.service.pk).update(active=False)
    for sv in ("07", "08"):
        make_service(sv=sv, upstream_id="97", name=house.service.name)
    again = program.post(f"rentals/{earlier.pk}/again", {}, Idempotency_Key="one")
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.database
def test_a_problem_names_each_wrong_field_in_the_callers_language(program: Program) -> None:
    wrong = {"service": "02.97", "networks": ["NOWHERE"]}
    for body, field in (
        ({**wrong, "count": 3}, "count"),
        ({"networks": []}, "service"),
        (wrong, "networks"),
        ({"service": "99.99"}, "service"),
        ({"service": "02.97", "prefixes": ["abc"]}, "prefixes"),
        ({"service": "02.97", "keep_trying_minutes": 61}, "keep_trying_minutes"),
        ({"service": "02.97", "token": 10**9}, "token"),
        ({"service": "02.97", "purpose": "\0"}, "purpose"),
        ({"service": "02.97", "prefixes": ["96"], "exclude_prefixes": ["096"]}, "exclude_prefixes"),
    ):
        answer = program.post("rentals", body)
        assert answer.status_code == 422, body
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["code"], problem["status"], [e["field"] for e in problem["errors"]]) == (
            "invalid",
            422,
            [field],
        )
    assert not Rental.objects.exists()
    program.language = "vi"
    said = program.post("rentals", wrong).json()["errors"][0]["detail"]
    assert said == "ThueSim hiện không có nhà mạng “NOWHERE”. Hãy chọn nhà mạng khác."


def test_what_costs_more_is_not_ordered(program: Program, house: House) -> None:
    answer = program.post("rentals", {"service": "02.97", "max_price": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "price_exceeded")
    assert answer.json()["price"] == house.service.price
    house.team.budget_day = 1
    house.team.save()
    assert program.post("rentals", {"service": "02.97"}).json()["code"] == "budget_exceeded"


def test_a_key_keeps_to_its_own_rentals_a_day(house: House) -> None:
    program = make_program(house.person, house.team, bounds={"rentals_per_day": 1})
    assert program.post("rentals", {"service": "02.97"}).status_code == 201
    assert program.post("rentals", {"service": "02.97"}).json()["code"] == "budget_exceeded"
    assert program.get("me").json()["budget"] == [
        {"of": "key", "label": "The key's rentals for today", "unit": "rentals", "limit": 1, "used": 1, "left": 0}
    ]


def test_two_codes_of_one_message_are_both_told_and_none_is_taken_for_the_code(house: House) -> None:
    rental = _received(house)
    reads = make_program(house.person, house.team, ["rentals:read", "codes:read"])
    sees = make_program(house.person, house.team, ["rentals:read"])
    text = "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512"
    at = timezone.now() + timedelta(minutes=1)
    said = Message.objects.create(rental=rental, at=at, text=text, source="poll", fingerprint="two")
    body = reads.get(f"rentals/{rental.pk}").json()
    assert (body["code"], body["codes"]) == (None, ["119020", "884512", "195829"])
    Message.objects.filter(pk=said.pk).update(code="884512")
    body = reads.get(f"rentals/{rental.pk}").json()
    assert (body["code"], body["codes"]) == ("884512", ["884512", "119020", "195829"])
    assert sees.get(f"rentals/{rental.pk}").json()["codes"] == []


@pytest.mark.database
def test_a_code_is_read_with_its_scope_alone(house: House) -> None:
    rental = _received(house)
    reads = make_program(house.person, house.team, ["rentals:read", "codes:read"])
    sees = make_program(house.person, house.team, ["rentals:read"])
    body = reads.get(f"rentals/{rental.pk}").json()
    assert (body["code"], body["codes"]) == ("195829", ["195829"])
    assert (body["messages"][0]["text"], body["messages"][0]["code"]) == ("Ma G-195829", "195829")
    assert body["phone"]["national"] == "0852 222 127"
    masked = sees.get(f"rentals/{rental.pk}")
    assert "195829" not in masked.content.decode()
    assert (masked.json()["code"], masked.json()["masked"]) == (None, True)
    assert masked.json()["messages"][0]["code"] == ""
    assert sees.get("rentals", {"q": "195829"}).json()["items"] == []
    assert [row["id"] for row in reads.get("rentals", {"q": "195829"}).json()["items"]] == [rental.pk]
    read = AuditRecord.objects.get(action="read")
    assert (read.key, read.target) == (reads.key, f"rental {rental.pk}")


def test_each_key_that_reads_a_code_is_recorded_beside_its_person(house: House) -> None:
    rental = _received(house)
    for program in (make_program(house.person, house.team), make_program(house.person, house.team)):
        program.get(f"rentals/{rental.pk}")
        program.get(f"rentals/{rental.pk}")
    assert AuditRecord.objects.filter(action="read").values("key").distinct().count() == 2


def test_a_colleagues_code_is_masked_as_on_the_pages(program: Program, house: House) -> None:
    rental = _received(house, make_person(house.team))
    assert program.get(f"rentals/{rental.pk}").json()["masked"] is True


@pytest.mark.database
def test_pages_of_the_list_go_on_by_cursor(program: Program, house: House) -> None:
    rentals = [make_rental(team=house.team, person=house.person, token=house.token) for _ in range(5)]
    ids: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = program.get("rentals", {"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        ids += [row["id"] for row in page["items"]]
        cursor = page["next"]
    assert ids == [rental.pk for rental in reversed(rentals)]
    assert program.get("rentals", {"cursor": "x"}).json()["errors"][0]["field"] == "cursor"


@pytest.mark.database
def test_the_filters_are_those_of_the_history(program: Program, house: House) -> None:
    received = _received(house)
    other = make_rental(
        team=house.team, person=house.person, token=house.token, purpose="other", service=make_service()
    )
    for query, expected in (
        ({"status": ["received", "waiting"]}, [received]),
        ({"purpose": "other"}, [other]),
        ({"service": "02.97"}, [received]),
        ({"token": house.token.pk, "person": house.person.pk}, [other, received]),
        ({"prefix": "85"}, [received]),
        ({"until": "2020-01-01"}, []),
    ):
        rows = program.get("rentals", query).json()["items"]
        assert {row["id"] for row in rows} == {rental.pk for rental in expected}, query
    assert program.get("rentals", {"status": "lost"}).status_code == 422
    for name, misspelt in (("since", "yesterday"), ("prefix", "abc"), ("service", "9.9"), ("person", "me")):
        assert program.get("rentals", {name: misspelt}).json()["errors"][0]["field"] == name


def test_a_queued_order_is_cancelled(program: Program) -> None:
    ordered = program.post("rentals", {"service": "02.97"}).json()
    assert program.post(f"rentals/{ordered['id']}/cancel").json()["status"] == "cancelled"
    twice = program.post(f"rentals/{ordered['id']}/cancel")
    assert (twice.status_code, twice.json()["status"]) == (200, "cancelled"), "the first answer may have been lost"


def test_a_number_cannot_be_cancelled(program: Program, house: House) -> None:
    rental = make_rental(Status.WAITING, team=house.team, person=house.person, token=house.token)
    late = program.post(f"rentals/{rental.pk}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "too_late")


@pytest.mark.parametrize("call", ["check", "cancel", "again"])
def test_a_key_that_may_not_read_changes_nothing_but_its_own_orders(house: House, call: str) -> None:
    program = make_program(house.person, house.team, [Scope.RENTALS_WRITE, Scope.CODES_READ])
    colleagues = _received(house)
    refused = program.post(f"rentals/{colleagues.pk}/{call}")
    assert (refused.status_code, refused.json()["scope"]) == (403, "rentals:read")
    assert "195829" not in refused.content.decode()
    assert Rental.objects.count() == 1
    own = program.post("rentals", {"service": "02.97"}).json()["id"]
    assert program.post(f"rentals/{own}/cancel").status_code == 200


def test_an_empty_idempotency_key_is_refused(program: Program) -> None:
    answer = program.post("rentals", {"service": "02.97"}, Idempotency_Key="")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert not Rental.objects.exists()


def test_networks_are_known_in_any_case_of_letters(program: Program) -> None:
    answer = program.post("rentals", {"service": "02.97", "networks": ["viettel"]})
    assert answer.status_code == 201, answer.json()
    assert Rental.objects.get().networks == ["VIETTEL"]


@pytest.mark.parametrize("last", ["abc", "-1", "10, 11", "9" * 40])
def test_what_is_no_event_is_no_place_to_go_on(program: Program, last: str) -> None:
    answer = program.get("events", Last_Event_ID=last)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_a_number_is_rented_again_once(program: Program, house: House) -> None:
    rental = _received(house)
    first = program.post(f"rentals/{rental.pk}/again", {"max_price": 90_000}, Idempotency_Key="a")
    second = program.post(f"rentals/{rental.pk}/again", {"max_price": 90_000}, Idempotency_Key="a")
    assert (first.status_code, first.json()["id"]) == (201, second.json()["id"])
    assert Rental.objects.get(pk=first.json()["id"]).again_of == rental
    waits = program.get(f"rentals/{first.json()['id']}/wait", {"for": "number"}).json()
    assert (first.json()["phone"], waits["phone"], waits["timed_out"]) == (None, None, True), "it may not get it"
    twice = program.post(f"rentals/{rental.pk}/again")
    assert (twice.status_code, "still waits" in twice.json()["detail"]) == (422, True)


def test_a_number_is_polled_when_asked(program: Program, house: House) -> None:
    rental = make_rental(Status.WAITING, team=house.team, person=house.person, token=house.token)
    assert program.post(f"rentals/{rental.pk}/check").status_code == 200
    assert Rental.objects.get(pk=rental.pk).looked_at is not None


def test_a_wait_that_nothing_holds_says_at_once_what_is(program: Program, house: House) -> None:
    rental = _received(house)
    message = rental.messages.get()
    there = program.get(f"rentals/{rental.pk}/wait", {"for": "code"}).json()
    assert (there["code"], there["timed_out"], there["ended"], there["after"]) == ("195829", False, False, message.pk)
    after = program.get(f"rentals/{rental.pk}/wait", {"for": "code", "after": message.pk}).json()
    assert (after["timed_out"], after["ended"], after["after"]) == (True, False, message.pk)
    refused = make_rental(Status.REFUSED, team=house.team, person=house.person, token=house.token, reason="low_balance")
    over = program.get(f"rentals/{refused.pk}/wait", {"for": "number"}).json()
    assert (over["ended"], over["reason"]["code"]) == (True, "insufficient_balance")
    assert program.get(f"rentals/{refused.pk}/wait", {"for": "end"}).json()["timed_out"] is False
    assert program.get(f"rentals/{refused.pk}/wait", {"timeout": 61}).json()["errors"][0]["field"] == "timeout"


def test_a_message_whose_code_comes_later_is_the_next_code(program: Program, house: House) -> None:
    rental = _received(house, code="")
    message = rental.messages.get()
    before = program.get(f"rentals/{rental.pk}/wait", {"for": "code"}).json()
    assert (before["timed_out"], before["after"], len(before["messages"])) == (True, None, 1)
    Message.objects.filter(pk=message.pk).update(code="195829")
    there = program.get(f"rentals/{rental.pk}/wait", {"for": "code", "after": before["after"] or 0}).json()
    assert (there["code"], there["after"]) == ("195829", message.pk)
    again = program.get(f"rentals/{rental.pk}/wait", {"for": "code", "after": message.pk + 5}).json()
    assert again["after"] == message.pk + 5


def test_a_revoked_key_and_a_former_member_are_refused(program: Program, house: House) -> None:
    ApiKey.objects.update(revoked_at=timezone.now())
    answer = program.get("me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    other = make_program(house.person, house.team)
    house.person.memberships.all().delete()
    assert other.get("me").status_code == 401


def test_a_scope_that_lacks_is_named(house: House) -> None:
    program = make_program(house.person, house.team, [Scope.BALANCE_READ])
    answer = program.post("rentals", {"service": "02.97"})
    assert (answer.status_code, answer.json()["code"], answer.json()["scope"]) == (403, "forbidden", "rentals:write")
    assert program.get("tokens").json()["items"][0]["name"] == house.token.name


def test_whose_role_lets_them_rent_no_more_rents_no_more(program: Program, house: House) -> None:
    house.person.memberships.update(role=Role.VIEWER)
    problem = program.post("rentals", {"service": "02.97"}).json()
    assert problem["code"] == "forbidden"
    assert problem["detail"] == "You may see your team's rentals, but not rent. Ask a manager of your team."


def test_the_catalog_is_as_on_the_pages(program: Program, house: House) -> None:
    service = program.get("services/02.97").json()
    assert (service["id"], service["price"], service["success_share"]) == ("02.97", house.service.price, None)
    assert service in program.get("services", {"q": service["name"]}).json()["items"]
    assert program.get("services/99.99").json()["code"] == "not_found"
    assert program.get("networks").json()["items"]


@pytest.mark.database
@pytest.mark.parametrize("field", ["network", "person", "token", "service"])
def test_a_filter_that_names_nothing_of_the_team_is_refused_and_named(
    program: Program, house: House, field: str
) -> None:
    rental = _received(house)
    stranger = make_rental(Status.RECEIVED, network="LOCAL", person=make_person(make_team("Sales")))
    known = {"network": "ITEL", "person": house.person.pk, "token": house.token.pk, "service": "02.97"}
    Rental.objects.filter(pk=rental.pk).update(network="ITEL")
    answer = program.get("rentals", {field: known[field]})
    assert [item["id"] for item in answer.json()["items"]] == [rental.pk]
    assert stranger.person is not None
    unknown = {"network": "LOCAL", "person": stranger.person.pk, "token": stranger.token_id, "service": "07.1"}
    answer = program.get("rentals", {field: unknown[field]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
