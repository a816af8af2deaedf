"""Draw the icons of the installed desk: python scripts/app_icons.py writes static/app/*.png.

Needs the development requirements and a Chromium on PATH.
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

BASE_DIR = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BASE_DIR))

from thuesim_site.testing import find_chromium  # noqa: E402

OUT = BASE_DIR / "static" / "app"
# File: size in pixels, corner radius and width of the card, both as shares of the size. A maskable icon and Apple's reach
# to the edge, since the system cuts their corners; what must stay is within the inner 80 %.
ICONS = {
    "icon-180.png": (180, 0.0, 0.56),
    "icon-192.png": (192, 0.22, 0.6),
    "icon-512.png": (512, 0.22, 0.6),
    "maskable-512.png": (512, 0.0, 0.5),
}
CARD = "M6 1h9l6 6v13a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3V4a3 3 0 0 1 3-3Z"
CHIP = "M7.5 11.5h9v8h-9zM12 11.5v8M7.5 15.5h9"


def drawing(radius: float, card: float) -> str:
    """Return the icon as an SVG: the card on jade, as the desk's mark in the other colours."""
    scale = card * 24 / 18  # the card is 18 of its 24 units wide
    offset = 12 * (1 - scale)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="100%" height="100%">'
        f'<rect width="24" height="24" rx="{radius * 24}" fill="#0a7350"/>'
        f'<g transform="translate({offset} {offset}) scale({scale})"><path fill="#fff" d="{CARD}"/>'
        f'<path fill="none" stroke="#0a7350" stroke-width="1.6" d="{CHIP}"/></g></svg>'
    )


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox"] if os.getuid() == 0 else [],
        )
        for name, (size, radius, card) in ICONS.items():
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(f"<style>html, body {{ margin: 0; height: 100% }}</style>{drawing(radius, card)}")
            page.screenshot(path=OUT / name, omit_background=True)
        browser.close()


if __name__ == "__main__":
    main()
