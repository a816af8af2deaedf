"""What `./run` prints: who signs in how, and on after its output could not be written for a while."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.supervise import Supervision

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


def test_with_passwords_off_the_start_names_the_providers_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = {"username": "admin", "password": "the-secret", "password_file": "", "role": "admin"}
    about = {"people": [admin], "token_refused": "", "has_token": True, "key_missing": ""}
    setup = SimpleNamespace(public_url="https://desk.example.com", demo=False, data_dir="/var/lib/desk")
    started: Any = SimpleNamespace(setup=setup, about=about, _about_the_demo=lambda: [])
    assert "sign in as  admin     password  the-secret" in Supervision._welcome(started)
    issuer = 'issuer = "https://sso.example.com"\nclient_id = "desk"\nclient_secret = "secret"\n'
    monkeypatch.setenv("DESK_OIDC", f'[company]\nname = "Our company"\n{issuer}[branch]\n{issuer}')
    monkeypatch.setenv("DESK_PASSWORDS", "False")
    welcome = Supervision._welcome(started)
    assert "sign in with  Our company, branch" in welcome
    assert "password" not in welcome
