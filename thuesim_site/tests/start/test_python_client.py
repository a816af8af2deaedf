"""The Python client, its command line and the examples, against the whole desk, as a user runs them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from thuesim_desk import Conflict, Desk, Invalid, NotRented
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import RunningDesk

pytestmark = pytest.mark.alone
CLIENT = BASE_DIR / "clients" / "python"
SERVICE = "02.97"
INSTALLED_CHROMIUM = """
import shutil
import pytest

@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
"""
MAKE_KEY = """
from accounts import api_keys
from accounts.models import Scope, User
from accounts.policy import access_for
linh = User.objects.get(username="linh")
print(api_keys.make(linh, access_for(linh), name="CI", scopes=list(Scope.values))[1])
"""


@pytest.fixture(scope="module")
def settings_of_user(desk: RunningDesk) -> dict[str, str]:
    """The environment of a program that has a key of the operator."""
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", MAKE_KEY]
    made = subprocess.run(command, cwd=BASE_DIR, env=desk.environment, capture_output=True, text=True, check=True)
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "DJANGO_", "PYTEST_"))
    }
    return {
        **outside,
        "PYTHONPATH": str(CLIENT),
        "THUESIM_DESK_URL": desk.base_url,
        "THUESIM_DESK_KEY": made.stdout.split()[-1],
    }


@pytest.fixture(scope="module")
def client(settings_of_user: dict[str, str]) -> Desk:
    return Desk(settings_of_user["THUESIM_DESK_URL"], settings_of_user["THUESIM_DESK_KEY"])


def test_a_wait_goes_on_when_the_web_process_is_killed(desk: RunningDesk, client: Desk) -> None:
    desk.sandbox("settings", message_after=[4, 5])
    with client.rent(SERVICE, purpose="sign-up", max_price=5000) as rental:
        assert rental.wait_for_number(timeout=30).startswith("0")
        web = [number for number, command in desk.processes().items() if "uvicorn" in command]
        killing = threading.Timer(1, os.kill, (web[0], signal.SIGKILL))
        killing.start()
        code = rental.wait_for_code(timeout=60)
    killing.join()
    desk.sandbox("settings", message_after=[1, 2])
    assert code.message is not None
    assert code in code.message.text
    assert next(client.rentals(purpose="sign-up")).id == rental.id
    with pytest.raises(Conflict):
        rental.cancel()


def test_a_refused_order_is_a_typed_error(client: Desk) -> None:
    with pytest.raises(NotRented) as caught:
        client.rent(SERVICE, max_price=1)
    assert caught.value.reason == "price_exceeded"
    with pytest.raises(Invalid, match="networks:"):
        client.rent(SERVICE, networks=["NOPE"])


def test_the_command_line_prints_the_code(settings_of_user: dict[str, str]) -> None:
    command = [sys.executable, "-m", "thuesim_desk", "rent", SERVICE, "--wait", "--timeout", "60"]
    ended = subprocess.run(command, env=settings_of_user, capture_output=True, text=True, check=True)
    assert ended.stdout.strip().isalnum()


def test_the_pytest_example_passes(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    example = shutil.copytree(BASE_DIR / "examples", tmp_path / "examples") / "pytest-playwright"
    (example / "conftest.py").write_text(INSTALLED_CHROMIUM)
    (example / "pytest.ini").write_text("[pytest]\n")
    plugins = ["-p", "thuesim_desk.pytest_plugin", "-p", "no:django", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins]
    ended = subprocess.run(command, cwd=example, env=settings_of_user, capture_output=True, text=True, check=False)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_the_fetch_of_the_javascript_examples_reads_a_code(settings_of_user: dict[str, str]) -> None:
    node, _driver = compute_driver_executable()
    script = (
        f"import {{ rent, waitForCode }} from '{BASE_DIR}/examples/desk.mjs';"
        f"const rental = await rent('{SERVICE}', {{ max_price: 5000 }});"
        "console.log(rental.phone.digits, await waitForCode(rental.id));"
    )
    command = [node, "--input-type=module", "--eval", script]
    ended = subprocess.run(command, env=settings_of_user, capture_output=True, text=True, check=True, timeout=60)
    number, code = ended.stdout.split()
    assert number.startswith("0")
    assert code.isalnum()
