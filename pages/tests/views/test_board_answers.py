"""What a card leads on to once its order has ended, and what is said of an order in the queue."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Team, User
from accounts.policy import access_for
from pages.presenters import cards
from pages.tests.markup import parse
from rentals import lifecycle
from rentals.lifecycle import reasons
from rentals.models import Hold, LedgerEntry, Rental, Status, Token
from rentals.tests.factories import make_person, make_rental, make_service, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client, team: Team) -> User:
    person = make_person(team, username="linh", language="en")
    client.force_login(person)
    return person


@pytest.fixture
def refused(team: Team, operator: User) -> Rental:
    token = make_token(team, name="Main", waiting_limit=5)
    service = make_service(name="Viber", sv="02", upstream_id="97", price=2500)
    return make_rental(
        Status.REFUSED, team=team, person=operator, token=token, service=service, networks=["VIETTEL"],
        prefixes=["96"], exclude_prefixes=["97"], purpose="QA", reason=reasons.OUT_OF_STOCK, ended_at=timezone.now(),
        phone="",
    )  # fmt: skip


def said_on(client: Client, rental: Rental) -> str:
    card = parse(client.get("/").content.decode()).find(id=f"rental-{rental.pk}")
    return " ".join(card.text.split())


def test_a_refused_order_is_tried_again_with_all_its_wishes(client: Client, refused: Rental, operator: User) -> None:
    page = parse(client.get("/").content.decode())
    form = page.find("form", action=f"/rentals/{refused.pk}/same/")
    fields = {field["name"]: field["value"] for field in form.find_all("input")} | {"confirmed": "yes"}
    client.post(f"/rentals/{refused.pk}/same/", fields | {"keep_trying": "10"})
    order = Rental.objects.latest("pk")
    wishes = ("networks", "prefixes", "exclude_prefixes", "purpose", "service_id", "team_id")
    assert [getattr(order, name) for name in wishes] == [getattr(refused, name) for name in wishes]
    assert (order.status, order.person, order.again_of) == (Status.QUEUED, operator, None)
    assert order.keep_trying_until is not None
    client.post(f"/rentals/{refused.pk}/same/", fields | {"keep_trying": "10"})  # sent twice
    assert Rental.objects.count() == 2


@pytest.mark.parametrize(
    ("language", "phone", "question"),
    [
        ("en", "", "Rent a number for Viber, at 2.500 ₫?"),
        ("en", "+84852222127", "Rent another number for Viber, at 2.500 ₫?"),
        ("vi", "", "Thuê một số cho Viber, giá 2.500 ₫?"),
        ("vi", "+84852222127", "Thuê số khác cho Viber, giá 2.500 ₫?"),
    ],
)
def test_the_question_speaks_of_another_number_only_where_there_was_one(
    client: Client, refused: Rental, language: str, phone: str, question: str
) -> None:
    User.objects.update(language=language)
    Rental.objects.update(phone=phone)
    page = parse(client.get("/").content.decode())
    form = page.find("form", action=f"/rentals/{refused.pk}/same/")
    assert question in [field["value"] for field in form.find_all("input")]


def test_one_certain_number_is_tried_again_as_that_one(client: Client, refused: Rental, operator: User) -> None:
    earlier = make_rental(
        Status.RECEIVED, team=refused.team, person=operator, token=refused.token, service=refused.service,
        upstream_id="7.02",
    )  # fmt: skip
    Rental.objects.filter(pk=refused.pk).update(again_of=earlier, networks=[], prefixes=[], exclude_prefixes=[])
    assert "rent out this number again" in said_on(client, refused)
    client.post(f"/rentals/{refused.pk}/same/")
    assert Rental.objects.latest("pk").again_of == earlier


@pytest.mark.parametrize(
    ("wishes", "advice"),
    [
        ({}, "Try other networks or prefixes"),
        ({"networks": [], "prefixes": [], "exclude_prefixes": []}, "no number for this service"),
    ],
)
def test_the_advice_fits_the_order(client: Client, refused: Rental, wishes: dict[str, list[str]], advice: str) -> None:
    if wishes:
        Rental.objects.update(**wishes)
    assert advice in said_on(client, refused)


@pytest.mark.parametrize(
    ("holding", "reason", "until", "sentences"),
    [
        (0, "", False, ["Place 1 in the queue, about 5 seconds."]),
        (0, reasons.LIMIT, False, ["Place 1 in the queue, about 5 seconds."]),  # a place has become free
        (5, reasons.LIMIT, False, ["Place 1 in the queue.", "All waiting places of this token are taken. …"]),
        (
            5,
            "",
            True,
            ["Place 1 in the queue.", "All waiting places of this token are taken. …", "The order ends at …"],
        ),
        (
            0,
            reasons.OUT_OF_STOCK,
            True,
            [
                "Place 1 in the queue.",
                "ThueSim has no such number now. The order is tried again by itself.",
                "The order ends at …",
            ],
        ),
    ],
)
def test_what_is_said_of_an_order_in_the_queue_is_true_together(
    team: Team, operator: User, refused: Rental, holding: int, reason: str, until: bool, sentences: list[str]
) -> None:
    for _ in range(holding):
        make_rental(Status.WAITING, team=team, token=refused.token, service=refused.service)
    order = make_rental(
        Status.QUEUED, team=team, person=operator, token=refused.token, service=refused.service, reason=reason,
        networks=["VIETTEL"], phone="", keep_trying_until=timezone.now() + timedelta(minutes=5) if until else None,
    )  # fmt: skip
    [card] = cards.cards_for([order], access_for(operator))
    assert len(card.queue_sentences) == len(sentences)
    for said, expected in zip(card.queue_sentences, sentences, strict=True):
        assert said.startswith(expected.removesuffix("…").strip())


@pytest.mark.parametrize("networks", [[], ["VIETTEL"]])
@pytest.mark.parametrize("again", [False, True])
def test_what_keeps_trying_is_not_advised_to_and_what_was_cancelled_gets_no_advice(
    team: Team, operator: User, refused: Rental, networks: list[str], again: bool
) -> None:
    order = make_rental(
        Status.QUEUED, team=team, person=operator, token=refused.token, service=refused.service, phone="",
        reason=reasons.OUT_OF_STOCK, networks=networks, again_of=refused if again else None,
        keep_trying_until=timezone.now() + timedelta(minutes=5),
    )  # fmt: skip
    [card] = cards.cards_for([order], access_for(operator))
    assert card.queue_sentences[1] == "ThueSim has no such number now. The order is tried again by itself."
    assert lifecycle.cancel(order, person=operator)
    [card] = cards.cards_for([Rental.objects.get(pk=order.pk)], access_for(operator))
    assert (card.queue_sentences, card.reason) == ([], "")


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("reason", ["", reasons.LIMIT])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"hold": Hold.DOWN}, "ThueSim does not answer. The order goes on by itself as soon as it does."),
        ({"hold": Hold.LIMIT}, "All waiting places of this token are taken."),
        ({"hold": Hold.INVALID}, "ThueSim refused the token."),
        ({"paused": True}, "The token is paused."),
        ({"paused": True, "hold": Hold.DOWN}, "The token is paused."),
    ],
)
def test_an_order_in_the_queue_says_why_its_token_takes_none_now(
    team: Team, operator: User, refused: Rental, state: dict[str, object], expected: str, limit: int | None, reason: str
) -> None:
    Token.objects.update(waiting_limit=limit, hold_until=timezone.now() + timedelta(seconds=9), **state)
    order = make_rental(
        Status.QUEUED, team=team, person=operator, token=Token.objects.get(), service=refused.service, reason=reason,
        phone="",
    )  # fmt: skip
    [card] = cards.cards_for([order], access_for(operator))
    place, why = card.queue_sentences
    assert place == "Place 1 in the queue."
    assert why.startswith(expected)


def test_a_refund_stands_on_the_card_in_the_row_and_in_the_filter(client: Client, refused: Rental) -> None:
    expired = [
        make_rental(
            Status.EXPIRED, team=refused.team, token=refused.token, service=refused.service, price=2500,
            ended_at=timezone.now(),
        )
        for _ in range(2)
    ]  # fmt: skip
    kinds = {"rental": expired[0], "token": refused.token, "amount": 2500, "at": timezone.now()}
    LedgerEntry.objects.create(kind=LedgerEntry.Kind.REFUND, **kinds)
    LedgerEntry.objects.create(kind=LedgerEntry.Kind.REFUND, **kinds | {"rental": expired[1]}, taken_back=True)
    assert "2.500 ₫ refunded" in said_on(client, expired[0])
    assert "refunded" not in said_on(client, expired[1])
    assert "2.500 ₫ refunded" in client.get("/rentals/").content.decode()

    def shown(query: str) -> list[int]:
        rows = re.findall(r'data-rental-id="(\d+)"', client.get(f"/rentals/?{query}").content.decode())
        return [int(row) for row in rows]

    assert shown("refund=yes") == [expired[0].pk]
    assert shown("refund=missing") == [expired[1].pk]
    assert len(shown("refund=perhaps")) == 3


def test_the_way_back_to_the_history_keeps_the_search(client: Client, refused: Rental) -> None:
    def back(referer: str) -> str:
        page = parse(client.get(f"/rentals/{refused.pk}/", headers={"referer": referer}).content.decode())
        return page.find("p", **{"class": "up"}).find("a")["href"]

    assert back("http://testserver/rentals/?q=QA&status=refused") == "/rentals/?q=QA&status=refused"
    assert back("http://testserver/") == "/rentals/"
    assert back("http://elsewhere.invalid/rentals/?q=QA") == "/rentals/"


def test_an_address_that_only_takes_forms_answers_with_a_page_of_ours(client: Client, refused: Rental) -> None:
    response = client.get(f"/rentals/{refused.pk}/cancel/", headers={"accept": "text/html"})
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert "only takes what a form or a button sends" in response.content.decode()
    assert client.get(f"/rentals/{refused.pk}/cancel/").content == b""  # a program


def test_a_deactivated_person_is_told_so_and_whom_to_ask(client: Client, operator: User) -> None:
    User.objects.update(is_active=False)
    operator.set_password("kỳ lạ lắm 42")
    operator.is_active = False
    operator.save()
    client.logout()
    page = client.post("/accounts/login/", {"login": "linh", "password": "kỳ lạ lắm 42"}, follow=True)
    assert "Ask a manager of your team" in page.content.decode()
    assert "You were signed out" in client.get("/accounts/login/?ended=1&next=/").content.decode()


def test_a_service_is_chosen_by_the_address(client: Client, operator: User, refused: Rental) -> None:
    page = parse(client.get("/?rent=02.97").content.decode())
    [chosen] = [option for option in page.find(id="service").find_all("option") if "selected" in option.attributes]
    assert chosen["value"] == "02.97"
    assert "?rent=02.97" in client.get("/services/?show=all").content.decode()


def test_the_reason_of_an_order_that_waits_has_its_mark(client: Client, refused: Rental, operator: User) -> None:
    order = make_rental(
        Status.QUEUED, team=refused.team, person=operator, token=refused.token, service=refused.service,
        reason=reasons.OUT_OF_STOCK, networks=["VIETTEL"], phone="",
    )  # fmt: skip
    card = parse(client.get("/").content.decode()).find(id=f"rental-{order.pk}")
    assert "ThueSim has no such number now" in card.find(data_testid="reason").text


def test_an_attempt_keeps_the_lines_of_its_place(team: Team, operator: User, refused: Rental) -> None:
    until = timezone.now() + timedelta(minutes=5)
    fields = {"team": team, "person": operator, "token": refused.token, "service": refused.service, "phone": ""}
    order = make_rental(Status.QUEUED, attempts=1, reason=reasons.OUT_OF_STOCK, keep_trying_until=until, **fields)
    [card] = cards.cards_for([order], access_for(operator))
    lines = card.queue_sentences
    assert lifecycle.start_attempt(order)
    [card] = cards.cards_for([Rental.objects.get(pk=order.pk)], access_for(operator))
    assert card.rental.status == Status.PLACING
    assert len(card.queue_sentences) == len(lines) == 3
    assert card.queue_sentences[2] == lines[2]
