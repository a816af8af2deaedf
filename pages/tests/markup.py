"""What a page holds, element by element: tests ask for marks and attributes, not for how the markup is written."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


@dataclass(eq=False)
class Element:
    """An element with its attributes, the elements inside it, and its text with single spaces."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    inside: list["Element"] = field(default_factory=list, repr=False)
    parts: list[str] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())

    def __getitem__(self, attribute: str) -> str:
        return self.attributes[attribute]

    def __contains__(self, attribute: str) -> bool:
        return attribute in self.attributes

    def find_all(self, tag: str = "", **attributes: str) -> list["Element"]:
        """Return the elements inside, in their order, by tag and attributes: `data_testid` stands for `data-testid`."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.inside
            if (not tag or element.tag == tag) and wanted.items() <= element.attributes.items()
        ]

    def find(self, tag: str = "", **attributes: str) -> "Element":
        """Return the one element inside that fits."""
        [element] = self.find_all(tag, **attributes)
        return element

    def values(self) -> dict[str, list[str]]:
        """Return what a browser would send of this form, as it stands: each field's name with its values."""
        sent: dict[str, list[str]] = {}
        for control in self.find_all():
            name, kind = control.attributes.get("name", ""), control.attributes.get("type", "text")
            if not name or "disabled" in control:
                continue
            if control.tag == "select":
                options = control.find_all("option")
                chosen = [option for option in options if "selected" in option] or options[:1]
                sent.setdefault(name, []).extend(option.attributes.get("value", option.text) for option in chosen)
            elif control.tag == "textarea":
                sent.setdefault(name, []).append(control.text)
            elif control.tag == "input" and (kind not in {"checkbox", "radio"} or "checked" in control):
                sent.setdefault(name, []).append(control.attributes.get("value", ""))
        return sent


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        for around in self._open:
            around.inside.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        for around in self._open:
            around.parts.append(data)


def parse(page: str) -> Element:
    """Return the page, or the fragment of one, as an element that holds all of it."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.root


def html(response: Any) -> str:
    """Return the body of a response to the test client, with single spaces."""
    return " ".join(response.content.decode().split())
