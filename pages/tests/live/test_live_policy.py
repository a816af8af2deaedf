"""The live stream against the policy, through its socket: every role × own and other team × whose rental × what the team
settled, and that a stream ends the moment its person may no longer look."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, Team, User
from lib import announce
from pages.tests.live.conftest import Screens, Stream
from rentals.models import Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_team, make_token, signed_in_by_form

ROLES = ("visitor", "viewer", "operator", "manager", "admin")
SETTINGS: dict[str, dict[str, object]] = {
    "as it is": {},
    "shared": {"shares_codes": True},
    "faded": {"codes_fade_minutes": 5},
    "shared and faded": {"shares_codes": True, "codes_fade_minutes": 5},
}
WHOSE = ("own", "colleague's", "other team's", "own, in the other team")
# What comes about a rental of the own team: `code`, or the card with a `mask`. Nothing ever comes of another team.
POLICY = """
viewer    own          mask  mask  mask  mask
viewer    colleague's  mask  mask  mask  mask
operator  own          code  code  code  code
operator  colleague's  mask  code  mask  mask
manager   own          code  code  code  code
manager   colleague's  code  code  mask  mask
admin     own          code  code  code  code
admin     colleague's  code  code  mask  mask
"""
CAME = timedelta(minutes=6)  # before now: faded where codes fade


def expected(role: str, whose: str, setting: str) -> str:
    for line in POLICY.strip().splitlines():
        who, what, *cells = re.split(r"  +", line)
        if (who, what) == (role, whose):
            return cells[list(SETTINGS).index(setting)]
    return "nothing"


@pytest.fixture
def team(transactional_db: None) -> Team:
    return make_team("Ours")


@pytest.fixture
def people(team: Team) -> dict[str, User]:
    people = {role: make_person(team, Role(role), username=role) for role in ROLES[1:4]}
    people["admin"] = make_person(username="admin", is_staff=True, team=team)
    return people


def received(team: Team, person: User, code: str) -> Rental:
    at = timezone.now() - CAME
    over = {"team": team, "person": person, "token": make_token(team), "received_at": at}
    rental = make_rental(Status.RECEIVED, **over)
    text = f"Ma cua ban la {code}"
    Message.objects.create(rental=rental, at=at, code=code, text=text, source="poll", fingerprint=code)
    return rental


def told(stream: Stream, rentals: dict[str, tuple[Rental, str]]) -> dict[str, str]:
    """What the stream says about each rental before the mark `end`."""
    sent: list[str] = []
    while (event := stream.next())[0] not in {"end", ""}:
        sent.append(" ".join(event))
    whole = "\n".join(sent)

    def about(rental: Rental, code: str) -> str:
        if code in whole:
            return "code"
        return "mask" if re.search(rf'\brental-{rental.pk}\b|data-rental-id="{rental.pk}"', whole) else "nothing"

    return {whose: about(*pair) for whose, pair in rentals.items()}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_stream_says_what_the_policy_says(
    screens: Screens, team: Team, people: dict[str, User], setting: str, record_property: Callable[[str, object], None]
) -> None:
    other = make_team("Theirs")
    Team.objects.update(**SETTINGS[setting])
    colleague, stranger = make_person(team), make_person(other)
    shared = {
        "colleague's": (received(team, colleague, "700001"), "700001"),
        "other team's": (received(other, stranger, "700002"), "700002"),
    }
    streams, rentals = {}, {}
    for number, (role, person) in enumerate(people.items()):
        streams[role] = screens.watch(signed_in_by_form(person))
        rentals[role] = {
            **shared,
            "own": (received(team, person, f"71000{number}"), f"71000{number}"),
            "own, in the other team": (received(other, person, f"72000{number}"), f"72000{number}"),
        }
    theirs = screens.watch(signed_in_by_form(stranger))
    for rental in {pair[0].pk: pair[0] for pairs in rentals.values() for pair in pairs.values()}.values():
        rental.announce()
    for each in (team, other):
        announce.team(each.pk, "end")
    checked = 0
    for role, stream in streams.items():
        found = told(stream, rentals[role])
        assert found == {whose: expected(role, whose, setting) for whose in found}, role
        checked += len(found)
    assert told(theirs, {"colleague's": shared["colleague's"]}) == {"colleague's": "nothing"}
    visitor = screens.open(None)
    assert told(visitor, shared) == dict.fromkeys(shared, "nothing")
    assert visitor.ended
    assert checked == len(people) * len(WHOSE)
    record_property("combinations", checked + 1 + len(shared))


def ended(stream: Stream) -> None:
    """The stream says why it ends, ends, and said nothing else."""
    assert stream.next() == ("session-expired", "")
    assert stream.next() == ("", "")


# What ends a person's streams at once, with no event of their team meanwhile.
ENDS: dict[str, Callable[[Client, Client, User], Any]] = {
    "deactivated by a manager": lambda manager, own, person: manager.post(
        reverse("person_deactivate", args=[person.pk])
    ),
    "signed out by a manager": lambda manager, own, person: manager.post(reverse("person_sign_out", args=[person.pk])),
    "signed out": lambda manager, own, person: own.post(reverse("account_logout")),
    "signed out on the page of sessions": lambda manager, own, person: signed_in_by_form(person).post(
        reverse("usersessions_list")
    ),
    "password changed elsewhere": lambda manager, own, person: signed_in_by_form(person).post(
        reverse("account_change_password"),
        {"oldpassword": "secret-enough", "password1": "nine tall trees", "password2": "nine tall trees"},
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_stream_ends_at_once_when_its_person_is(
    screens: Screens, team: Team, people: dict[str, User], how: str
) -> None:
    manager, own = signed_in_by_form(people["manager"]), signed_in_by_form(people["operator"])
    stream, another = screens.watch(own), screens.watch(signed_in_by_form(people["viewer"]))
    ENDS[how](manager, own, people["operator"])
    ended(stream)
    announce.team(team.pk, "end")
    assert another.next() == ("end", "")


def test_who_is_taken_out_of_the_team_sees_nothing_more_of_it(
    screens: Screens, team: Team, people: dict[str, User]
) -> None:
    stream = screens.watch(signed_in_by_form(people["operator"]))
    signed_in_by_form(people["manager"]).post(reverse("person_remove", args=[people["operator"].pk]))
    assert stream.next()[0] == "refresh"
    received(team, people["manager"], "700001").announce()
    announce.person(people["operator"].pk)
    with pytest.raises(TimeoutError):
        stream.next(1)


def test_who_becomes_a_viewer_reads_no_code_from_then_on(screens: Screens, team: Team, people: dict[str, User]) -> None:
    stream = screens.watch(signed_in_by_form(people["operator"]))
    rental = received(team, people["operator"], "700001")
    signed_in_by_form(people["manager"]).post(reverse("person_role", args=[people["operator"].pk]), {"role": "viewer"})
    assert stream.next()[0] == "refresh"
    rental.announce()
    announce.team(team.pk, "end")
    assert told(stream, {"own": (rental, "700001")}) == {"own": "mask"}


def test_a_stream_ends_at_once_when_its_person_switches_to_another_team(
    screens: Screens, team: Team, people: dict[str, User]
) -> None:
    person = people["operator"]
    other = make_team("Sales")
    person.memberships.create(team=other, role=Role.OPERATOR)
    browser = signed_in_by_form(person)
    stream = screens.watch(browser, f"?page_team={team.pk}")
    browser.post(reverse("team_switch"), {"team": other.pk})
    received(other, person, "700002").announce()
    assert stream.next() == ("team-switched", "")
    assert stream.next() == ("", "")
    opened_late = screens.open(browser, f"?page_team={team.pk}")
    assert opened_late.next() == ("team-switched", "")
    assert screens.watch(browser, f"?page_team={other.pk}")
