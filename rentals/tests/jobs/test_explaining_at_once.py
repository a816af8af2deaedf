"""Two workers that explain a token at once, and a manager who answers meanwhile, book each thing once."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Role
from accounts.policy import access_for
from rentals import bookkeeping
from rentals.jobs import explaining
from rentals.models import BalanceQuestion, BalanceReading, LedgerEntry, Status, Token
from rentals.tests.factories import make_person, make_rental, make_team, make_token

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*jobs: Callable[[], object]) -> None:
    """Do all at the same moment, each on a connection of its own."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            barrier.wait(60)
            job()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def read(token: Token, minutes_ago: float, balance: int, expected: int = 0) -> BalanceReading:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    return BalanceReading.objects.create(token=token, at=at, balance=balance, expected=expected)


def test_two_workers_book_a_top_up_and_a_refund_once() -> None:
    token = make_token(make_team())
    ago = timezone.now() - timedelta(minutes=100)
    rental = make_rental(
        Status.EXPIRED, token=token, attempt_at=ago, placed_at=ago, expires_at=ago, ended_at=ago, price=1450
    )
    LedgerEntry.objects.create(token=token, rental=rental, kind="rent", amount=-1450, at=ago)
    for minutes, balance in ((130, 0), (99, 0), (95, 1450), (60, 1450), (50, 51_450), (40, 51_440)):
        read(token, minutes, balance)
    at_once(*[lambda: explaining.explain(token.pk)] * 4)
    lines = token.ledger.exclude(kind="rent").order_by("pk").values_list("kind", "amount")
    assert sorted(lines) == [("refund", 1450), ("top_up", 50_000)]
    assert [question.amount for question in BalanceQuestion.objects.all()] == [-10]


def test_a_question_is_answered_once_by_several_managers_at_once() -> None:
    team = make_team()
    token = make_token(team)
    reading = read(token, 1, 20_000)
    Token.objects.filter(pk=token.pk).update(explained_reading=reading)
    question = BalanceQuestion.objects.create(
        token=token, reading=reading, since=reading.at, until=reading.at, amount=20_000
    )
    managers = [make_person(team, Role.MANAGER) for _ in range(3)]
    refused: list[bookkeeping.NotBooked] = []

    def answer(index: int) -> None:
        person = managers[index]
        mine = BalanceQuestion.objects.get(pk=question.pk)
        try:
            bookkeeping.answer(
                mine, access=access_for(person), person=person, answer=BalanceQuestion.Answer.TOP_UP, note=str(index)
            )
        except bookkeeping.NotBooked as error:
            refused.append(error)

    at_once(*[lambda index=index: answer(index) for index in range(3)], lambda: explaining.explain(token.pk))
    assert token.ledger.count() == 1
    assert len(refused) == 2


def test_a_line_is_taken_back_once_by_several_at_once() -> None:
    team = make_team()
    token = make_token(team)
    person = make_person(team, Role.MANAGER)
    line = LedgerEntry.objects.create(token=token, kind="top_up", amount=500, at=timezone.now(), person=person)

    def take_back() -> None:
        try:
            bookkeeping.take_back(line, access=access_for(person), person=person, note="x")
        except bookkeeping.NotBooked:
            return

    at_once(*[take_back] * 3)
    assert sum(token.ledger.values_list("amount", flat=True)) == 0
    assert token.ledger.count() == 2
