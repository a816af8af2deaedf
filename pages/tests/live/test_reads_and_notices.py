"""The hub, through a real server and a real Redis: whose look at a code is recorded, and who is told of a number."""

from typing import Any

from accounts.models import AuditRecord, Role, Team
from pages.tests.live.conftest import Screens, SignIn
from rentals import lifecycle
from rentals.models import Rental, Status
from thuesim_site.testing import wait_until


def test_a_code_on_a_screen_is_recorded_as_read_by_each_who_reads_it_and_once(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    owner, colleague = sign_in(team), sign_in(team)
    manager, viewer = sign_in(team, Role.MANAGER), sign_in(team, Role.VIEWER)
    streams = [screens.watch(client) for client in (owner, owner, colleague, manager, viewer)]
    narrow = screens.watch(sign_in(team, Role.MANAGER), "?mine=1")
    rental = make_rental(team, code="529310", person=owner.person, status=Status.RECEIVED)
    for _ in range(2):
        rental.announce()
        for stream in streams:
            stream.skip_to("rental")
        narrow.skip_to("gone")
    reads = AuditRecord.objects.filter(action="read", target=f"rental {rental.pk}").order_by("person")
    wait_until(lambda: reads.count() == 2, "the reads are recorded")
    assert [read.person for read in reads] == [owner.person, manager.person]


def test_a_number_without_a_code_is_read_by_nobody(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    owner = sign_in(team)
    stream = screens.watch(owner)
    make_rental(team, person=owner.person).announce()
    stream.skip_to("rental")
    make_rental(team, code="529310", person=owner.person, status=Status.RECEIVED).announce()
    stream.skip_to("rental")
    wait_until(AuditRecord.objects.filter(action="read").exists, "the read is recorded")
    assert AuditRecord.objects.filter(action="read").count() == 1


def test_both_are_told_of_a_number_handed_over_and_nobody_else(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    giver, taker, other = sign_in(team), sign_in(team), sign_in(team)
    as_manager = sign_in(team, Role.MANAGER)
    streams = {name: screens.watch(client) for name, client in
               {"giver": giver, "taker": taker, "other": other, "manager": as_manager}.items()}  # fmt: skip
    rental = make_rental(team, person=giver.person, status=Status.WAITING)
    assert lifecycle.hand_over(Rental.objects.for_cards().get(pk=rental.pk), to=taker.person, by=as_manager.person)
    assert "was handed over to person1, who reads its code now" in streams["giver"].skip_to("notice")
    assert "was handed over to you: its code will be yours" in streams["taker"].skip_to("notice")
    make_rental(team).announce()
    for name in ("other", "manager"):
        assert [streams[name].next()[0] for _ in range(2)] == ["rental", "rental"]


def test_a_page_that_reads_for_itself_is_told_which_rental_changed_and_sent_no_code(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    owner = sign_in(team)
    stream = screens.watch(owner, "?ids=1")
    rental = make_rental(team, code="529310", person=owner.person, status=Status.RECEIVED)
    rental.announce()
    assert stream.next() == ("rental", f'id="rental-{rental.pk}"')
    screens.watch(owner)
    rental.announce()
    stream.next()
    reads = AuditRecord.objects.filter(action="read")
    wait_until(reads.exists, "the read on the other page is recorded")
    assert reads.count() == 1
