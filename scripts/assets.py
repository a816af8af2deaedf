"""Make the typeface, the icons and their licences in `static/` from the npm packages below.

    python -m scripts.assets                        static/fonts/, static/icons.svg, static/admin/img/ anew
    python -m scripts.assets --sbom sbom.cdx.json   add the packages to an SBOM

Needs npm, which fetches each package in the version and with the hash named here. The product itself needs neither.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).resolve().parent.parent
STATIC = BASE_DIR / "static"


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, and what the desk takes of it."""

    name: str
    version: str
    integrity: str  # of the archive, as package-lock.json writes it
    licence: str
    files: dict[str, str]  # the path below static/ of each file that is taken as it is, by its path in the package


SANS = Package(
    "@fontsource-variable/ibm-plex-sans",
    "5.3.0",
    "sha512-agG8tXFEo0hD9+J7npa4vbbWult52eMLVaQ6WQRlhs/iCAojrMAoejru85W9HTVXHfyUj96KM7gp/KGAS87XaQ==",
    "OFL-1.1",
    {
        "files/ibm-plex-sans-latin-wght-normal.woff2": "fonts/plex-sans-latin.woff2",
        "files/ibm-plex-sans-latin-ext-wght-normal.woff2": "fonts/plex-sans-latin-ext.woff2",
        "files/ibm-plex-sans-vietnamese-wght-normal.woff2": "fonts/plex-sans-vietnamese.woff2",
        "LICENSE": "fonts/LICENSE-plex-sans.txt",
    },
)
MONO = Package(
    "@fontsource/ibm-plex-mono",
    "5.3.0",
    "sha512-eTgnZjZEGk1QtD3ZstF+Vclo2HLAni8YMy34/DxllwZvyz1lR/1RF/xTiAquOBO7MvqBx8D2Ig2WCPMVfdZu7Q==",
    "OFL-1.1",
    {
        "files/ibm-plex-mono-latin-400-normal.woff2": "fonts/plex-mono-latin-400.woff2",
        "files/ibm-plex-mono-vietnamese-400-normal.woff2": "fonts/plex-mono-vietnamese-400.woff2",
        "files/ibm-plex-mono-latin-600-normal.woff2": "fonts/plex-mono-latin-600.woff2",
        "LICENSE": "fonts/LICENSE-plex-mono.txt",
    },
)
ICONS = Package(
    "lucide-static",
    "1.62.0",
    "sha512-WBZA/m2PvkFpMGHDtsBck5P2A9G4ehLlYu4GwwICcmEm1BvYVgj00lCDxKRWLlbMlOibLaiwdQ88G5pHkSWgwA==",
    "ISC",
    {"LICENSE": "LICENSE-lucide.txt"},
)
PACKAGES = (SANS, MONO, ICONS)

# Lucide's name of each icon, by the name that templates use. One icon has one meaning, and a meaning one icon.
SPRITE = {
    "again": "repeat",
    "alert": "triangle-alert",
    "audit": "scroll-text",
    "back": "arrow-left",
    "ban": "ban",
    "bell": "bell",
    "book": "book-open",
    "call": "phone",
    "cancel": "circle-minus",
    "check": "check",
    "chevron": "chevron-down",
    "clock": "clock",
    "coin": "coins",
    "copy": "copy",
    "cross": "x",
    "desk": "card-sim",
    "devices": "monitor-smartphone",
    "exit": "log-out",
    "eye": "eye",
    "filter": "list-filter",
    "flask": "flask-conical",
    "forth": "arrow-right",
    "gear": "settings",
    "hand-over": "forward",
    "history": "history",
    "hourglass": "hourglass",
    "inbox": "inbox",
    "info": "info",
    "key": "key-round",
    "keyboard": "keyboard",
    "mail": "mail",
    "message": "message-square-text",
    "moon": "moon",
    "none-free": "circle-x",
    "offline": "wifi-off",
    "out": "external-link",
    "passkey": "fingerprint-pattern",
    "password": "rectangle-ellipsis",
    "person": "circle-user-round",
    "pulse": "activity",
    "question": "circle-question-mark",
    "queue": "list-end",
    "refresh": "refresh-cw",
    "rent": "circle-plus",
    "rows": "rows-3",
    "screen": "monitor",
    "search": "search",
    "send": "send",
    "services": "layout-grid",
    "setup": "plug",
    "shield": "shield-check",
    "speaker": "volume-2",
    "spinner": "loader-circle",
    "star": "star",
    "sun": "sun",
    "tab": "app-window",
    "team": "users",
    "timer": "timer",
    "tour": "compass",
    "uncertain": "circle-dashed",
}
# The icons of the Django admin: Lucide's name and a colour that is seen on the admin's light and dark ground.
_GREEN, _RED, _AMBER, _BLUE, _STONE = "#2f9e6e", "#d9483f", "#b9801f", "#3f82d6", "#7b867f"
ADMIN = {
    "icon-addlink": ("plus", _GREEN),
    "icon-alert": ("triangle-alert", _AMBER),
    "icon-calendar": ("calendar", _BLUE),
    "icon-changelink": ("pencil", _AMBER),
    "icon-clock": ("clock", _BLUE),
    "icon-deletelink": ("x", _RED),
    "icon-hidelink": ("eye-off", _STONE),
    "icon-no": ("circle-x", _RED),
    "icon-unknown": ("circle-question-mark", _STONE),
    "icon-viewlink": ("eye", _BLUE),
    "icon-yes": ("circle-check", _GREEN),
    "inline-delete": ("x", _STONE),
    "search": ("search", _STONE),
    "tooltag-add": ("plus", "#ffffff"),
    "tooltag-arrowright": ("chevron-right", "#ffffff"),
}


def fetch(package: Package, folder: Path) -> Path:
    """Return the folder of a package, fetched by npm. Raises ValueError where the archive is not the one named above."""
    spec = f"{package.name}@{package.version}"
    printed = subprocess.run(
        ["npm", "pack", spec, "--json", "--pack-destination", str(folder)], check=True, capture_output=True, text=True
    ).stdout
    name: str = json.loads(printed)[0]["filename"]
    archive = folder / name.replace("@", "").replace("/", "-")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if package.integrity != f"sha512-{digest}":
        raise ValueError(f"{spec} has another hash than the one that was checked")
    out = folder / archive.stem
    with tarfile.open(archive) as members:
        members.extractall(out, filter="data")
    return out / "package"


def drawing(folder: Path, name: str) -> str:
    """Return the shapes of one of Lucide's icons, without their frame."""
    svg = (folder / "icons" / f"{name}.svg").read_text()
    shapes = re.sub(r"\s+", " ", svg[svg.index(">", svg.index("<svg")) + 1 : svg.index("</svg>")])
    return re.sub(r" ?(<|/>) ?", r"\1", shapes).strip()


def write_icons(folder: Path) -> None:
    """Write the sprite of the pages and the single icons of the admin."""
    symbols = [
        f'<symbol id="{name}" viewBox="0 0 24 24">{drawing(folder, icon)}</symbol>' for name, icon in SPRITE.items()
    ]
    notice = f"<!-- Lucide {ICONS.version}, ISC licence: LICENSE-lucide.txt. Written by scripts/assets.py. -->"
    sprite = ['<svg xmlns="http://www.w3.org/2000/svg">', notice, *symbols, "</svg>", ""]
    (STATIC / "icons.svg").write_text("\n".join(sprite))
    out = STATIC / "admin" / "img"
    out.mkdir(parents=True, exist_ok=True)
    for name, (icon, colour) in ADMIN.items():
        (out / f"{name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24" fill="none" '
            f'stroke="{colour}" stroke-width="2.25" stroke-linecap="round" stroke-linejoin="round">'
            f"{drawing(folder, icon)}</svg>\n"
        )


def component(package: Package) -> dict[str, Any]:
    """Describe a package in an SBOM of CycloneDX 1.6."""
    purl = f"pkg:npm/{package.name.replace('@', '%40')}@{package.version}"
    digest = base64.b64decode(package.integrity.removeprefix("sha512-")).hex()
    return {
        "bom-ref": purl,
        "description": "files in static/",
        "hashes": [{"alg": "SHA-512", "content": digest}],
        "licenses": [{"license": {"acknowledgement": "declared", "id": package.licence}}],
        "name": package.name,
        "purl": purl,
        "type": "library",
        "version": package.version,
    }


def add_to_sbom(path: Path) -> None:
    """Put the packages into the SBOM, in place of what it said of them."""
    sbom = json.loads(path.read_text())
    names = {package.name for package in PACKAGES}
    sbom["components"] = [part for part in sbom["components"] if part["name"] not in names]
    sbom["components"] += [component(package) for package in PACKAGES]
    path.write_text(json.dumps(sbom, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sbom", type=Path, help="add the packages to this SBOM, and make nothing")
    options = parser.parse_args()
    if options.sbom:
        return add_to_sbom(options.sbom)
    with tempfile.TemporaryDirectory() as scratch:
        for package in PACKAGES:
            folder = fetch(package, Path(scratch))
            for source, target in package.files.items():
                (STATIC / target).parent.mkdir(parents=True, exist_ok=True)
                (STATIC / target).write_bytes((folder / source).read_bytes())
            if package is ICONS:
                write_icons(folder)
    return None


if __name__ == "__main__":
    main()
