"""A stand-in desk for each test, and a client of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thuesim_desk import Desk

from .stand_in import KEY, StandIn


@pytest.fixture(autouse=True)
def _no_settings_of_this_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("THUESIM_DESK_URL", "THUESIM_DESK_KEY", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn()
    server.start()
    yield server
    server.close()


@pytest.fixture
def client(stand_in: StandIn) -> Desk:
    return Desk(stand_in.url, KEY, retry_for=60)


@pytest.fixture
def signed_in(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the stand-in."""
    monkeypatch.setenv("THUESIM_DESK_URL", stand_in.url)
    monkeypatch.setenv("THUESIM_DESK_KEY", KEY)
