import pytest
from django.db import connection

from accounts import audit
from rentals import exported_codes
from rentals.models import ExportedCode, Rental
from rentals.tests.factories import make_rental, make_team

pytestmark = pytest.mark.django_db
FIRST = 63 * 10_000 + 5


@pytest.fixture
def rentals() -> dict[int, Rental]:
    """By how far their keys lie from the first."""
    team = make_team()
    return {n: make_rental(team=team, id=FIRST + n) for n in (0, 1, 2, 57, 58, 61, 62, 63, 64, 125, 126, 300)}


def holding(rental: Rental) -> list[int]:
    return sorted(exported_codes.records_with(Rental.objects.filter(pk=rental.pk)))


@pytest.mark.parametrize("numbers", [[0], [62], [0, 2, 62], [1, 57, 58, 61, 63, 125], [300, 0, 64], [126, 62, 63]])
def test_each_code_that_was_noted_is_found_and_no_other(rentals: dict[int, Rental], numbers: list[int]) -> None:
    exported_codes.note(7, [rentals[n].pk for n in numbers])
    assert [n for n, rental in rentals.items() if holding(rental) == [7]] == sorted(numbers)
    assert not any(holding(rental) for n, rental in rentals.items() if n not in numbers)
    some = Rental.objects.filter(pk__in=[rentals[n].pk for n in numbers])
    others = Rental.objects.exclude(pk__in=some.values("pk"))
    assert [exported_codes.records_with(each) for each in (some, others, Rental.objects.none())] == [[7], [], []]


def test_of_many_rentals_those_near_an_export_are_asked_for(rentals: dict[int, Rental]) -> None:
    assert not exported_codes.near_exported(Rental.objects.all()).exists()
    exported_codes.note(7, [rentals[n].pk for n in (57, 61, 63, 125)])
    near = exported_codes.near_exported(Rental.objects.all())
    assert {rentals[n].pk for n in (57, 61, 63, 125)} <= set(near.values_list("pk", flat=True))
    assert not {rentals[0], rentals[300]} & set(near)


def test_codes_whose_keys_lie_close_together_share_a_row(rentals: dict[int, Rental]) -> None:
    exported_codes.note(7, [rental.pk for n, rental in rentals.items() if n < 58])
    exported_codes.note(7, [])
    assert ExportedCode.objects.count() == 1


def test_what_is_noted_again_adds_to_what_was_noted(rentals: dict[int, Rental]) -> None:
    for numbers in ([0, 2], [0, 1], [0, 1]):
        exported_codes.note(7, [rentals[n].pk for n in numbers])
    exported_codes.note(8, [rentals[1].pk])
    assert [holding(rentals[n]) for n in (0, 1, 2, 57)] == [[7], [7, 8], [7], []]
    assert ExportedCode.objects.count() == 2


def test_a_row_of_the_version_before_is_about_one_rental(rentals: dict[int, Rental]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rentals_exportedcode (record_id, rental_id) VALUES (7, %s) ON CONFLICT DO NOTHING",
            [rentals[1].pk],
        )
    assert [holding(rentals[n]) for n in (0, 1, 2)] == [[], [7], []]


def test_an_order_that_takes_the_place_of_an_import_takes_over_its_exports(rentals: dict[int, Rental]) -> None:
    team = rentals[0].team
    first, second, other = (audit.record("export", team=team).pk for _ in range(3))
    imported, neighbour, order = rentals[0], rentals[2], rentals[300]
    exported_codes.note(first, [imported.pk, neighbour.pk])
    exported_codes.note(second, [imported.pk])
    exported_codes.note(other, [neighbour.pk])
    exported_codes.take_over(imported, order)
    imported.delete()
    assert holding(order) == [first, second]
    assert holding(neighbour) == [first, other]
