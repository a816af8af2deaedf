"""The animated picture of renting: frames that a browser takes, put together as one WebP.

`scripts/screenshots.py` calls it. The browser encodes each frame, so that no other library is needed.
"""

import base64
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect

SIZE: ViewportSize = {"width": 1080, "height": 640}
QUALITY = 0.82
SERVICE = "Shopee"
_ENCODE = """async ([png, quality]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""


class Film:
    """Frames of a page, each with how long it is seen, in ms."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._encoder = page.context.new_page()  # an empty page, without the desk's Content-Security-Policy
        self._frames: list[tuple[bytes, int]] = []
        page.bring_to_front()

    def shoot(self, milliseconds: int) -> None:
        """Take a frame; one that is as the frame before lengthens that."""
        frame = webp(self._encoder, self.page.screenshot(caret="initial"))
        if self._frames and self._frames[-1][0] == frame:
            milliseconds += self._frames.pop()[1]
        self._frames.append((frame, milliseconds))

    def save(self, path: Path) -> None:
        path.write_bytes(animation(self._frames, SIZE["width"], SIZE["height"]))


def webp(encoder: Page, png: bytes) -> bytes:
    """Return a screenshot as WebP, encoded by an empty page."""
    encoded: str = encoder.evaluate(_ENCODE, [base64.b64encode(png).decode(), QUALITY])
    return base64.b64decode(encoded)


def animation(frames: list[tuple[bytes, int]], width: int, height: int) -> bytes:
    """Put still WebPs of one size together as an endless animation (WebP Container Specification, Extended File Format)."""
    size = _int(width - 1, 3) + _int(height - 1, 3)
    parts = [_chunk(b"VP8X", b"\x02\0\0\0" + size), _chunk(b"ANIM", b"\xff\xff\xff\xff\0\0")]
    for still, milliseconds in frames:
        head = _int(0, 6) + size + _int(milliseconds, 3) + b"\x02"  # drawn over the frame before, without blending
        parts.append(_chunk(b"ANMF", head + _picture(still)))
    return _chunk(b"RIFF", b"WEBP" + b"".join(parts))


def _picture(still: bytes) -> bytes:
    """Return the chunk of a still WebP that holds its pixels."""
    at = 12  # after "RIFF", the size and "WEBP"
    while at < len(still):
        size = int.from_bytes(still[at + 4 : at + 8], "little")
        if still[at : at + 4] in {b"VP8 ", b"VP8L"}:
            return _chunk(still[at : at + 4], still[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    raise ValueError("no picture in this WebP")


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + _int(len(content), 4) + content + b"\0" * (len(content) % 2)


def _int(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


def take(page: Page, path: Path) -> None:
    """Rent a number, wait for its code and copy it, as who is signed in on this page of the desk."""
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live", timeout=30_000)
    film = Film(page)
    film.shoot(1200)
    _order(page, film)
    _wait_for_code(page, film)
    page.locator("[data-testid=rental] .code").first.click()
    page.wait_for_timeout(400)
    film.shoot(2600)
    film.save(path)


def _order(page: Page, film: Film) -> None:
    page.locator("#service").click()
    film.shoot(400)
    for typed in range(1, len(SERVICE) + 1):
        page.locator("#service").fill(SERVICE[:typed].lower())
        film.shoot(260)
    page.keyboard.press("Enter")  # chooses; the button, which has the focus then, buys
    film.shoot(1300)
    page.keyboard.press("Enter")
    card = page.get_by_test_id("rental").first
    expect(card).to_be_visible()
    film.shoot(700)


def _wait_for_code(page: Page, film: Film) -> None:
    card = page.get_by_test_id("rental").first
    expect(card).to_have_attribute("data-status", "waiting", timeout=30_000)
    for _second in range(60):
        film.shoot(800)
        if card.get_by_test_id("code").count():
            break
        page.wait_for_timeout(800)
    for _step in range(4):
        film.shoot(90)
        page.wait_for_timeout(60)
    page.wait_for_timeout(1500)  # the light of the fresh card is over
    film.shoot(1800)
