"""What managers book on the spend page: answers to questions about a balance, lines by hand, and lines taken back."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditRecord, Role, Team, User
from accounts.policy import access_for
from pages.presenters import spend
from pages.tests.views.spending import rented, this_month
from rentals import bookkeeping
from rentals.jobs import explaining
from rentals.models import BalanceQuestion, BalanceReading, LedgerEntry, Rental, Token
from rentals.tests.factories import make_person, make_team, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(team: Team) -> User:
    return make_person(team, Role.MANAGER)


def ask(token: Token, amount: int) -> BalanceQuestion:
    """An open question: the balance moved by so much within the last ten minutes."""
    now = timezone.now()
    reading = BalanceReading.objects.create(token=token, at=now, balance=amount, expected=0)
    Token.objects.filter(pk=token.pk).update(explained_reading=reading)
    return BalanceQuestion.objects.create(
        token=token, reading=reading, since=now - timedelta(minutes=10), until=now, amount=amount
    )


def lines(token: Token) -> list[tuple[str, int]]:
    return list(token.ledger.exclude(kind="rent").order_by("pk").values_list("kind", "amount"))


def expired(team: Team, token: Token, price: int, **over: Any) -> Rental:
    placed_at = timezone.now() - timedelta(minutes=8)
    return rented(team, token, price, person=make_person(team), placed_at=placed_at, **over)


@pytest.fixture
def as_manager(client: Client, manager: User) -> Client:
    client.force_login(manager)
    return client


def test_an_open_question_stands_on_the_page_with_what_it_may_be(as_manager: Client, team: Team, token: Token) -> None:
    ask(token, 21_450)
    rental = expired(team, token, 1450)
    page = as_manager.get("/spend/").content.decode()
    assert "+21.450 ₫" in page
    assert f'name="refunds" value="{rental.pk}"' in page
    assert "Every đồng is accounted for." not in page


def test_questions_of_another_teams_token_are_not_shown(as_manager: Client) -> None:
    ask(make_token(make_team()), 21_450)
    assert "21.450" not in as_manager.get("/spend/").content.decode()


def test_another_teams_rentals_on_a_shared_token_are_not_shown(as_manager: Client, team: Team, token: Token) -> None:
    other = make_team()
    token.teams.add(other)
    foreign = expired(other, token, 1450)
    question = ask(token, 1450)
    assert f'name="refunds" value="{foreign.pk}"' not in as_manager.get("/spend/").content.decode()
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "refunds", "refunds": foreign.pk})
    assert lines(token) == []


@pytest.mark.parametrize(
    ("answer", "ticked", "booked"),
    [
        ("refunds", [1450], []),  # they do not add up
        ("refunds", [1450, 20_000], [("refund", 20_000), ("refund", 1450)]),
        ("top_up", [], [("top_up", 21_450)]),
        ("top_up", [1450], [("refund", 1450), ("top_up", 20_000)]),
        ("top_up", [1450, 20_000], []),  # nothing is left for it
        ("correction", [], [("correction", 21_450)]),
        ("nonsense", [], []),
    ],
)
def test_a_manager_says_what_the_money_was(
    as_manager: Client, team: Team, token: Token, answer: str, ticked: list[int], booked: list[tuple[str, int]]
) -> None:
    question = ask(token, 21_450)
    rentals = {price: expired(team, token, price) for price in (1450, 20_000)}
    sent = {"answer": answer, "refunds": [rentals[price].pk for price in ticked], "note": "by phone"}
    as_manager.post(f"/spend/questions/{question.pk}/", sent)
    question.refresh_from_db()
    assert sorted(lines(token)) == sorted(booked)
    assert bool(question.answered_at) == bool(booked)
    if booked:
        assert question.reading.balance == BalanceReading.objects.get(pk=question.reading.pk).expected
        assert AuditRecord.objects.get(action="balance_answer").detail["amount"] == 21_450


def test_a_question_is_answered_once(as_manager: Client, token: Token) -> None:
    question = ask(token, 21_450)
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "top_up"})
    assert as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "top_up"}).status_code == 404
    assert lines(token) == [("top_up", 21_450)]


def test_an_answer_to_a_question_that_has_changed_is_refused(team: Team, token: Token, manager: User) -> None:
    question = ask(token, 21_450)
    BalanceQuestion.objects.update(amount=20_000)
    with pytest.raises(bookkeeping.NotBooked):
        bookkeeping.answer(
            question, access=access_for(manager), person=manager, answer=BalanceQuestion.Answer.TOP_UP, note=""
        )
    assert lines(token) == []


def test_missing_money_is_no_top_up(as_manager: Client, token: Token) -> None:
    question = ask(token, -500)
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "top_up"})
    assert lines(token) == []
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "correction"})
    assert lines(token) == [], "a correction wants a note"
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "correction", "note": "fee"})
    assert lines(token) == [("correction", -500)]


@pytest.mark.parametrize(
    ("sent", "booked"),
    [
        ({"kind": "top_up", "amount": "100.003"}, [("top_up", 100_003)]),
        ({"kind": "correction", "amount": "-500", "note": "fee"}, [("correction", -500)]),
        ({"kind": "correction", "amount": "500"}, []),
        ({"kind": "top_up", "amount": "-500"}, []),
        ({"kind": "top_up", "amount": "0"}, []),
        ({"kind": "rent", "amount": "500"}, []),
    ],
)
def test_a_manager_enters_a_line(as_manager: Client, token: Token, sent: dict[str, str], booked: list[Any]) -> None:
    answer = as_manager.post("/spend/lines/", {"token": token.pk, **sent})
    assert answer.status_code == (302 if booked else 422)
    assert lines(token) == booked


def test_a_line_that_an_open_question_waits_for_answers_it(as_manager: Client, token: Token) -> None:
    question = ask(token, 21_450)
    as_manager.post("/spend/lines/", {"token": token.pk, "kind": "top_up", "amount": "21450", "note": "VCB"})
    question.refresh_from_db()
    assert (question.answer, question.note) == ("top_up", "VCB")
    assert lines(token) == [("top_up", 21_450)]


def test_a_line_of_another_amount_answers_no_question(as_manager: Client, token: Token) -> None:
    ask(token, 21_450)
    as_manager.post("/spend/lines/", {"token": token.pk, "kind": "top_up", "amount": "20000", "note": "VCB"})
    assert lines(token) == [("top_up", 20_000)]
    assert BalanceQuestion.objects.filter(answered_at=None).exists()


def test_a_number_whose_code_came_in_time_is_not_refunded(as_manager: Client, team: Team, token: Token) -> None:
    question = ask(token, 1450)
    rental = expired(team, token, 1450)
    Rental.objects.filter(pk=rental.pk).update(status="received", received_at=rental.placed_at)
    assert f'name="refunds" value="{rental.pk}"' not in as_manager.get("/spend/").content.decode()
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "refunds", "refunds": rental.pk})
    assert lines(token) == []


def test_a_wrong_refund_is_taken_back_and_asked_again(
    as_manager: Client, team: Team, token: Token, manager: User
) -> None:
    question = ask(token, 1450)
    rental = expired(team, token, 1450)
    as_manager.post(f"/spend/questions/{question.pk}/", {"answer": "refunds", "refunds": rental.pk})
    line = LedgerEntry.objects.get(kind="refund")
    total = spend.spending(access_for(manager), this_month()).total
    assert (total.refunded, total.spent) == (1450, 0)
    for _ in range(2):
        as_manager.post(f"/spend/lines/{line.pk}/take-back/", {"note": "it was a top-up"})
    assert lines(token) == [("refund", 1450), ("correction", -1450)]
    total = spend.spending(access_for(manager), this_month()).total
    assert (total.refunded, total.spent) == (0, 1450)
    [again] = BalanceQuestion.objects.filter(answered_at=None)
    assert (again.amount, again.since, again.until) == (1450, question.since, question.until)
    assert rental.events.filter(kind="refund taken back", person=manager).exists()
    assert AuditRecord.objects.get(action="ledger_take_back").detail["note"] == "it was a top-up"
    explaining.explain(token.pk)
    assert BalanceQuestion.objects.filter(answered_at=None).count() == 1
    as_manager.post(f"/spend/questions/{again.pk}/", {"answer": "refunds", "refunds": rental.pk})
    assert token.ledger.filter(kind="refund", taken_back=False).count() == 1, "it can be booked again"


def test_a_charge_cannot_be_taken_back(as_manager: Client, team: Team, token: Token) -> None:
    charge = expired(team, token, 1450).ledger.get()
    assert as_manager.post(f"/spend/lines/{charge.pk}/take-back/", {"note": "x"}).status_code == 404


def test_taking_back_wants_a_reason(as_manager: Client, token: Token) -> None:
    line = LedgerEntry.objects.create(token=token, kind="top_up", amount=5, at=timezone.now())
    as_manager.post(f"/spend/lines/{line.pk}/take-back/", {})
    assert lines(token) == [("top_up", 5)]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_managers_book(client: Client, team: Team, token: Token, role: Role) -> None:
    question = ask(token, 500)
    line = LedgerEntry.objects.create(token=token, kind="top_up", amount=5, at=timezone.now())
    person = make_person(team, role)
    client.force_login(person)
    sent = {"answer": "top_up", "kind": "top_up", "amount": 5, "token": token.pk, "note": "x"}
    for address in (f"questions/{question.pk}", "lines", f"lines/{line.pk}/take-back"):
        assert client.post(f"/spend/{address}/", sent).status_code == 403
    assert lines(token) == [("top_up", 5)]
    assert not bookkeeping.lines(access_for(person)).exists()
