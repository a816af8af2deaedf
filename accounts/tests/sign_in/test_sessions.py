"""Sessions that are over are deleted, with what the list of signed-in browsers has of them."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import Team
from accounts.sign_in import sessions
from accounts.tests.test_audit_signals import sign_in
from rentals.tests.factories import make_person

pytestmark = pytest.mark.django_db


def test_expired_sessions_are_deleted_with_their_browsers_and_live_ones_stay(team: Team) -> None:
    make_person(team, username="linh")
    clients = [Client() for _ in range(4)]
    for client in clients:
        assert sign_in(client) == "/"
    over = [client.session.session_key for client in clients[:3]]
    past = timezone.now() - timedelta(days=30)
    Session.objects.filter(pk__in=over).update(expire_date=past)
    UserSession.objects.filter(session_key__in=over).update(last_seen_at=past)
    assert sessions.delete_expired(batch=2) == 3
    alive = clients[3].session.session_key
    assert list(Session.objects.values_list("pk", flat=True)) == [alive]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [alive]


def test_a_browser_signed_in_long_ago_whose_session_lives_stays_in_the_list(team: Team) -> None:
    make_person(team, username="linh")
    sign_in(Client())
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(days=30))
    assert sessions.delete_expired() == 0
    assert UserSession.objects.count() == 1
