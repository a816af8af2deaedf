"""The Python client, its command line, the examples and `docs/api.md`, against the whole desk, as a user runs them."""

import os
import re
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
EXAMPLES = BASE_DIR / "examples"
SERVICE = "02.97"
MAKE_KEY = """
from accounts import api_keys
from accounts.models import Scope, User
from accounts.policy import access_for
linh = User.objects.get(username="linh")
print(api_keys.make(linh, access_for(linh), name="CI", scopes=list(Scope.values))[1])
"""


@pytest.fixture(scope="module")
def settings_of_user(running_desk: RunningDesk) -> dict[str, str]:
    """The environment of a program that has a key of the operator."""
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", MAKE_KEY]
    made = subprocess.run(
        command, cwd=BASE_DIR, env=running_desk.environment, capture_output=True, text=True, check=True
    )
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("DESK_", "DJANGO_", "PYTEST_"))
    }
    return {
        **outside,
        "PYTHONPATH": str(CLIENT),
        "THUESIM_DESK_URL": running_desk.base_url,
        "THUESIM_DESK_KEY": made.stdout.split()[-1],
        "CHROMIUM": shutil.which("chromium-headless-shell") or shutil.which("chromium") or "",
    }


@pytest.fixture(scope="module")
def client(settings_of_user: dict[str, str]) -> Desk:
    return Desk(settings_of_user["THUESIM_DESK_URL"], settings_of_user["THUESIM_DESK_KEY"])


def test_a_wait_goes_on_when_the_web_process_is_killed(running_desk: RunningDesk, client: Desk) -> None:
    running_desk.sandbox("settings", message_after=[4, 5])
    try:
        with client.rent(SERVICE, purpose="sign-up", max_price=5000) as rental:
            assert rental.wait_for_number(timeout=120).startswith("0")
            [web] = running_desk.pids_of("desk", "web")
            killing = threading.Timer(1, os.kill, (web, signal.SIGKILL))
            killing.start()
            code = rental.wait_for_code(timeout=120)
        killing.join()
    finally:
        running_desk.sandbox("settings", message_after=[1, 2])
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
    command = [sys.executable, "-m", "thuesim_desk", "rent", SERVICE, "--wait", "--timeout", "120"]
    ended = subprocess.run(command, env=settings_of_user, capture_output=True, text=True, check=True)
    assert ended.stdout.strip().isalnum()


def _blocks(language: str) -> str:
    """Return the blocks of `docs/api.md` in a language, one after the other, but for those that are marked."""
    page = (BASE_DIR / "docs" / "api.md").read_text()
    return "".join(re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


def test_the_curl_calls_of_the_document_work(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    script = (
        _blocks("sh").replace("curl -s ", "curl -sS --fail-with-body ").replace("$api/rentals/$id/cancel", "$api/me")
    )
    assert script.count("curl ") > 15
    # A number that has its code cannot be cancelled, and an SMS has no recording: these two are refused.
    script = script.replace('-X POST -H "$auth" $api/me', '-H "$auth" $api/me')
    script = script.replace("-o call.wav $api/rentals/$id/audio", "$api/me")
    ended = _run(["bash", "-euo", "pipefail", "-c", script], settings_of_user, tmp_path)
    number, code = [line for line in ended.stdout.splitlines() if line.isalnum()][:2]
    assert number.startswith("0")
    assert code in ended.stdout.split(number, 1)[1]


def test_the_python_calls_of_the_document_work(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    script = _blocks("python") + "print(number, code)"
    ended = _run([sys.executable, "-c", script], settings_of_user, tmp_path)
    number, code = ended.stdout.split()[-2:]
    assert number.startswith("0")
    assert code.isalnum()


def test_the_test_of_the_document_passes_and_is_short(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    page = (BASE_DIR / "docs" / "api.md").read_text()
    [(name, test)] = re.findall(r"^```python (test_\w+\.py)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len([line for line in test.splitlines() if line]) < 20
    (tmp_path / "thuesim-desk").symlink_to(BASE_DIR)
    mine = tmp_path / "my-tests"
    mine.mkdir()
    (mine / name).write_text(test)
    shutil.copy(EXAMPLES / "pytest-playwright" / "conftest.py", mine)  # takes the Chromium of `CHROMIUM`
    _passes(mine, settings_of_user)


def test_doctor_says_that_all_is_well(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    ended = _run([sys.executable, "-m", "thuesim_desk", "doctor"], settings_of_user, tmp_path)
    assert all(line.startswith("ok  ") for line in ended.stdout.splitlines())
    assert "try: thuesim-desk rent " in ended.stdout


def _run(command: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


def _passes(folder: Path, environment: dict[str, str]) -> None:
    """Run the tests of a folder with pytest."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    plugins = ["-p", "thuesim_desk.pytest_plugin", "-p", "no:django", "-p", "no:cacheprovider"]
    ended = _run([sys.executable, "-m", "pytest", *plugins], environment, folder)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_the_pytest_example_passes(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    example = shutil.copytree(EXAMPLES, tmp_path / "examples") / "pytest-playwright"
    _passes(example, settings_of_user)


def test_the_fetch_of_the_javascript_examples_reads_a_code(settings_of_user: dict[str, str]) -> None:
    node, _driver = compute_driver_executable()
    script = (
        f"import {{ rent, waitForCode }} from '{EXAMPLES}/desk.mjs';"
        f"const rental = await rent('{SERVICE}', {{ max_price: 5000 }});"
        "console.log(rental.phone.digits, await waitForCode(rental.id));"
    )
    command = [node, "--input-type=module", "--eval", script]
    ended = subprocess.run(command, env=settings_of_user, capture_output=True, text=True, check=True, timeout=300)
    number, code = ended.stdout.split()
    assert number.startswith("0")
    assert code.isalnum()


def test_the_typescript_example_passes(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine")
    example = shutil.copytree(EXAMPLES, tmp_path / "examples") / "playwright-typescript"
    install = [npm, "install", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0"]
    installed = subprocess.run(install, cwd=example, env=settings_of_user, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"npm cannot install: {installed.stderr[:300]}")
    ended = _run([npm, "test"], settings_of_user, example)
    assert "1 passed" in ended.stdout


def test_the_tasks_of_the_cypress_example_read_a_code(settings_of_user: dict[str, str], tmp_path: Path) -> None:
    """Cypress runs them in Node. Its browser is not started here: it comes from a host of its own."""
    example = shutil.copytree(EXAMPLES, tmp_path / "examples") / "cypress"
    package = example / "node_modules" / "cypress"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "cypress", "type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text("export const defineConfig = config => config;")
    script = (
        "import config from './cypress.config.mjs'; const tasks = {};"
        "config.e2e.setupNodeEvents((event, given) => Object.assign(tasks, event === 'task' ? given : {}));"
        f"const rental = await tasks.rent({{ service: '{SERVICE}', wishes: {{ max_price: 5000 }} }});"
        "console.log(rental.phone.digits, await tasks.waitForCode(rental.id));"
    )
    node, _driver = compute_driver_executable()
    ended = _run([node, "--input-type=module", "--eval", script], settings_of_user, example)
    number, code = ended.stdout.split()
    assert number.startswith("0")
    assert code.isalnum()


def test_the_javascript_examples_say_what_is_not_set(tmp_path: Path) -> None:
    node, _driver = compute_driver_executable()
    script = f"import {{ rent }} from '{EXAMPLES}/desk.mjs'; await rent('{SERVICE}');"
    command = [node, "--input-type=module", "--eval", script]
    ended = subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode
    assert "set THUESIM_DESK_URL and THUESIM_DESK_KEY" in ended.stderr
