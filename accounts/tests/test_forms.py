"""The forms of managers and of the people they invite."""

import pytest
from allauth.mfa.models import Authenticator
from django import forms
from django.core.exceptions import ValidationError
from django.utils import translation

from accounts.forms import MAX_DONG, MAX_PRICE, BudgetsForm, DongField, JoinForm, TeamSettingsForm
from accounts.models import Membership, Team, User
from pages.forms import EntryForm, RentForm
from rentals.tests.factories import make_person

NEW = {"username": "hoa", "first_name": "Hoa", "password1": "nine tall trees", "password2": "nine tall trees"}


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("", None),
        ("0", 0),
        ("200000", 200_000),
        ("200.000", 200_000),
        ("200 000 ₫", 200_000),
        ("200,000đ", 200_000),
        ("1.500", 1500),
        ("1,500", 1500),
        ("1.234.567 đồng", 1_234_567),
        ("15000 VND", 15_000),
        ("１５００", 1500),
        ("12\u00a0000", 12_000),
        ("000", 0),
        (" 7 ", 7),
    ],
)
def test_an_amount_is_read_as_people_type_it(typed: str, amount: int | None) -> None:
    assert DongField().clean(typed) == amount


@pytest.mark.parametrize(
    "typed",
    [
        "1.5",
        "12,5",
        "12,50",
        "1.50",
        "0.5",
        "1.500,00",
        "1500.0",
        "1.0",
        "1.2345",
        "12.34.567",
        "1.500,000",
        "1,5 tr",
        "0.500",
        "1..500",
        "1. 500",
        "₫",
        "--1",
        "1.500.",
        ".500",
        "1k",
    ],
)
def test_what_is_no_whole_number_of_dong_is_refused_in_words(typed: str) -> None:
    with pytest.raises(ValidationError, match="is no amount in whole đồng"):
        DongField().clean(typed)


@pytest.mark.parametrize(
    ("language", "typed", "sentence"),
    [
        ("en", "-1", "The amount must be at least 0 ₫."),
        ("en", "2147483648", "The amount must be at most 2.147.483.647 ₫."),
        ("vi", "-1", "Số tiền ít nhất là 0 ₫."),
        ("vi", "2147483648", "Số tiền nhiều nhất là 2.147.483.647 ₫."),
    ],
)
def test_an_amount_out_of_bounds_names_the_bound_as_amounts_are_written(
    language: str, typed: str, sentence: str
) -> None:
    with translation.override(language):
        with pytest.raises(ValidationError) as refused:
            DongField(max_value=MAX_PRICE).clean(typed)
        assert refused.value.messages == [sentence]


def test_no_money_field_of_the_product_reads_a_fraction() -> None:
    fields = [
        (form, name)
        for form in (TeamSettingsForm, BudgetsForm, RentForm, EntryForm)
        for name, field in form.base_fields.items()
        if isinstance(field, forms.IntegerField)
    ]
    assert {name for _form, name in fields} >= {"budget_day", "budget_month", "max_price", "low_balance", "amount"}
    for form, name in fields:
        with pytest.raises(ValidationError):
            form.base_fields[name].clean("1.5")


@pytest.mark.parametrize("typed", ["much", "-1", str(MAX_DONG + 1), "1e9", "12 usd"])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    form = BudgetsForm({"budget_day": typed}, instance=Membership())
    assert "budget_day" in form.errors


def test_an_amount_is_shown_with_points() -> None:
    assert DongField().prepare_value(1_200_000) == "1.200.000"
    assert DongField().prepare_value("much") == "much"


@pytest.mark.django_db
def test_two_factor_is_required_of_a_team_only_by_a_person_who_has_it(team: Team, manager: User) -> None:
    fields = {"name": "Support", "requires_second_step": "on"}
    assert "requires_second_step" in TeamSettingsForm(fields, instance=team, by=manager).errors
    Authenticator.objects.create(user=manager, type=Authenticator.Type.TOTP, data={})
    assert TeamSettingsForm(fields, instance=Team.objects.get(), by=manager).is_valid()


@pytest.mark.django_db
def test_a_team_that_requires_two_factor_already_is_saved_by_a_person_without_it(team: Team, manager: User) -> None:
    Team.objects.update(requires_second_step=True)
    form = TeamSettingsForm({"name": "Sales", "requires_second_step": "on"}, instance=Team.objects.get(), by=manager)
    assert form.is_valid()


@pytest.mark.django_db
def test_a_new_person_can_sign_in_with_the_password_they_chose() -> None:
    person = JoinForm({**NEW, "email": "hoa@example.com"}).save()
    assert (person.username, person.first_name, person.email) == ("hoa", "Hoa", "hoa@example.com")
    assert person.check_password("nine tall trees")
    assert (person.is_staff, person.is_superuser) == (False, False)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("username", "BOSS", "This user name is taken. Choose another one."),
        ("email", "Boss@Example.com", "Sign in with that account, then open the link."),
        ("password2", "nine tall treez", "The two passwords differ. Type the same one twice."),
        ("password2", "", "This field is required."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field: str, value: str, error: str) -> None:
    make_person(username="boss", email="boss@example.com")
    form = JoinForm({**NEW, field: value})
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert error in str(form.errors[field])


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["short", "password1234", "hoa-hoa-hoa-hoa"])
def test_a_weak_password_is_refused(password: str) -> None:
    fields = {**NEW, "username": "hoa-hoa-hoa", "password1": password, "password2": password}
    assert not JoinForm(fields).is_valid()


@pytest.mark.django_db
def test_what_the_password_fields_say_is_ours() -> None:
    page = str(JoinForm())
    assert "At least 10 characters" in page
    assert "Password again" in page
    assert "as before, for verification" not in page
