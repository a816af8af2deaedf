"""What managers book by hand: the answer to a question about the balance, a top-up, a correction, the taking back of a
wrong line. Each is a new line of the ledger and an audit record. All amounts are whole đồng.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts import audit, one_time_keys
from accounts.models import Membership, User
from accounts.one_time_keys import Key
from accounts.policy import Access
from rentals import lifecycle
from rentals.models import BalanceQuestion, LedgerEntry, Rental, Token
from rentals.queries.refunds import RAN_OUT

# How long before a question a rental may have ended that its money was refunded for.
REFUNDS_SINCE = timedelta(days=2)
MAX_REFUNDS = 200
# What can be taken back. A rental's charge is the upstream's own word, and its price has a correction of its own.
_BY_BALANCE = Q(kind__in=[LedgerEntry.Kind.TOP_UP, LedgerEntry.Kind.CORRECTION], rental=None)


class NotBooked(Exception):
    """It was not booked, and `sentence` says why and what to do next."""

    def __init__(self, sentence: str | Promise) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


def open_questions(access: Access) -> QuerySet[BalanceQuestion]:
    """Return the unanswered questions on the team's tokens that the person may answer, the oldest first."""
    if not access.manages:
        return BalanceQuestion.objects.none()
    questions = BalanceQuestion.objects.filter(token__teams=access.team_id, answered_at=None)
    return questions.select_related("token").order_by("until", "pk")


def lines(access: Access) -> QuerySet[LedgerEntry]:
    """Return what was booked on the team's tokens beside what rentals cost, the newest first: refunds of its own rentals,
    top-ups and corrections. Not all of their people may be named: see `by_other_teams`."""
    if not access.manages:
        return LedgerEntry.objects.none()
    refunds = Q(kind=LedgerEntry.Kind.REFUND, rental__team=access.team_id)
    # Not by a join: SQLite would begin with the tokens, and sort all of their lines in the period.
    shares = Token.teams.through.objects.filter(token=OuterRef("token"), team=access.team_id)
    found = LedgerEntry.objects.filter(refunds | _BY_BALANCE, Exists(shares))
    return found.select_related("token", "person")


def by_other_teams(entries: Iterable[LedgerEntry], access: Access) -> set[int]:
    """Return the keys of the lines booked by a person of another team that shares the token, who is not named here. One
    query, none where no person booked any."""
    by_people = [entry for entry in entries if entry.person_id is not None]
    if not by_people:
        return set()
    memberships = Membership.objects.filter(user__in={entry.person_id for entry in by_people})
    rows = list(memberships.values_list("user", "team", "team__tokens"))
    own = {person for person, team, _token in rows if team == access.team_id}
    shared = {(person, token) for person, _team, token in rows if person not in own}
    return {entry.pk for entry in by_people if (entry.person_id, entry.token_id) in shared}


def refundable_for(question: BalanceQuestion, access: Access) -> list[Rental]:
    """Return the team's rentals on the token whose refund a question may be about, the newest first."""
    rentals = Rental.objects.visible_to(access).filter(RAN_OUT, token=question.token_id, price__gt=0)
    rentals = rentals.filter(ended_at__gte=question.since - REFUNDS_SINCE, placed_at__lte=question.until)
    booked = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, taken_back=False, rental__isnull=False)
    rentals = rentals.filter(ledger__kind=LedgerEntry.Kind.RENT).exclude(pk__in=booked.values("rental"))
    return list(rentals.select_related("service", "person").order_by("-ended_at", "-pk").distinct()[:MAX_REFUNDS])


@transaction.atomic
def answer(
    question: BalanceQuestion,
    *,
    access: Access,
    person: User,
    answer: BalanceQuestion.Answer,
    refunds: Collection[int] = (),
    note: str = "",
) -> None:
    """Book what a question's money was: refunds of the rentals `refunds`, and what is left a top-up or a correction.

    Raises `NotBooked`.
    """
    lifecycle.hold_token(question.token_id)
    fields = {"answer": answer, "note": note, "person": person, "answered_at": timezone.now()}
    # The amount, too: a rental that was found meanwhile may have changed what is asked.
    if not open_questions(access).filter(pk=question.pk, amount=question.amount).exists():
        raise NotBooked(_("This question is answered already, or has changed. Look at the page again."))
    BalanceQuestion.objects.filter(pk=question.pk).update(**fields)
    question.person, question.note = person, note
    chosen = [rental for rental in refundable_for(question, access) if rental.pk in set(refunds)]
    rest = question.amount - sum(rental.price or 0 for rental in chosen)
    if len(chosen) != len(set(refunds)):
        raise NotBooked(_("One of these rentals has been refunded already. Look at the page again."))
    if answer == BalanceQuestion.Answer.REFUNDS and rest:
        raise NotBooked(_("The prices of the rentals you chose do not add up to the amount. Choose others."))
    if answer != BalanceQuestion.Answer.REFUNDS and not rest:
        raise NotBooked(_("The rentals you chose explain the whole amount already: answer “refunds”."))
    if answer == BalanceQuestion.Answer.TOP_UP and rest < 0:
        raise NotBooked(_("A top-up adds money, and here some is missing. Book a correction."))
    for rental in chosen:
        if not lifecycle.refund(rental, question.reading, question=question):
            raise NotBooked(_("One of these rentals has been refunded already. Look at the page again."))
    if rest:
        kind = LedgerEntry.Kind.TOP_UP if answer == BalanceQuestion.Answer.TOP_UP else LedgerEntry.Kind.CORRECTION
        line = LedgerEntry(
            token_id=question.token_id, kind=kind, amount=rest, note=note, person=person, question=question
        )
        lifecycle.explain(line, question.reading)
    question.token.announce()
    detail = {
        "amount": question.amount,
        "answer": str(answer),
        "rentals": [rental.pk for rental in chosen],
        "note": note,
    }
    _record(audit.Action.BALANCE_ANSWER, access, person, question.token, detail)


def enter(
    token: Token,
    *,
    access: Access,
    person: User,
    kind: LedgerEntry.Kind,
    amount: int,
    note: str,
    key: Key | None = None,
) -> None:
    """Book a top-up or a correction on one of the team's tokens. An open question about just that amount is answered by it.

    With a `key`, the same form sent again books nothing more. Raises `NotBooked`.
    """
    asked = {"token": token.pk, "kind": str(kind), "amount": amount, "note": note}

    def book() -> Token:
        _enter(token, access=access, person=person, kind=kind, amount=amount, note=note)
        return token

    try:
        one_time_keys.raise_if_used(key, asked)
        one_time_keys.once(key, asked, book, refusal=NotBooked)
    except one_time_keys.DoneAlready as done:
        if done.differs:
            raise NotBooked(_("This form has booked a line already. Send it again to book this one as well.")) from None


def _enter(token: Token, *, access: Access, person: User, kind: LedgerEntry.Kind, amount: int, note: str) -> None:
    lifecycle.hold_token(token.pk)
    if not access.manages or access.team not in token.teams.all():
        raise NotBooked(_("This token is not one of your team's."))
    question = open_questions(access).filter(token=token, amount=amount).first()
    if question is not None:
        answer(question, access=access, person=person, answer=BalanceQuestion.Answer(kind), note=note)
        return
    LedgerEntry.objects.create(token=token, kind=kind, amount=amount, note=note, person=person, at=timezone.now())
    token.announce()
    _record(audit.Action.LEDGER_ENTRY, access, person, token, {"kind": str(kind), "amount": amount, "note": note})


@transaction.atomic
def take_back(entry: LedgerEntry, *, access: Access, person: User, note: str) -> None:
    """Take back a wrong line by one of the opposite amount; what it explained is asked again.

    Raises `NotBooked`.
    """
    wrong = lines(access).filter(pk=entry.pk, taken_back=False, takes_back=None)
    if not wrong.exists() or not lifecycle.take_back(entry, person=person, note=note):
        raise NotBooked(_("This line is taken back already."))
    entry.token.announce()
    detail = {"kind": entry.kind, "amount": entry.amount, "rental": entry.rental_id, "note": note}
    _record(audit.Action.LEDGER_TAKE_BACK, access, person, entry.token, detail)


def _record(action: audit.Action, access: Access, person: User, token: Token, detail: dict[str, object]) -> None:
    audit.record(action, person=person, team=access.team, target=f"token {token.name}", detail=detail)
