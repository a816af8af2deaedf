"""The hub, through a real server and a real Redis."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.translation import get_language

from accounts.models import Membership, Role, Team, User
from lib import announce
from lib.announce import CHANNEL
from pages.live import hub
from pages.live.screens import MAX_QUEUED, Screen, StreamRequest, open_screens, read
from pages.tests.live.conftest import Browser, Screens, SignIn, Stream
from rentals.models import Rental, Status
from thuesim_site.serving import connections
from thuesim_site.testing import RedisServer, wait_until


def test_a_change_reaches_the_screens_of_its_team(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    first, second = screens.watch(sign_in(team)), screens.watch(sign_in(team))
    rental = make_rental(team)
    rental.announce()
    for stream in (first, second):
        event, html = stream.next()
        assert event == "rental"
        assert f'id="rental-{rental.pk}"' in html


def test_a_change_reaches_nobody_of_another_team(
    screens: Screens, team: Team, other_team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    stranger = screens.watch(sign_in(other_team))
    make_rental(team, code="529310").announce()
    own = make_rental(other_team)
    own.announce()
    event, html = stranger.next()
    assert event == "rental"
    assert f'id="rental-{own.pk}"' in html
    assert "529310" not in html


def test_a_message_that_names_the_wrong_team_shows_nothing(
    screens: Screens, team: Team, other_team: Team, sign_in: SignIn, make_rental: Any, real_redis: RedisServer
) -> None:
    stranger = screens.watch(sign_in(other_team))
    rental = make_rental(team, code="529310")
    client = redis.Redis.from_url(real_redis.url)
    client.publish(CHANNEL, json.dumps({"rental": rental.pk, "team": other_team.pk}))
    own = make_rental(other_team)
    own.announce()
    assert f'id="rental-{own.pk}"' in stranger.next()[1]


@pytest.mark.parametrize("unreadable", ["{", "7", '{"rental": 7}', '{"event": "tokens"}'])
def test_a_message_that_is_not_understood_refreshes_the_screens_and_the_next_one_is_heard(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, real_redis: RedisServer, unreadable: str
) -> None:
    stream = screens.watch(sign_in(team))
    redis.Redis.from_url(real_redis.url).publish(CHANNEL, unreadable)
    assert stream.next()[0] == "refresh"
    rental = make_rental(team)
    rental.announce()
    assert f'id="rental-{rental.pk}"' in stream.next()[1]


def test_each_person_reads_what_the_policy_lets_them_read(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    owner, colleague = sign_in(team), sign_in(team)
    manager, viewer = sign_in(team, Role.MANAGER), sign_in(team, Role.VIEWER)
    streams = [screens.watch(client) for client in (owner, colleague, manager, viewer)]
    make_rental(team, code="529310", person=owner.person, status=Status.RECEIVED).announce()
    assert ["529310" in stream.next()[1] for stream in streams] == [True, False, True, False]


def test_a_team_that_begins_to_share_its_codes_shares_the_next_one(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    owner, colleague = sign_in(team), sign_in(team)
    stream = screens.watch(colleague)
    Team.objects.filter(pk=team.pk).update(shares_codes=True)
    make_rental(team, person=owner.person).announce()
    assert stream.next()[0] == "refresh"
    make_rental(team, code="529310", person=owner.person).announce()
    assert "529310" in stream.skip_to("rental")


def test_a_rental_outside_the_filter_is_only_named_as_gone(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    me = sign_in(team, Role.MANAGER)
    stream = screens.watch(me, "?mine=1")
    other = make_rental(team, code="529310")
    mine = make_rental(team, person=me.person)
    other.announce()
    mine.announce()
    assert stream.next() == ("gone", str(other.pk))
    assert f'id="rental-{mine.pk}"' in stream.next()[1]


def test_each_screen_reads_times_in_its_own_zone(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    at = datetime(2026, 3, 10, 20, 30, tzinfo=UTC)
    people = [sign_in(team, Role.MANAGER), sign_in(team, Role.MANAGER, time_zone="Europe/Berlin")]
    streams = [screens.watch(person) for person in people]
    rental = make_rental(team)
    Rental.objects.filter(pk=rental.pk).update(queued_at=at)
    rental.announce()
    assert ["11/03/2026 03:30:00" in stream.skip_to("rental") for stream in streams] == [True, False]
    User.objects.filter(pk=people[0].person.pk).update(time_zone="Europe/Berlin")
    rental.announce()
    streams[0].skip_to("refresh")
    rental.announce()
    assert "10/03/2026 21:30:00" in streams[0].skip_to("rental")


def test_each_screen_speaks_its_language(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.live.screens.render_card", lambda *args, **kwargs: get_language())
    english, browser = sign_in(team), sign_in(team)
    User.objects.filter(pk=browser.person.pk).update(language="")
    streams = [
        screens.watch(english),
        screens.watch(browser, Accept_Language="vi"),
        screens.watch(browser, Accept_Language="en"),
    ]
    make_rental(team).announce()
    assert [stream.next() for stream in streams] == [("rental", "en"), ("rental", "vi"), ("rental", "en")]


def test_a_screen_speaks_what_its_page_speaks(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.live.screens.render_card", lambda *args, **kwargs: get_language())
    browser = sign_in(team)
    User.objects.filter(pk=browser.person.pk).update(language="")
    page = screens.watch(browser, "?status=waiting&lang=vi", Accept_Language="en")
    other = screens.watch(browser, "?lang=xx", Accept_Language="en")
    make_rental(team).announce()
    assert (page.skip_to("rental"), other.skip_to("rental")) == ("vi", "en")


def test_hostile_text_cannot_forge_an_event(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a\r\revent: session-expired\n\ndata: b\u2028c"
    monkeypatch.setattr("pages.live.screens.render_card", lambda *args, **kwargs: text)
    stream = screens.watch(sign_in(team))
    make_rental(team).announce()
    assert stream.next() == ("rental", "a\n\nevent: session-expired\n\ndata: b\u2028c")


def test_what_a_team_event_says_goes_to_that_team_alone(
    screens: Screens, team: Team, other_team: Team, sign_in: SignIn
) -> None:
    own, stranger = screens.watch(sign_in(team)), screens.watch(sign_in(other_team))
    announce.team(team.pk, "tokens")
    announce.team(other_team.pk, "balances")
    assert own.next() == ("tokens", "")
    assert stranger.next() == ("balances", "")


def test_who_is_not_signed_in_is_told_so_and_let_go(screens: Screens) -> None:
    stream = screens.open(None)
    assert stream.status == 200
    assert stream.next() == ("session-expired", "")
    assert stream.next() == ("", "")


def test_the_stream_is_not_to_be_kept_or_held_back(screens: Screens, team: Team, sign_in: SignIn) -> None:
    headers = screens.watch(sign_in(team)).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, private, no-transform"
    assert headers["x-accel-buffering"] == "no"


def _sign_out(client: Browser) -> None:
    client.logout()


def _deactivate(client: Browser) -> None:
    User.objects.filter(pk=client.person.pk).update(is_active=False)


def _change_password(client: Browser) -> None:
    person = client.person
    person.set_password("another one")
    person.save(update_fields=["password"])


def _expire(client: Browser) -> None:
    Session.objects.update(expire_date="2020-01-01T00:00Z")


@pytest.mark.parametrize("leave", [_sign_out, _deactivate, _change_password, _expire])
def test_who_may_no_longer_look_gets_not_one_event_more(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, leave: Any
) -> None:
    client = sign_in(team)
    stream = screens.watch(client)
    leave(client)
    make_rental(team, code="529310", person=client.person).announce()
    assert stream.next() == ("session-expired", "")
    assert stream.next() == ("", "")


def test_a_silent_stream_ends_by_itself_after_a_sign_out(
    screens: Screens, team: Team, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.live.hub.CHECK_SECONDS", 0.05)
    client = sign_in(team)
    stream = screens.watch(client)
    client.logout()
    assert stream.next() == ("session-expired", "")


def test_a_person_whose_rights_changed_is_checked_at_once(screens: Screens, team: Team, sign_in: SignIn) -> None:
    client = sign_in(team)
    stream = screens.watch(client)
    Membership.objects.all().delete()
    announce.person(client.person.pk)
    assert stream.next() == ("refresh", "")


def test_who_moves_to_another_team_sees_that_one(
    screens: Screens, team: Team, other_team: Team, sign_in: SignIn, make_rental: Any
) -> None:
    client = sign_in(team)
    stream = screens.watch(client)
    Membership.objects.create(user=client.person, team=other_team, role=Role.OPERATOR)
    User.objects.filter(pk=client.person.pk).update(team=other_team)
    make_rental(team, code="529310").announce()
    assert stream.next() == ("refresh", "")
    own = make_rental(other_team)
    own.announce()
    assert f'id="rental-{own.pk}"' in stream.next()[1]


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("POST /live/", "Host: localhost", 405),
        ("HEAD /live/", "Host: localhost", 405),
        ("GET /live/", "Host: evil.example", 400),
        ("GET /live/", "Host: localhost\r\nOrigin: https://evil.example", 403),
        ("GET /live/", "Host: localhost\r\nSec-Fetch-Site: cross-site", 403),
        ("GET /live/", "Host: localhost\r\nOrigin: http://localhost\r\nSec-Fetch-Site: same-origin", 200),
    ],
)
def test_only_our_own_pages_may_open_it(screens: Screens, request_line: str, headers: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", screens.port), timeout=60) as browser:
        browser.sendall(f"{request_line} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        assert int(browser.recv(4096).split()[1]) == status


def test_a_burst_is_read_in_few_queries_and_sent_whole(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def counted(ids: Any) -> Any:
        with CaptureQueriesContext(connection) as queries:
            found = read(ids)
        reads.append(len(queries))
        return found

    monkeypatch.setattr("pages.live.hub.read", counted)
    streams = [screens.watch(sign_in(team)) for _ in range(3)]
    rentals = [make_rental(team) for _ in range(120)]
    for rental in rentals:
        rental.announce()
        rental.announce()
    for stream in streams:
        missing = {str(rental.pk) for rental in rentals}
        while missing:
            missing.discard(stream.skip_to("rental").split('id="rental-')[1].split('"')[0])
    assert max(reads) <= 3
    assert len(reads) < len(rentals)


def test_a_reader_that_does_not_read_is_cut_off(team: Team, sign_in: SignIn) -> None:
    [screen] = open_screens(
        [StreamRequest.read(RequestFactory().get("/live/"), sign_in(team).cookies["sessionid"].value)]
    )
    assert screen is not None
    for _ in range(MAX_QUEUED):
        screen.offer(b"x")
    assert not screen.ended
    screen.offer(b"x")
    assert screen.ended


def test_redis_that_restarts_makes_every_screen_read_again(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, real_redis: RedisServer
) -> None:
    stream = screens.watch(sign_in(team))
    real_redis.stop()
    assert stream.next() == ("waiting", "")
    make_rental(team).announce()  # is lost, and harms no other event
    real_redis.start()
    assert stream.next() == ("refresh", "")
    rental = make_rental(team)
    wait_until(lambda: _announced(stream, rental), "the change comes through")


def test_a_screen_that_opens_while_redis_is_away_knows_that_it_waits(
    screens: Screens, team: Team, sign_in: SignIn, real_redis: RedisServer
) -> None:
    real_redis.stop()
    stream = screens.open(sign_in(team))
    assert stream.next() == ("hello", "waiting")
    real_redis.start()
    assert stream.next() == ("refresh", "")


def test_a_card_that_cannot_be_drawn_leaves_the_stream_alive(
    screens: Screens, team: Team, sign_in: SignIn, make_rental: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = screens.watch(sign_in(team))
    with monkeypatch.context() as patch:
        patch.setattr("pages.live.screens.render_card", lambda *args, **kwargs: 1 / 0)
        make_rental(team).announce()
        assert stream.next() == ("refresh", "")
    make_rental(team).announce()
    assert stream.next()[0] == "rental"


def _open_database_files() -> int:
    """Open SQLite files, or connections that PostgreSQL counts for this database beside the asking one."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
            )
            return int(cursor.fetchone()[0]) - 1
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return sum(link.is_symlink() and os.readlink(link) == str(connection.settings_dict["NAME"]) for link in links)


def test_open_streams_hold_no_thread_and_no_database_connection(screens: Screens, team: Team, sign_in: SignIn) -> None:
    client = sign_in(team)
    before = threading.active_count()
    for _ in range(30):
        screens.watch(client)
    assert threading.active_count() <= before + 3  # the hub's own, however many streams there are
    connection.close()
    wait_until(lambda: _open_database_files() == 0, "the connections of the greeting are closed")


def test_streams_end_in_order_when_the_process_is_told_to_stop(screens: Screens, team: Team, sign_in: SignIn) -> None:
    stream = screens.watch(sign_in(team))
    screens.hub.stop()
    assert stream.next() == ("", "")
    assert stream.ended


SERVER = """
import sys, django, uvicorn
django.setup()
from accounts.policy import Access
from rentals.queries.filters import BoardFilter
from pages.live import hub, screens
viewer = screens.Viewer("key", Access(1, False, None, None), "en", 0)
hub.warm_up = lambda: None  # there is no database
hub.open_screens = lambda wanted: [screens.Screen(viewer, BoardFilter(), "en") for _ in wanted]
uvicorn.run(hub.Hub(sys.argv[1]), fd=int(sys.argv[2]), lifespan="off", log_level="error", timeout_graceful_shutdown=30)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_with_open_streams_stops_at_once(real_redis: RedisServer, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, descriptor = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, "-c", SERVER, real_redis.url, str(descriptor)]
        with subprocess.Popen(command, pass_fds=[descriptor], stderr=subprocess.PIPE) as process, ExitStack() as ends:
            ends.callback(process.kill)  # where a check fails, too: its end is waited for
            streams = [Stream(port) for _ in range(20)]
            assert all(stream.next() == ("hello", "live") for stream in streams)
            asked_at = time.monotonic()
            process.send_signal(number)
            assert all(stream.next() == ("", "") for stream in streams)
            process.wait(60)
            assert time.monotonic() - asked_at < 25  # not after its 30 seconds
            assert process.stderr is not None
            assert process.stderr.read() == b""
            for stream in streams:
                stream.close()


def test_a_browser_that_leaves_is_forgotten(screens: Screens, team: Team, sign_in: SignIn) -> None:
    stream = screens.watch(sign_in(team))
    assert screens.hub.open_streams == 1
    stream.close()
    wait_until(lambda: screens.hub.open_streams == 0, "the stream is forgotten")


def test_who_waits_to_be_let_in_hears_a_beat_and_who_has_left_is_not_let_in(
    screens: Screens, team: Team, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in, opened = threading.Event(), list[str]()

    def open_when_let_in(requests: Sequence[StreamRequest]) -> list[Screen | None]:
        let_in.wait(60)
        opened.extend(request.session_key for request in requests)
        return open_screens(requests)

    monkeypatch.setattr(hub, "open_screens", open_when_let_in)
    monkeypatch.setattr(hub, "BEAT_SECONDS", 1.0)
    streams = [screens.open(sign_in(team)) for _ in range(4)]  # the first is opened, and the others then together
    for stream in streams:
        assert stream.next(beats=True)[0] == "beat"
    open_before = connections._open.total()
    streams.pop().close()
    wait_until(lambda: connections._open.total() < open_before, "the server has noticed")
    time.sleep(0.2)  # a turn of its loop, in which the hub hears of it
    let_in.set()
    for stream in streams:
        assert stream.next() == ("hello", "live")
    assert len(opened) == 3


def test_a_screen_that_cannot_be_opened_keeps_no_other_out(
    screens: Screens, team: Team, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, others = sign_in(team), [sign_in(team) for _ in range(3)]
    let_in = threading.Event()

    def open_all_but_one(requests: Sequence[StreamRequest]) -> list[Screen | None]:
        let_in.wait(60)
        if broken.session.session_key in [request.session_key for request in requests]:
            raise ValueError("a row that nobody can read")
        return open_screens(requests)

    monkeypatch.setattr(hub, "open_screens", open_all_but_one)
    monkeypatch.setattr(hub, "BEAT_SECONDS", 0.2)
    streams = [
        screens.open(client) for client in (others[0], broken, *others[1:])
    ]  # each hears beats: they wait together
    let_in.set()
    with pytest.raises((OSError, ValueError)):
        streams.pop(1).skip_to("hello")
    for stream in streams:
        assert stream.next() == ("hello", "live")


def _announced(stream: Any, rental: Rental) -> bool:
    """Whether `rental` comes through; the one who tells may still think that Redis is away."""
    rental.announce()
    event, html = stream.next()
    return event == "rental" and f'id="rental-{rental.pk}"' in html
