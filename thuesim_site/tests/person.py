"""A person who uses the running desk through its pages, without a browser."""

import re
from collections.abc import Callable

import requests

from thuesim_site.testing import RunningDesk, wait_until


class Person:
    """Somebody who has signed in."""

    def __init__(self, desk: RunningDesk, name: str) -> None:
        self._desk, self._session = desk, requests.Session()
        self._post("/accounts/login/", "/accounts/login/", login=name, password=desk.passwords[name])

    def get(self, path: str) -> requests.Response:
        return self._session.get(self._desk.base_url + path, timeout=60)

    def _post(self, page: str, path: str, **fields: str) -> requests.Response:
        (html,) = re.findall(rf'<form[^>]* action="{path}".*?</form>', self.get(page).text, re.DOTALL)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html))
        address = self._desk.base_url
        return self._session.post(address + path, {**hidden, **fields}, headers={"Referer": address}, timeout=60)

    def wait_until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until the pages show it, and look at them as often as a person would: each costs the desk a page."""
        wait_until(holds, what, every=0.3)

    def rent(self) -> None:
        self.wait_until(lambda: "02.97" in self.get("/").text, "the catalog was read")
        answer = self._post("/", "/rent/", service="02.97")
        assert answer.status_code == 200

    def statuses(self) -> list[str]:
        """The statuses of the cards on the desk."""
        return re.findall(r'data-status="([a-z]+)"', self.get("/").text)
