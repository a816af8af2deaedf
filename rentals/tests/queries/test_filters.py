"""The filters in the address: unknown values are ignored, and one rental is judged as a query judges all of them."""

from datetime import date, timedelta

import pytest
import time_machine
from django.http import QueryDict
from django.utils import timezone

from accounts.models import Team
from accounts.policy import Access, access_for
from rentals.models import Rental, Status
from rentals.queries.filters import ON_THE_BOARD, BoardFilter, HistoryFilter, left_the_board_at
from rentals.tests.factories import make_person, make_rental, make_service, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def access(team: Team) -> Access:
    return access_for(make_person(team))


def test_the_desks_filter_is_read_from_the_address() -> None:
    address = "mine=1&status=waiting&status=queued&status=nonsense&service=02.97&network=VIETTEL&prefix=096"
    read = BoardFilter.from_query(QueryDict(address))
    assert read == BoardFilter(True, ("queued", "waiting"), "02.97", "VIETTEL", "96")
    assert read.active == 5
    assert BoardFilter.from_query(QueryDict("status=waiting&status=queued&status=queued")) == BoardFilter(
        statuses=("queued", "waiting")
    ), "order and repetition do not matter"


@pytest.mark.parametrize("address", ["", "mine=2", "status=nonsense", "prefix=abc", "network=%00", "service="])
def test_what_means_nothing_on_the_desk_is_no_filter(address: str) -> None:
    assert BoardFilter.from_query(QueryDict(address)) == BoardFilter()


def test_the_historys_filter_is_read_from_the_address() -> None:
    read = HistoryFilter.from_query(
        QueryDict("q=+G-1+&person=7&status=expired&token=3&since=2026-01-31&until=2026-02-01")
    )
    assert read == HistoryFilter(
        q="G-1", person="7", statuses=("expired",), token="3", since=date(2026, 1, 31), until=date(2026, 2, 1)
    )
    assert read.active == 6


@pytest.mark.parametrize(
    "address",
    ["", "person=x", f"token={'9' * 19}", "since=2026-02-30", "until=9999-12-31", "since=0001-01-01", "person=-1"],
)
def test_what_means_nothing_in_the_history_is_no_filter(address: str) -> None:
    assert HistoryFilter.from_query(QueryDict(address)) == HistoryFilter()


def test_both_days_of_the_history_are_included(team: Team, access: Access) -> None:
    today = timezone.localdate()
    rental = make_rental(team=team)
    day = timedelta(days=1)
    for since, until, fits in [(today, today, True), (today + day, None, False), (None, today - day, False)]:
        narrowed = HistoryFilter(since=since, until=until).apply(Rental.objects.all(), access)
        assert list(narrowed) == ([rental] if fits else [])


def test_a_rental_leaves_the_desk_half_an_hour_after_it_ended() -> None:
    assert left_the_board_at(make_rental(Status.WAITING)) is None
    ended = make_rental(Status.EXPIRED)
    assert ended.ended_at is not None
    assert left_the_board_at(ended) == ended.ended_at + ON_THE_BOARD


FILTERS = [
    BoardFilter(),
    BoardFilter(mine=True),
    BoardFilter(statuses=("waiting", "received")),
    BoardFilter(service="02.97"),
    BoardFilter(network="VIETTEL"),
    BoardFilter(prefix="96"),
    BoardFilter(mine=True, statuses=("queued",), network="MOBIFONE", prefix="90"),
]


@pytest.mark.parametrize("minutes", [0, 31])
@pytest.mark.parametrize("board", FILTERS, ids=str)
def test_one_rental_is_judged_as_all_of_them_are(team: Team, access: Access, board: BoardFilter, minutes: int) -> None:
    """The live stream asks `matches` of each changed rental; the page asks `apply`. They must not differ."""
    person, service = make_person(team), make_service(sv="02", upstream_id="97")
    for status in Status:
        make_rental(status, team=team, person_id=access.person_id, service=service)
        make_rental(status, team=team, person=person)
        make_rental(status, person=person, service=service)  # another team's
    Rental.objects.filter(status=Status.RECEIVED, person=person).update(phone="+84901234567", network="MOBIFONE")
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        shown = set(board.apply(Rental.objects.all(), access))
        assert shown == {rental for rental in Rental.objects.select_related("service") if board.matches(rental, access)}
        assert shown < set(Rental.objects.all())
