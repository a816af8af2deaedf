"""The key goes to the desk and nowhere else."""

from __future__ import annotations

import json
import logging
import pickle
import stat
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from thuesim_desk import Desk, DeskError, UnexpectedAnswer, config

from .stand_in import DROP, KEY, ME, Fault, StandIn


@pytest.mark.parametrize("fault", [Fault(401, "unauthorized"), Fault(500), DROP, Fault(200, body=b"<html>")])
def test_no_error_traceback_or_log_shows_the_key(
    stand_in: StandIn, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Desk(stand_in.url, KEY, retry_for=0)
    stand_in.faults.append(fault)
    with pytest.raises(DeskError) as caught:
        desk.me()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert KEY not in shown + caplog.text + repr(desk) + repr(desk.__dict__) + repr(vars(desk._connection))
    with pytest.raises(TypeError):
        pickle.dumps(desk)


def test_a_redirect_is_not_followed(stand_in: StandIn) -> None:
    visits: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            visits.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, args=(0.01,), daemon=True).start()
        there = f"http://127.0.0.1:{elsewhere.server_port}/"
        stand_in.faults.append(Fault(302, body=b"", headers={"Location": there}))
        with pytest.raises(UnexpectedAnswer, match="redirect"):
            Desk(stand_in.url, KEY).me()
        elsewhere.shutdown()
    assert visits == []


@pytest.mark.parametrize("url", ["ftp://desk", "desk.example.com", "https://linh:pw@desk", "https://desk?key=1", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"url|address"):
        Desk(url, KEY)


@pytest.mark.parametrize("key", ["desk_\nX-Other: 1", "desk_ă", "two words"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="characters") as caught:
        Desk("https://desk.example.com", key)
    assert key not in str(caught.value)


def test_the_stored_key_is_for_its_owner_alone_and_for_its_desk_alone() -> None:
    file = config.store("https://desk.example.com", KEY)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text())["key"] == KEY
    assert config.url_and_key() == ("https://desk.example.com", KEY)
    with pytest.raises(ValueError, match="no key"):
        config.url_and_key("https://elsewhere.example.com")


def test_the_address_may_be_the_one_of_the_api(stand_in: StandIn) -> None:
    assert Desk(f"{stand_in.url}/api/v1/", KEY).me()["scopes"] == ME["scopes"]
