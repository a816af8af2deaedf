"""What is installed is exactly what was checked: lock files, SBOM and licence list name the same packages.

The typeface and the icons are no package that is installed: `scripts/assets.py` names where their files come from.
"""

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.assets import PACKAGES, Package
from thuesim_site.start.environment import BASE_DIR, version


def locked(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return the version and the hashes of each package in a lock file, by its name."""
    entries = re.findall(r"^(\S+)==(\S+)((?:.*\\\n)*.*)", (BASE_DIR / lock).read_text(), flags=re.MULTILINE)
    return {name: (number, frozenset(re.findall(r"sha256:[0-9a-f]{64}", rest))) for name, number, rest in entries}


def required(requirements: str) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in (BASE_DIR / requirements).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def licence_table(heading: str) -> dict[str, str]:
    section = (BASE_DIR / "docs" / "licences.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| (?!package )(\S+) \| (\S+) \|", section, flags=re.MULTILINE))


def versions(lock: str) -> dict[str, str]:
    return {name: number for name, (number, _) in locked(lock).items()}


LOCKS = ["requirements", "requirements-s3", "requirements-sentry", "requirements-dev"]


def product() -> dict[str, str]:
    """Return the versions of what the product may run on: with a bucket for its files, too."""
    return versions("requirements.lock") | versions("requirements-s3.lock") | versions("requirements-sentry.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_a_fitting_version_and_hashes_of_all_that_is_required(name: str) -> None:
    lock = locked(f"{name}.lock")
    for requirement in required(f"{name}.txt"):
        number, _ = lock[canonicalize_name(requirement.name)]
        assert number in requirement.specifier, requirement
    assert all(hashes for _, hashes in lock.values())


def test_the_tests_run_on_the_very_packages_of_the_product() -> None:
    for name in LOCKS:
        assert locked(f"{name}.lock").items() <= locked("requirements-dev.lock").items()


@pytest.mark.parametrize("name", LOCKS)
def test_nothing_is_built_from_source_where_build_tools_would_come_without_a_hash(name: str) -> None:
    assert "\n--only-binary :all:\n" in (BASE_DIR / f"{name}.lock").read_text()


def test_run_and_test_install_by_hash() -> None:
    script = (BASE_DIR / "thuesim_site" / "start" / "venv.sh").read_text()
    installs = [line for line in script.splitlines() if "pip install" in line]
    assert len(installs) == 3  # uv, what it installs, and pip in its place
    assert all("--require-hashes" in line for line in installs)
    assert "ensure_venv requirements.lock\n" in (BASE_DIR / "run").read_text()
    assert "ensure_venv requirements-dev.lock\n" in (BASE_DIR / "test").read_text()


def assets() -> dict[str, str]:
    """Return the version of each npm package that files of `static/` come from, by its name."""
    return {package.name: package.version for package in PACKAGES}


def test_the_sbom_names_exactly_the_packages_of_the_product() -> None:
    sbom = json.loads((BASE_DIR / "sbom.cdx.json").read_text())
    components = {canonicalize_name(component["name"]): component["version"] for component in sbom["components"]}
    expected = product() | {canonicalize_name(name): number for name, number in assets().items()}
    assert components == expected
    assert sbom["metadata"]["component"]["version"] == version()


def test_the_sbom_is_the_same_whenever_it_is_made() -> None:
    sbom = json.loads((BASE_DIR / "sbom.cdx.json").read_text())
    assert "serialNumber" not in sbom
    assert "timestamp" not in sbom["metadata"]
    assert "/tmp/" not in json.dumps(sbom)  # where it was made


def test_the_licence_list_names_exactly_the_locked_packages() -> None:
    tools = {name: number for name, number in versions("requirements-dev.lock").items() if name not in product()}
    assert licence_table("What the product runs on") == product()
    assert licence_table("Typeface and icons") == assets()
    assert licence_table("What its tests and tools need") == tools


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_what_is_taken_of_a_package_is_there_with_its_licence(package: Package) -> None:
    assert all((BASE_DIR / "static" / target).is_file() for target in package.files.values())
    assert "LICENSE" in package.files
