"""A number that waits changes hands: a colleague of the same team owns it from now on, and reads its code."""

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from accounts import audit
from accounts.models import User
from lib import announce
from rentals.lifecycle.transitions import write_event
from rentals.models import EventKind, Rental, Status


@transaction.atomic
def hand_over(rental: Rental, *, to: User, by: User) -> bool:
    """Give a waiting number to `to`. False where it no longer waits, or is no longer theirs with whom it was read.

    The caller has checked that `by` may do it and that `to` may rent in the team. What it cost stays with the person who
    ordered it. Both are told on their open screens.
    """
    giver = rental.person
    if giver is None or giver.pk == to.pk:
        return False
    still_theirs = Rental.objects.filter(pk=rental.pk, status=Status.WAITING, person=giver)
    if not still_theirs.update(person=to, ordered_by=Coalesce(F("ordered_by"), F("person"))):
        return False
    rental.ordered_by, rental.person = rental.ordered_by or giver, to
    names = {"from": str(giver), "to": str(to)}
    write_event(rental, EventKind.HANDED_OVER, before=rental.status, person=by, detail=names)
    detail = {"person": [names["from"], names["to"]]}
    audit.record(audit.Action.HAND_OVER, person=by, team=rental.team, target=audit.about(rental), detail=detail)
    for person in {giver.pk, to.pk} - {by.pk}:
        announce.handed_over(rental.pk, team=rental.team_id, person=person)
    return True
