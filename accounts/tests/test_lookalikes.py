"""Names that look like another's are refused where they are chosen, and marked where there are some already."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts import audit, invitations
from accounts.forms import JoinForm
from accounts.lookalikes import resembled_in, resembling, skeleton
from accounts.memberships import NotDone
from accounts.models import AuditRecord, Membership, Role, Team, User
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ma", "mа"),  # Cyrillic а
        ("ma", "MA"),
        ("ma", " m a "),
        ("ma", "m\u200ba"),  # zero width space
        ("ma", "m\u00ada"),  # soft hyphen
        ("ma", "m.a_"),
        ("ma", "ｍａ"),  # full width
        ("ma", "rna"),
        ("linh", "Iinh"),
        ("linh", "l1nh"),
        ("boss", "bοss"),  # Greek ο
        ("boss", "b0ss"),
        ("Trần", "Tr\u0430\u0302\u0300n"),  # Cyrillic а with the marks
        ("Lan Anh", "lananh"),
        ("mai", "mai\u3164"),  # Hangul's filler
        ("mai", "ᴍᴀɪ"),
    ],
)
def test_what_looks_the_same_has_one_skeleton(name: str, other: str) -> None:
    assert name != other
    assert skeleton(name) == skeleton(other)


@pytest.mark.parametrize(
    ("name", "other"), [("Hà", "Hạ"), ("Hà", "Ha"), ("Đan", "Dan"), ("lan", "loan"), ("minh", "mình")]
)
def test_names_that_differ_to_the_eye_stay_two(name: str, other: str) -> None:
    assert skeleton(name) != skeleton(other)


@pytest.fixture
def ma(team: Team) -> User:
    return make_person(team, username="ma", first_name="Ma", last_name="Nguyễn")


def join(secret: str, **over: str) -> str:
    """Fill in the form behind an invitation; return the page."""
    password = {"password1": "nine tall trees", "password2": "nine tall trees"}
    sent = {"username": "new", "first_name": "", "email": "", **password, **over}
    client = Client(headers={"accept-language": "en"})
    return client.post(reverse("join", args=[secret]), sent, follow=True).content.decode()


@pytest.mark.parametrize("name", ["\u202eiaM", "Mai\u3164", "Mai\u200b", "Mai\x07", "Mai\nAn", "\u2066Mai"])
@pytest.mark.parametrize("field", ["username", "first_name"])
def test_a_name_with_invisible_characters_is_refused(team: Team, name: str, field: str) -> None:
    inviter = make_person(team, Role.MANAGER)
    _invitation, secret = invitations.invite(inviter, team, role=Role.OPERATOR)
    page = join(secret, **{"username": "new", field: name})
    assert "invisible characters" in page or ("valid username" in page and field == "username")
    assert not User.objects.filter(username="new").exists()
    assert not User.objects.filter(**{field: name}).exists()


REFUSED = "looks like that of a person in this team"


@pytest.mark.parametrize(
    "over", [{"username": "mа"}, {"first_name": "mа"}, {"first_name": "MA nguyễn"}, {"username": "Boss."}]
)
def test_nobody_joins_under_a_name_that_looks_like_anothers(
    ma: User, manager: User, team: Team, over: dict[str, str]
) -> None:
    _invitation, secret = invitations.invite(manager, team, role=Role.OPERATOR)
    before = Membership.objects.count()
    assert REFUSED in join(secret, **over)
    assert Membership.objects.count() == before
    assert REFUSED not in join(secret, username="quynh", first_name="Quỳnh")
    assert Membership.objects.count() == before + 1


@pytest.mark.parametrize("field", ["username", "first_name"])
def test_the_refusal_stands_at_the_name_that_is_meant(ma: User, team: Team, field: str) -> None:
    password = {"password1": "nine tall trees", "password2": "nine tall trees"}
    form = JoinForm({"username": "quynh", "first_name": "Quỳnh", **password, field: "mа"}, team=team)
    assert list(form.errors) == [field]


def test_nor_under_that_of_an_admin_who_is_in_no_team(manager: User, team: Team) -> None:
    make_person(username="root", is_staff=True)
    _invitation, secret = invitations.invite(manager, team, role=Role.OPERATOR)
    assert REFUSED in join(secret, first_name="Rооt")


def test_another_team_has_its_own_names(ma: User, manager: User) -> None:
    other = make_team("Other")
    assert resembled_in([other], "mа") is None


def test_an_account_of_another_team_does_not_join_beside_its_double(ma: User, manager: User, team: Team) -> None:
    double = make_person(make_team("Other"), username="mа")
    invitation, _secret = invitations.invite(manager, team, role=Role.OPERATOR)
    with pytest.raises(NotDone, match=REFUSED):
        invitations.accept(invitation, double)
    assert not Membership.objects.filter(user=double, team=team).exists()


def test_an_admin_gives_nobody_such_a_name(ma: User, manager: User, team: Team) -> None:
    client = Client(headers={"accept-language": "en"})
    client.force_login(make_person(username="root", is_staff=True, is_superuser=True))
    lan = make_person(team, username="lan", language="en")
    form = {"username": "lan", "first_name": "mа", "is_active": "on", "language": "en", "memberships-TOTAL_FORMS": 0,
            "memberships-INITIAL_FORMS": 0, "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # fmt: skip
    page = client.post(reverse("admin:accounts_user_change", args=[lan.pk]), form)
    assert REFUSED in page.content.decode()
    assert (
        client.post(reverse("admin:accounts_user_change", args=[lan.pk]), {**form, "first_name": "Lan"}).status_code
        == 302
    )


def test_doubles_of_before_are_marked_and_go_on(ma: User, manager: User, team: Team) -> None:
    double = make_person(team, username="mа")
    names = [(person.pk, person.username, person.get_full_name()) for person in (ma, manager, double)]
    assert resembling(names) == {ma.pk, double.pk}
    client = Client(headers={"accept-language": "en"})
    client.force_login(manager)
    page = client.get(reverse("team")).content.decode()
    assert page.count("name looks like another") == 2
    client.force_login(double)
    assert client.get("/").status_code == 200


# The user name stands beside the name wherever it says who


def test_a_person_is_named_with_the_user_name(ma: User) -> None:
    assert str(ma) == "Ma Nguyễn (ma)"
    assert str(User(username="lan")) == "lan"
    assert str(User(username="lan", first_name="lan")) == "lan"


def test_a_record_names_its_target_with_its_number(ma: User, manager: User, team: Team) -> None:
    assert audit.about(ma) == f"Ma Nguyễn (ma) #{ma.pk}"
    long = User(pk=7, username="u" * 150, first_name="n" * 150)
    assert audit.about(long).endswith(" #7")
    assert len(audit.about(long)) <= 120
    assert AuditRecord._meta.get_field("target").max_length == 120
