"""What the history's search box finds, and that no person finds what they may not read."""

import unicodedata
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Role, Team, User
from accounts.policy import access_for
from rentals.models import Message, MessageSource, Rental, Status
from rentals.models.plain_text import postgresql_expression
from rentals.queries import search
from rentals.tests.factories import make_person, make_rental, make_service, make_team
from thuesim.folding import without_accents

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def rental(team: Team) -> Rental:
    """A number at which a code has arrived, rented by an operator of the team."""
    service = make_service(name="Dịch vụ Đỏ")
    rental = make_rental(
        Status.RECEIVED,
        team=team,
        person=make_person(team),
        service=service,
        phone="+84852222127",
        purpose="Kiểm thử",
    )
    make_message(rental, "ma xac nhan", code="G-195829")
    return rental


def make_message(rental: Rental, text: str, code: str = "") -> None:
    Message.objects.create(
        rental=rental, at=timezone.now(), code=code, text=text, source=MessageSource.POLL, fingerprint="1"
    )


def hits(text: str, person: User) -> list[int]:
    access = access_for(person)
    rentals = Rental.objects.visible_to(access).filter(search.matching(text, access))
    return list(rentals.values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("0852 222 127", "+84852222127"),
        ("+84852222127", "+84852222127"),
        ("85222212", ""),
        ("G-195829", ""),
        ("", ""),
    ],
)
def test_a_whole_number_is_known_from_a_part_of_one(typed: str, number: str) -> None:
    assert search.mobile_number(typed) == number


@pytest.mark.parametrize("typed", ["0852222127", "222 127", "84852222", "dich vu", "kiểm", "g-195829", "XAC NHAN"])
def test_a_number_a_service_a_purpose_a_code_and_a_text_are_found(rental: Rental, team: Team, typed: str) -> None:
    make_rental(Status.WAITING, team=team, phone="+84961234567")
    assert rental.person is not None
    assert hits(typed, rental.person) == [rental.pk]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("FB-31902", True),
        ("fb31902", True),
        ("FB31902", True),
        ("fb 31902", True),
        (" Fb31902 ", True),
        ("31902", True),
        ("fb3190", False),
        ("g31902", False),
    ],
)
def test_a_code_is_found_with_its_senders_letters_however_they_are_joined(
    rental: Rental, typed: str, found: bool
) -> None:
    assert rental.person is not None
    rental.messages.update(code="FB-31902", text="ma cua ban")
    assert hits(typed, rental.person) == ([rental.pk] if found else [])


@pytest.mark.parametrize("typed", ["g-195829", "xac nhan"])
def test_what_a_person_may_not_read_is_not_found(rental: Rental, team: Team, typed: str) -> None:
    assert hits(typed, make_person(team, Role.VIEWER)) == []
    assert hits(typed, make_person(team, Role.OPERATOR)) == []
    assert hits(typed, make_person(team, Role.MANAGER)) == [rental.pk]
    assert hits(typed, make_person(make_team(), Role.MANAGER)) == []


def test_a_text_below_three_characters_is_a_whole_purpose_and_no_message(rental: Rental, team: Team) -> None:
    manager = make_person(team, Role.MANAGER)
    assert hits("ma", manager) == []
    Rental.objects.filter(pk=rental.pk).update(purpose="MA")
    assert hits("ma", manager) == [rental.pk]


@pytest.mark.parametrize("typed", ["xac nhan", "kiểm", "dich vu"])
@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({"FEW_OF_NEWEST": 1}, id="the newest fit"),
        pytest.param({}, id="the newest do not fit"),
        pytest.param({"MAX_OF_OLD": 0}, id="very many old ones"),
    ],
)
def test_more_hits_than_are_looked_up_change_nothing(
    rental: Rental, team: Team, typed: str, limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = make_person(team, Role.MANAGER)
    make_message(make_rental(Status.RECEIVED), "ma xac nhan")  # of another team
    for name, limit in {"MAX_LOOKED_UP": 0, **limits}.items():
        monkeypatch.setattr(search, name, limit)
    assert hits(typed, manager) == [rental.pk]
    assert hits(typed, make_person(team, Role.VIEWER)) == ([] if typed == "xac nhan" else [rental.pk])


@pytest.mark.parametrize(("newest", "is_near_the_hits"), [("ma xac nhan", False), ("ma khac", True)])
def test_many_messages_are_walked_to_only_where_the_newest_ones_fit(
    rental: Rental, team: Team, newest: str, is_near_the_hits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_LOOKED_UP", 0)
    monkeypatch.setattr(search, "NEWEST", 1)
    monkeypatch.setattr(search, "FEW_OF_NEWEST", 1)
    later = make_rental(Status.RECEIVED, team=team, queued_at=rental.queued_at + timedelta(minutes=1))
    make_message(later, newest)
    access = access_for(make_person(team, Role.MANAGER))

    rentals = Rental.objects.visible_to(access).filter(search.matching("xac nhan", access))

    assert ("BETWEEN" in str(rentals.query)) == is_near_the_hits
    assert len(rentals) == (1 if is_near_the_hits else 2)


def test_rentals_that_have_no_message_are_not_asked_for_many(
    rental: Rental, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_LOOKED_UP", 0)
    monkeypatch.setattr(search, "FEW_OF_NEWEST", 1)
    access = access_for(make_person(team, Role.MANAGER))
    refused = make_rental(Status.REFUSED, team=team, purpose="xac nhan lai")
    matching = search.matching("xac nhan", access)

    assert '"rentals_rental"."status" = received' in str(Rental.objects.filter(matching).query)
    assert list(Rental.objects.filter(matching, status=Status.REFUSED)) == [refused]


def test_a_condition_costs_one_query_on_postgresql_and_three_on_sqlite(
    team: Team, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    access = access_for(make_person(team, Role.MANAGER))
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 3):
        search.matching("xac nhan", access)
    with django_assert_num_queries(0):
        search.matching("0852222127", access)


@pytest.mark.parametrize(
    ("kept", "typed"),
    [
        ("072464", ["072464", "072-464", "072 464", "07 24 64", "0 7 2 4 6 4"]),
        ("072-464", ["072464", "072-464", "072 464"]),
        ("12 34 56", ["123456", "12-34-56", "123 456"]),
        ("G-195829", ["195829", "G-195829", "195-829"]),
        ("195829", ["G-195829", "195 829"]),
        ("Qm3RDi", ["qm3rdi"]),
    ],
)
def test_a_code_is_found_in_any_form(rental: Rental, kept: str, typed: list[str]) -> None:
    rental.messages.update(code=kept)
    assert rental.person is not None
    for text in typed:
        assert hits(text, rental.person) == [rental.pk], text
    assert hits("072465", rental.person) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has tables of trigrams instead")
@pytest.mark.parametrize(
    ("model", "column", "index"),
    [(Message, "text", "message_text_folded"), (Rental, "purpose", "rental_purpose_folded")],
)
def test_an_index_serves_words_at_scale(model: type[Message] | type[Rental], column: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = model.objects.filter(**{f"{column}__plain__contains": "xac nhan"}).order_by().explain()
    assert index in plan


@pytest.mark.parametrize(
    "text",
    ["KHONG chia se: 12_%", "Đừng chia sẻ", "ĐỪNG CHIA SẺ", unicodedata.normalize("NFD", "MÃ Xác thực"), "", None],
)
def test_the_database_folds_texts_as_we_do(text: str | None) -> None:
    with connection.cursor() as cursor:
        sql = postgresql_expression("%s::text") if connection.vendor == "postgresql" else "DESK_PLAIN(%s)"
        cursor.execute(f"SELECT {sql}", [text] * sql.count("%s"))
        folded = cursor.fetchone()[0]
    assert folded == (None if text is None else without_accents(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [("0852222127", True), ("+84 852 222 127", True), ("2127", True), ("085 222", True), ("2129", False)],
)
def test_rentals_are_found_by_a_number_or_a_part_of_it_without_reading_all(text: str, found: bool) -> None:
    rental = make_rental(Status.WAITING, phone="+84852222127")
    make_rental(Status.WAITING, phone="+84961111111")
    rentals = search.with_number(Rental.objects.all(), text)
    assert rentals is not None
    assert [*rentals] == ([rental] if found else [])
    looks_up = "_words" in str(rentals.query) or 'phone" =' in str(rentals.query)
    assert looks_up == (connection.vendor == "sqlite" or len(text) > 9)


@pytest.mark.parametrize("text", ["", "12", "Zalo 12"])
def test_what_is_no_number_finds_none(text: str) -> None:
    assert search.with_number(Rental.objects.all(), text) is None
