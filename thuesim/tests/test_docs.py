"""The client's page is true: its examples run, and it names everything there is."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import thuesim
from sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/thuesim.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def upstream() -> Iterator[Sandbox]:
    """A stand-in whose messages come at once, with a token that ends as the page prints it."""
    token = "4801-ffc059191fa684dfdcbc45150f5f8144"
    with Sandbox(gap=0, message_after=(0, 0), refund_after=0, token=token) as sandbox:
        yield sandbox


def test_the_examples_give_what_the_page_prints(upstream: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # The page writes … for what differs from run to run. doctest compares escaped texts.
    monkeypatch.setattr(doctest, "ELLIPSIS_MARKER", "…".encode("ascii", "backslashreplace").decode())
    names = {"token": upstream.token, "base_url": upstream.url}
    page = doctest.DocTestParser().get_doctest("\n".join(EXAMPLES), names, "docs/thuesim.md", "docs/thuesim.md", 0)
    assert len(page.examples) > 40
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.FAIL_FAST)
    runner.run(page, out=report.append)
    assert not runner.failures, "".join(report)


def test_the_page_names_all_that_the_package_offers() -> None:
    for name in {*thuesim.__all__} - {"Audio", "Balance", "CodeReply", "Network"}:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_the_page_has_each_error_under_its_family() -> None:
    not_rented, outcome_unknown = PAGE.split("**`NotRented`:")[1].split("**`OutcomeUnknown`:")
    tables = {thuesim.NotRented: not_rented, thuesim.OutcomeUnknown: outcome_unknown.split("## Hooks")[0]}
    for name in thuesim.__all__:
        kind = getattr(thuesim, name)
        for family, table in tables.items():
            if isinstance(kind, type) and issubclass(kind, family) and kind is not family:
                assert f"\n| `{name}` |" in table, name


def test_every_method_of_the_client_has_its_heading() -> None:
    methods = {name for name, value in vars(thuesim.Client).items() if callable(value) and not name.startswith("_")}
    headings = set(re.findall(r"^### `(\w+)\(", PAGE, re.MULTILINE))
    assert methods - {"close"} == headings


def test_the_folder_alone_works_without_django_and_needs_requests_only(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "thuesim", tmp_path / "thuesim", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    program = """
import sys
before = set(sys.modules)
import thuesim
print(thuesim.__file__)
print(thuesim.Client("token-of-nobody"))
imported = {name.partition(".")[0] for name in set(sys.modules) - before if getattr(sys.modules[name], "__file__", "")}
print(*sorted(imported - sys.stdlib_module_names))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTHON"))}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    file, client, imported = run.stdout.splitlines()
    assert file.startswith(str(tmp_path))
    assert client == "Client(token=…body, base_url='https://thuesim.xyz')"
    requests_and_its_own = {"requests", "urllib3", "certifi", "charset_normalizer", "idna"}
    assert {name for name in imported.split() if "__mypyc" not in name} <= {"thuesim"} | requests_and_its_own
