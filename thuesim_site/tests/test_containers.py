"""The image, compose.yaml and the systemd units name what is there: roles, settings, modules, files.

`compose-spec.json` is the schema of https://github.com/compose-spec/compose-spec (Apache-2.0), unchanged. The image
itself is built and run by `deploy/try_image.sh`; here its steps alone are done, below another folder.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from thuesim_site.start import variables
from thuesim_site.start.checks import Role
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.processes import STOP_SECONDS
from thuesim_site.start.programs import SPARE_SECONDS
from thuesim_site.start.supervise import ALL
from thuesim_site.start.variables import VARIABLES

DEPLOY = BASE_DIR / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("desk*"))
SETTINGS = {name for variable in VARIABLES for name in (variable.name, f"{variable.name}_FILE")}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def desk(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run the desk's image."""
    return {
        name: service for name, service in compose["services"].items() if service["image"].startswith("${DESK_IMAGE")
    }


def build_script() -> str:
    return (DEPLOY / "build.sh").read_text()


def test_compose_follows_its_specification(compose: dict[str, Any]) -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    jsonschema.validate(compose, schema)


def test_each_role_has_its_service_and_two_of_what_may_fail(desk: dict[str, dict[str, Any]]) -> None:
    assert {name: service["command"] for name, service in desk.items() if name != "backup"} == {
        role.value: [role.value] for role in Role
    }
    replicas = {name: service.get("deploy", {}).get("replicas", 1) for name, service in desk.items()}
    assert replicas == {"web": 2, "worker": 2, "beat": 2, "slow": 1, "backup": 1}


def test_compose_sets_only_what_the_desk_reads_and_no_secret_by_value(
    compose: dict[str, Any], desk: dict[str, dict[str, Any]]
) -> None:
    for service in desk.values():
        environment = service["environment"]
        assert environment.keys() <= SETTINGS
        for name in ("SECRET_KEY", "DESK_SECRET_KEYS", "DATABASE_URL", "REDIS_URL", "DJANGO_SUPERUSER_PASSWORD"):
            assert environment[f"{name}_FILE"].removeprefix("/run/secrets/") in service["secrets"]
            assert name not in environment
    made = set(re.findall(r"^keep (\w+)", (DEPLOY / "make_secrets.sh").read_text(), flags=re.MULTILINE))
    assert {secret["file"] for secret in compose["secrets"].values()} == {f"deploy/secrets/{name}" for name in made}


def test_a_desk_has_the_time_to_stop_that_it_may_take_and_the_same_everywhere(desk: dict[str, dict[str, Any]]) -> None:
    timeout, drain = variables.THUESIM_TIMEOUT.default, variables.DRAIN_SECONDS.default
    worst = drain + timeout + SPARE_SECONDS + STOP_SECONDS
    unit, readme, guide = (
        (BASE_DIR / path).read_text()
        for path in ("deploy/systemd/desk@.service", "README.md", "docs/guides/en/operations.md")
    )
    given = [service["stop_grace_period"] for service in desk.values()]
    given += [f"{seconds}s" for seconds in re.findall(r"TimeoutStopSec=(\d+)", unit + readme)]
    given += [f"{seconds}s" for seconds in re.findall(r"`-t (\d+)`", guide)]
    assert (len(given), set(given)) == (len(desk) + 3, {"60s"})
    assert worst < 60


def test_no_service_may_do_more_than_it_must(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["healthcheck"]["test"], name
        assert name == "proxy" or ("ports" not in service and "cap_add" not in service and service["user"]), name
        assert name == "proxy" or not {"postgres", "redis"} & {name} or service["networks"] == ["inner"]
    front = [name for name, service in compose["services"].items() if "front" in service["networks"]]
    assert front == ["proxy", "web"], "who is in it is believed about the visitors' addresses"


def test_a_visitor_s_address_is_believed_from_the_proxy_s_network_alone(
    compose: dict[str, Any], desk: dict[str, dict[str, Any]]
) -> None:
    [subnet] = compose["networks"]["front"]["ipam"]["config"]
    assert desk["web"]["environment"]["DESK_PROXIES"] == subnet["subnet"]
    shared = set(compose["services"]["proxy"]["networks"]) & set(desk["web"]["networks"])
    assert shared == {"front"}


def test_the_image_copies_what_is_there_and_all_of_the_code() -> None:
    [copied] = re.findall(r"for name in (.*?); do", build_script().replace("\\\n", ""))
    names = set(copied.split())
    assert all((BASE_DIR / name).exists() for name in names)
    packages = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    assert set(packages) | {"static", "templates", "locale", "sbom.cdx.json"} <= names
    sent = set(re.findall(r"^!(.+)$", (BASE_DIR / ".dockerignore").read_text(), flags=re.MULTILINE))
    locks = set(re.findall(r"for lock in (.*?);", build_script())[0].split())
    assert sent == names | {"deploy"} | {f"{lock}.lock" for lock in locks}


@pytest.mark.alone
def test_the_steps_of_the_image_make_a_desk_that_checks_its_settings(tmp_path: Path) -> None:
    steps = ["sh", str(DEPLOY / "build.sh"), "desk", str(BASE_DIR)]
    uv = Path(sys.executable).with_name("uv")
    given = {name: value for name, value in os.environ.items() if name not in {*SETTINGS, "DJANGO_SETTINGS_MODULE"}}
    subprocess.run(steps, env={**given, "DESK_PREFIX": str(tmp_path), "UV": str(uv)}, check=True)
    desk = tmp_path / "desk"
    assert not list(desk.glob("*/tests"))
    assert (desk / "collected" / "staticfiles.json").exists()
    assert (tmp_path / "postgresql" / "pg_restore").exists()
    checked = subprocess.run(
        [str(desk / ".venv" / "bin" / "python"), "-m", "thuesim_site.start.supervise", "--check"],
        cwd=desk,
        env={"PATH": "/usr/bin:/bin", "DESK_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "roles: web worker slow beat" in checked.stdout


def test_the_image_starts_what_is_there_as_nobody_special() -> None:
    dockerfile = (BASE_DIR / "Dockerfile").read_text()
    assert all(find_spec(module) for module in re.findall(r'"-m", "([\w.]+)"', dockerfile))
    assert f'CMD ["{ALL}"]' in dockerfile
    settings = dict(re.findall(r"^(?:ENV|   ) +([A-Z_]+)=(\S+)", dockerfile, flags=re.MULTILINE))
    assert {name for name in settings if name.startswith("DESK") or name in {"HOST", "PORT"}} <= SETTINGS
    [uid] = re.findall(r"^USER (\d+):\d+$", dockerfile, flags=re.MULTILINE)
    assert f"UID_OF_DESK={uid}\n" in build_script()
    assert int(uid) > 1000
    stages = re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)
    assert stages == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=debian:\d+\.\d+-slim$", dockerfile, flags=re.MULTILINE)


def test_the_secrets_are_made_once_and_fit_the_settings(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "make_secrets.sh", tmp_path)
    for _ in range(2):
        subprocess.run(["sh", script], check=True, capture_output=True)
        made = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    for variable in (variables.SECRET_KEY, variables.SECRET_KEYS, variables.DATABASE_URL, variables.REDIS_URL):
        assert variable.parse(variable.name, made[variable.name.lower()])
    assert made["postgres_password"] in made["database_url"]
    before = made
    subprocess.run(["sh", script], check=True, capture_output=True)
    assert before == {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}


def backup_script(tmp_path: Path, written: str, status: int = 0) -> tuple[Path, Path]:
    """Return `backup.sh` with a `manage.py backup` that writes the file `written`, and the folder of backups."""
    (tmp_path / "deploy").mkdir()
    script = Path(shutil.copy(DEPLOY / "backup.sh", tmp_path / "deploy"))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\n[ "$1 $2" = "manage.py backup" ] || exit 9\n'
        f'[ {status} = 1 ] || touch "$3/{written}"\nexit {status}\n'
    )
    python.chmod(0o755)
    backups = tmp_path / "backups"
    backups.mkdir()
    return script, backups


# As `manage.py backup` names a plain one, and with DESK_BACKUP_PASSPHRASE an encrypted one.
ending = pytest.mark.parametrize("ending", [".tar", ".tar.encrypted"])


@ending
@pytest.mark.parametrize(("status", "kept"), [(0, "desk-new"), (1, "desk-old")])
def test_old_backups_go_once_a_new_one_is_there(tmp_path: Path, ending: str, status: int, kept: str) -> None:
    script, backups = backup_script(tmp_path, f"desk-new{ending}", status)
    month_ago = time.time() - 30 * 86400
    for name in (f"desk-old{ending}", "notes.txt"):
        (backups / name).touch()
        os.utime(backups / name, (month_ago, month_ago))
    ran = subprocess.run(["sh", script, str(backups), "14"], check=False)
    assert ran.returncode == status
    assert {path.name for path in backups.iterdir()} == {f"{kept}{ending}", "notes.txt"}


@ending
def test_the_next_backup_is_written_a_day_later_and_the_service_is_well(tmp_path: Path, ending: str) -> None:
    script, backups = backup_script(tmp_path, f"desk-new{ending}")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sleep").write_text(f'#!/bin/sh\necho "$1" >{tmp_path}/slept\nkill -TERM $PPID\n')
    (programs / "sleep").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", script, str(backups), "14", "86400"], env=environment, check=True, timeout=120)
    assert (tmp_path / "slept").read_text().strip() == "86400"
    compose = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
    _shell, test = compose["services"]["backup"]["healthcheck"]["test"]
    assert subprocess.run(["sh", "-c", test.replace("/backups", str(backups))], check=False).returncode == 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_is_there_with_little_power(unit: Path) -> None:
    text = unit.read_text()
    for command in re.findall(r"^ExecStart=/opt/desk/(\S+)(?: -m (\S+))?", text, flags=re.MULTILINE):
        assert find_spec(command[1]) if command[1] else (BASE_DIR / command[0]).exists()
    if unit.suffix == ".service":
        needed = {"User=desk", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "UMask=0077"}
        assert needed <= set(text.splitlines())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name.replace("@", "@web")).write_text(text.replace("Documentation=", "#"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
