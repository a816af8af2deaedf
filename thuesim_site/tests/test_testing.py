"""What the tests themselves stand on."""

import socket

import pytest

from thuesim_site import testing
from thuesim_site.testing import free_port


def test_a_port_is_given_to_one_caller_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = free_port(2)
    monkeypatch.setattr(testing, "PORTS", range(given, given + 2))
    with pytest.raises(OSError, match="none of the ports"):
        free_port()


def test_a_port_that_something_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(testing, "PORTS", range(taken, taken + 1))
        monkeypatch.setattr(testing, "CLAIM_OFFSET", 0)
        with pytest.raises(OSError, match="none of the ports"):
            free_port()
