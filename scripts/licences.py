"""Prints docs/licences.md: what each package of the lock files is licensed under, as the package itself says.

`.ci/lock` runs it with the Python in which all of them are installed. It needs nothing but the standard library.
"""

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from scripts.assets import PACKAGES, Package

BASE_DIR = Path(__file__).resolve().parent.parent

# Where the metadata says nothing, or not what the licence file says.
READ_BY_HAND = {
    "axe-playwright-python": "MIT AND MPL-2.0",  # its metadata are empty; the axe-core inside is MPL-2.0
    "qrcode": "BSD-3-Clause",  # with a notice on MIT code inside, which its metadata call "Other/Proprietary"
}
NOTES = {
    "LGPL": "**copyleft for the library**: used unchanged and replaceable; changes to it must be published",
    "MPL": "**copyleft by file**: used unchanged; changes to its files must be published",
    "Artistic": "**either**: taken under the Artistic License",
    "OFL": "**copyleft for the typeface**: used unchanged; changes to it must bear another name and this licence",
    "GPL": "**copyleft**: must not be handed out with the product",
    "Proprietary": "**not free**",
}


def names(lock: str) -> list[str]:
    """Return the names of the packages in a lock file, in its order."""
    return re.findall(r"^([a-z0-9-]+)==", (BASE_DIR / lock).read_text(), flags=re.MULTILINE)


def licence(package: Distribution) -> str:
    """Return the SPDX expression, else the licences of the classifiers, else the free text."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [
        line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
    ]
    free_text = metadata["License"].strip() if "License" in metadata else ""
    return ", ".join(classifiers) or free_text or "none named"


def row(name: str) -> str:
    package = distribution(name)
    return line(name, package.version, READ_BY_HAND.get(name) or licence(package))


def asset_row(package: Package) -> str:
    return line(package.name, package.version, package.licence)


def line(name: str, version: str, terms: str) -> str:
    note = next((note for word, note in NOTES.items() if word in terms), "")
    return f"| {name} | {version} | {terms} | {note} |"


def table(rows: Iterable[str]) -> str:
    return "\n".join(["| package | version | licence | if not permissive |", "|---|---|---|---|", *rows])


def main() -> None:
    product = sorted({name for lock in ("", "-s3", "-sentry") for name in names(f"requirements{lock}.lock")})
    tools = [name for name in names("requirements-dev.lock") if name not in product]
    print("# Licences\n\nWritten by `.ci/lock`. ThueSim Desk itself is under the [MIT licence](../LICENSE).")
    print(f"\n## What the product runs on\n\n{table(map(row, product))}")
    print(
        "\n## Typeface and icons\n\nFiles of these npm packages are in `static/`, with their licences; "
        f"`scripts/assets.py` put them there.\n\n{table(map(asset_row, PACKAGES))}"
    )
    print(f"\n## What its tests and tools need\n\nNot part of the product.\n\n{table(map(row, tools))}")


if __name__ == "__main__":
    main()
