"""A disk that becomes full under the whole desk: what pages, orders, sign-in and `/readyz` say, and what comes of a code.

As root: mkdir /tmp/small && mount -t tmpfs -o size=64m tmpfs /tmp/small && python -m bench.disk_full /tmp/small
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import requests

from sandbox.server import Sandbox
from thuesim_site.testing import RunningDesk, wait_until


class Person:
    """Somebody at the desk."""

    def __init__(self, desk: RunningDesk, name: str) -> None:
        self.desk, self.session, self.name = desk, requests.Session(), name

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.desk.base_url + path, timeout=30)

    def post(self, page: str, path: str, **fields: str) -> requests.Response:
        (html,) = re.findall(rf'<form[^>]* action="{path}".*?</form>', self.get(page).text, re.DOTALL)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html))
        headers = {"Referer": self.desk.base_url}
        return self.session.post(self.desk.base_url + path, {**hidden, **fields}, headers=headers, timeout=30)

    def sign_in(self) -> requests.Response:
        password = self.desk.passwords[self.name]
        return self.post("/accounts/login/", "/accounts/login/", login=self.name, password=password)

    def rent(self) -> requests.Response:
        return self.post("/", "/rent/", service="02.97")


def say(what: str, answer: requests.Response) -> None:
    """Print the status and the first sentence that is about the disk."""
    text = re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", answer.text, flags=re.DOTALL))
    found = re.search(r"[^.]*(disk|ổ đĩa|Ổ đĩa)[^.]*\.?", text)
    print(f"  {what:<12} {answer.status_code}  {found[0].strip()[:150] if found else ''}", flush=True)


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            print(f"  {error}")


def main(small: Path) -> None:
    """Run it in `small`, a folder on a file system of some 64 MB."""
    ballast = small / "ballast"
    with tempfile.TemporaryDirectory() as roomy, Sandbox(gap=1.0, message_after=None) as upstream:
        desk = RunningDesk(small, THUESIM_BASE_URL=upstream.url, THUESIM_TOKEN=upstream.token)
        desk._output = Path(roomy) / "output.txt"  # another file system
        desk.start()
        try:
            person = Person(desk, "admin")
            say("sign in", person.sign_in())
            wait_until(lambda: "02.97" in person.get("/").text, "the catalog is there")
            say("order", person.rent())
            wait_until(lambda: upstream.books()["waiting"] == 1, "the number was rented")
            time.sleep(3)
            print("full:")
            for _ in range(3):
                fill(ballast)
                time.sleep(3)
            for path in ["/", "/rentals/", "/system/", "/readyz", "/metrics"]:
                say(path, person.get(path))
            say("order", person.rent())
            say("sign in", Person(desk, "admin").sign_in())
            [rental] = upstream.books()["rentals"]
            upstream.deliver(rental["id"], "Ma xac thuc: 482913", "482913")
            time.sleep(10)
            print(f"  processes: {len(desk.processes())}, ./run: {desk.running()}")
            print(f"  numbers rented: {len(upstream.books()['rentals'])}")
            ballast.unlink()
            began = time.monotonic()
            wait_until(lambda: "482913" in person.get("/").text, "the code is on the desk", 90)
            print(f"room again: the code is there after {time.monotonic() - began:.1f} s")
            say("/readyz", person.get("/readyz"))
            say("order", person.rent())
        finally:
            ballast.unlink(missing_ok=True)
            desk.stop()
            lines = desk.output().splitlines()
            print(f"lines logged: {len(lines)}, tracebacks: {sum('Traceback' in line for line in lines)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
