"""Any module may be the first one that a process imports: no circle breaks because another module came before."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

# Imports each module in a child process of its own, forked before any other of its floor was imported. The floors below
# are there already: none of their modules imports one from above, and each has been the first of its own floor.
# With `--django` the first children start from `django.setup()`, without the admin's autodiscovery, which would import half
# of the modules first. The larger libraries, which import none of ours, are there already, too.
EACH_FIRST = """
import gc, importlib, os, sys, traceback

gc.disable()
with_django = sys.argv[1] == "--django"
if with_django:
    import django
    from django.conf import settings
    admin = {"django.contrib.admin": "django.contrib.admin.apps.SimpleAdminConfig"}
    settings.INSTALLED_APPS = [admin.get(app, app) for app in settings.INSTALLED_APPS]
    django.setup()
    import jinja2, markdown_it, ninja, prometheus_client, uvicorn
else:
    import http.server, requests, sqlite3
for floor in sys.argv[2:]:
    names = floor.split()
    failed = []
    for name in names:
        child = os.fork()
        if not child:
            try:
                importlib.import_module(name)
                assert with_django or "django" not in sys.modules, "it needs Django"
            except BaseException:
                print(f"{name}: {traceback.format_exc()}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            failed.append(name)
    if failed:
        print(*failed)
        break
    for name in names:
        importlib.import_module(name)
"""
# From the lowest package to the highest, as import-linter holds them (pyproject.toml). Each has floors of its own there.
PACKAGES = ("sandbox", "lib", "accounts", "rentals", "api", "pages", "thuesim_site")
# What a Django project finds by itself; the rest of the sandbox is a program of its own.
SANDBOX_IN_DJANGO = ("sandbox.apps", "sandbox.management")


def modules_of(*packages: str) -> list[str]:
    """Return the dotted names of all modules but programs, tests, migrations and the tests' settings."""
    names = []
    for package in packages:
        for path in sorted((settings.BASE_DIR / package).rglob("*.py")):
            parts = path.relative_to(settings.BASE_DIR).with_suffix("").parts
            if not {"__main__", "tests", "migrations", "settings_test"} & set(parts):
                names.append(".".join(parts).removesuffix(".__init__"))
    return names


def layers_of(package: str) -> list[set[str]]:
    """Return the names on each floor of a package, the highest first, as import-linter has them."""
    contracts = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [
        set(layer.replace("|", " ").split())
        for contract in contracts
        if contract.get("containers") == [package]
        for layer in contract["layers"]
    ]


def floors_of(package: str) -> list[list[str]]:
    """Return the modules of a package by floor, the lowest first; on the highest what belongs to none."""
    left, floors = modules_of(package), []
    for layer in reversed(layers_of(package)):
        parents = {f"{package}.{name}" for name in layer}
        floors.append([name for name in left if ".".join(name.split(".")[:2]) in parents])
        left = [name for name in left if name not in floors[-1]]
    return [floor for floor in (*floors, left) if floor]


def failures(*floors: list[str], with_django: bool, folder: Path) -> tuple[list[str], str]:
    """Return the modules that cannot be the first of their floor in `folder` to be imported, and why."""
    kind = "--django" if with_django else "--plain"
    command = [sys.executable, "-c", EACH_FIRST, kind, *(" ".join(modules) for modules in floors)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "thuesim_site.settings_test"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split(), run.stderr


@pytest.mark.programs
def test_any_module_may_be_imported_first() -> None:
    floors = [floor for package in PACKAGES for floor in floors_of(package)]
    assert {name for floor in floors for name in floor} == set(modules_of(*PACKAGES))
    assert ["rentals.task_names"] in floors
    failed, why = failures(*floors, with_django=True, folder=settings.BASE_DIR)
    assert failed == [], why


def test_the_documentation_has_the_floors_of_each_package() -> None:
    text = (settings.BASE_DIR / "docs" / "architecture.md").read_text()
    chains = re.findall(r"`[a-z_ ]+`(?:\s>\s`[a-z_ ]+`)+", text)
    documented = [[set(floor.split()) for floor in re.findall("`([a-z_ ]+)`", chain)] for chain in chains]
    assert documented == [layers_of("api"), layers_of("pages"), layers_of("rentals")]


def test_the_client_and_the_sandbox_need_no_django() -> None:
    [client, *parts], sandbox = modules_of("thuesim"), modules_of("sandbox")
    sandbox = [name for name in sandbox if not name.startswith(SANDBOX_IN_DJANGO)]
    assert client == "thuesim"  # which Python imports before any part of it
    assert "thuesim.client" in parts
    assert "sandbox.server" in sandbox
    failed, why = failures([client], parts, sandbox, with_django=False, folder=settings.BASE_DIR)
    assert failed == [], why


def test_a_circle_is_found_from_the_side_on_which_it_breaks(tmp_path: Path) -> None:
    (tmp_path / "breaker.py").write_text("from client import client_for\nis_sick = bool\n")
    (tmp_path / "client.py").write_text("import stats\nclient_for = str\n")
    (tmp_path / "stats.py").write_text("def count():\n    from breaker import is_sick\n")
    assert failures(["breaker", "client", "stats"], with_django=False, folder=tmp_path)[0] == []
    (tmp_path / "stats.py").write_text("from breaker import is_sick\n")
    failed, why = failures(["breaker", "client", "stats"], with_django=False, folder=tmp_path)
    assert failed == ["breaker", "client"]
    assert "cannot import name 'client_for' from partially initialized module" in why
