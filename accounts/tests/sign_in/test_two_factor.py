"""Turning two-factor authentication off for a person who lost it."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.test import Client

from accounts.memberships import NotDone
from accounts.models import AuditRecord, Team, User
from accounts.policy import access_for, has_two_factor
from accounts.sign_in import two_factor
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db

TOTP, WEBAUTHN, CODES = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN, Authenticator.Type.RECOVERY_CODES


def test_all_methods_and_sessions_end_and_are_recorded(manager: User, linh: User, team: Team) -> None:
    Client().post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    for kind in (TOTP, WEBAUTHN, CODES):
        Authenticator.objects.create(user=linh, type=kind, data={})
    assert two_factor.turn_off(manager, access_for(manager), linh) == 3
    assert not has_two_factor(linh)
    assert not Authenticator.objects.exists()
    assert not UserSession.objects.exists()
    record = AuditRecord.objects.get(action="second_step_reset")
    assert (record.person, record.team, record.target) == (manager, team, f"linh #{linh.pk}")
    assert record.detail == {"kinds": "recovery_codes, totp, webauthn", "sessions": 1}


def test_a_person_without_two_factor_keeps_their_sessions(manager: User, linh: User) -> None:
    Client().post("/accounts/login/", {"login": "linh", "password": "secret-enough"})
    assert two_factor.turn_off(manager, access_for(manager), linh) == 0
    assert UserSession.objects.count() == 1
    assert not AuditRecord.objects.filter(action="second_step_reset").exists()


def test_it_is_refused_for_a_person_of_another_team_and_for_oneself(manager: User) -> None:
    for person in (manager, make_person(make_team("Sales"), username="lan")):
        Authenticator.objects.create(user=person, type=TOTP, data={})
        with pytest.raises(NotDone):
            two_factor.turn_off(manager, access_for(manager), person)
    assert Authenticator.objects.count() == 2


def test_recovery_codes_alone_are_no_two_factor(linh: User) -> None:
    Authenticator.objects.create(user=linh, type=CODES, data={})
    assert not has_two_factor(linh)
    Authenticator.objects.create(user=linh, type=WEBAUTHN, data={})
    assert has_two_factor(linh)
