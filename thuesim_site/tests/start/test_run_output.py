"""What `./run` prints: who signs in how, and on after its output could not be written for a while."""

import json
import subprocess
import sys
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.supervise import Supervision
from thuesim_site.start.welcome import welcome

# /dev/full says "no space left" to each write, as a full disk does.
PROGRAM = """
import os, sys
from thuesim_site.start.supervise import say
kept = os.dup(1)
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
say("lost")
os.dup2(kept, 1)
say("printed")
"""


def test_a_full_disk_loses_lines_and_not_the_rest_of_the_log() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1] == "printed"


ADMIN = {"username": "admin", "password": "the-secret", "password_file": "", "role": "admin"}
ABOUT = {"people": [ADMIN], "token_refused": "", "has_token": True, "key_missing": "", "demo_rentals": 0}
URL = "https://desk.example.com"
SETUP: Any = SimpleNamespace(public_url=URL, demo=False, data_dir="/var/lib/desk")


def test_with_passwords_off_the_start_names_the_providers_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sign in as  admin     password  the-secret" in welcome(SETUP, ABOUT, URL, demo_moved=False)
    issuer = 'issuer = "https://sso.example.com"\nclient_id = "desk"\nclient_secret = "secret"\n'
    monkeypatch.setenv("DESK_OIDC", f'[company]\nname = "Our company"\n{issuer}[branch]\n{issuer}')
    monkeypatch.setenv("DESK_PASSWORDS", "False")
    text = welcome(SETUP, ABOUT, URL, demo_moved=False)
    assert "sign in with  Our company, branch" in text
    assert "password" not in text


def test_with_json_logs_what_it_says_itself_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    started: Any = SimpleNamespace(logs_json=True)
    Supervision.say(started, welcome(SETUP, ABOUT, URL, demo_moved=False))
    Supervision.say(started, "\nStopping …")
    welcomed, stopping = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert datetime.fromisoformat(welcomed.pop("at")).tzinfo is not None
    first, address, person, *_rest = welcomed.pop("message").split("\n")
    assert (first, address) == ("ThueSim Desk is ready", "https://desk.example.com/")
    assert person == "sign in as admin password the-secret admin"  # as on a terminal: it is made and shown once
    assert welcomed == {"level": "INFO", "process": "run"}
    assert stopping["message"] == "Stopping …"
    Supervision.relay(started, "worker-1", '{"level": "INFO"}')
    Supervision.relay(started, "worker-1", "")
    Supervision.relay(started, "worker-1", '  File "worker.py", line 3')
    logged, past_the_log = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert logged == {"level": "INFO"}
    assert (past_the_log["process"], past_the_log["message"]) == ("worker-1", '  File "worker.py", line 3')
    started.logs_json = False
    Supervision.say(started, "\nStopping …")
    assert capsys.readouterr().out == "\nStopping …\n"
