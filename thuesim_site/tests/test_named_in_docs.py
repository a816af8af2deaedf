"""What the documentation and the docstrings name is there: files, folders, and variables of the environment."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from thuesim_site.start.environment import BASE_DIR

PAGES = [*BASE_DIR.glob("*.md"), *(BASE_DIR / "docs").rglob("*.md"), *(BASE_DIR / "bench").glob("*.md")]
PACKAGES = ("accounts", "api", "bench", "lib", "pages", "rentals", "sandbox", "scripts", "thuesim", "thuesim_site")
FOLDERS = (*PACKAGES, "clients", "deploy", "docs", "examples", "locale", "static", "templates")
ENDINGS = r"py|sh|md|html|css|js|svg|toml|txt|lock|json|ya?ml|cfg|conf|service|sql"
# Files of others, of an example, or that the reader makes; and addresses.
NOT_OURS = {
    "CONTRIBUTING.md": r"notes?\.",
    "docs/containers.md": "deploy/secrets",
    "docs/containers.vi.md": "deploy/secrets",
    "docs/proxies.md": "desk-away.html",
    "docs/proxies.vi.md": "desk-away.html",
    "docs/several-machines.md": "postgresql.conf",
    "docs/several-machines.vi.md": "postgresql.conf",
    "docs/single-sign-on.md": "oidc.toml",
    "docs/single-sign-on.vi.md": "oidc.toml",
    "lib/files/backup.py": "manifest.json",
    "api/docs.py": "NAME",
    "lib/documents.py": "NAME",
    "thuesim/client.py": "api/re",
}


@cache
def paths() -> frozenset[str]:
    """Each file and folder, by all ends of its path: a text may leave out the beginning where it is clear."""
    found = [path.relative_to(BASE_DIR).parts for path in BASE_DIR.iterdir()]
    for folder in FOLDERS:
        found += [path.relative_to(BASE_DIR).parts for path in (BASE_DIR / folder).rglob("*")]
    return frozenset("/".join(parts[start:]) for parts in found for start in range(len(parts)))


def texts() -> Iterator[tuple[str, str]]:
    """The pages of the documentation, and the docstrings of the product, by the file's name."""
    for page in PAGES:
        if page.name != "CHANGELOG.md":  # of former releases, too
            yield str(page.relative_to(BASE_DIR)), page.read_text()
    modules = (path for package in PACKAGES for path in (BASE_DIR / package).rglob("*.py"))
    for path in (path for path in modules if "tests" not in path.parts):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented))
        yield str(path.relative_to(BASE_DIR)), "\n".join(filter(None, map(ast.get_docstring, nodes)))


def named(text: str, pattern: str) -> set[str]:
    return set(re.findall(rf"(?<![\w/.*<>$~=-])(?:\./)?({pattern})(?![\w*])", " ".join(re.findall(r"`[^`\n]+`", text))))


def test_every_file_and_folder_that_is_named_is_there() -> None:
    gone: list[tuple[str, str]] = []
    count = 0
    for where, text in texts():
        files = named(text, rf"[\w-][\w./-]*\.(?:{ENDINGS})") | named(text, rf"(?:{'|'.join(FOLDERS)})/[\w./-]+")
        files = {name.rstrip("/.") for name in files if not re.search(NOT_OURS.get(where, "^$"), name)}
        gone += [(where, name) for name in files - paths() if not (BASE_DIR / where).parent.joinpath(name).exists()]
        count += len(files)
    assert count > 250
    assert sorted(gone) == []


def test_every_variable_that_the_documentation_names_is_in_the_code() -> None:
    suffixes = {".py", ".sh", ".yaml", ".toml", ".example", ".container", ".service", ""}
    files = [path for path in BASE_DIR.iterdir() if path.is_file() and path.suffix in suffixes]
    for folder in (*PACKAGES, "deploy", "clients", "examples"):
        files += [path for path in (BASE_DIR / folder).rglob("*") if path.suffix in suffixes and path.is_file()]
    code = "\n".join(path.read_text(errors="ignore") for path in files if path != Path(__file__))
    known = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", code))
    variables = set().union(*(named(page.read_text(), r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+") for page in PAGES))
    assert len(variables) > 30
    assert sorted(variables - known) == []
