"""The variants that pages are checked in (language, theme, width), and the check: axe, and the width of the page."""

from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

# Colours differ by theme, sizes by width, lengths by language: two variants show all of them.
VARIANTS = [("en", "light", 1440), ("vi", "dark", 390)]
VARIANT_NAMES = ["-".join(map(str, variant)) for variant in VARIANTS]
# axe parses the colours of every element anew, which takes a fifth of its time; a page has few different ones.
COLOURS_PARSED_ONCE = """(() => {
    const { prototype } = axe.commons.color.Color;
    const parse = prototype.parseString;
    const parsed = new Map();
    prototype.parseString = function (text) {
        if (!parsed.has(text)) {
            parse.call(this, text);
            parsed.set(text, [this.r, this.g, this.b, this.alpha]);
        }
        [this.r, this.g, this.b, this.alpha] = parsed.get(text);
        return this;
    };
})();"""
AXE = Axe().axe_script + COLOURS_PARSED_ONCE
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    # Else axe asks for each style sheet once more, for a rule that none of these names has.
    "preload": {"assets": ["media"]},
}

Variant = tuple[str, str, int]


@contextmanager
def in_variant(
    browser: Browser, variant: Variant, address: str, client: Client | None = None
) -> Iterator[BrowserContext]:
    """A browser in one variant, signed in as the test client is."""
    language, scheme, width = variant
    with browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale=language,
        service_workers="block",
    ) as context:
        if client is not None:
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
        yield context


# Typefaces are there, and what fades in or changes its colour has done so; what turns without an end stands still, for each
# frame of it would be drawn while axe works. All in one call, which gives the violations alone: the rest of what axe
# returns takes longer to hand over than to find.
FIND = """async ([parts, options]) => {
    if (!("axe" in window)) return null;
    await document.fonts.ready;
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    const running = document.getAnimations();
    const endless = running.filter((one) => one.effect.getComputedTiming().endTime === Infinity);
    endless.forEach((one) => one.pause());
    await Promise.allSettled(running.filter((one) => !endless.includes(one)).map((one) => one.finished));
    const { violations } = await axe.run(parts.length ? { include: parts } : document, options);
    const found = violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`));
    if (document.documentElement.scrollWidth > innerWidth) found.push("wider than the screen");
    return found;
}"""


def problems_of(page: Page, state: str, parts: tuple[str, ...] = ()) -> list[str]:
    """What axe finds on the page as it stands, or in `parts` of it alone, and whether it is wider than the screen."""
    found = page.evaluate(FIND, [parts, RULES])
    if found is None:
        page.evaluate(AXE)
        page.context.add_init_script(AXE)  # the pages that come have it from their beginning, which takes half as long
        found = page.evaluate(FIND, [parts, RULES])
    return [f"{state}: {problem}" for problem in found]
