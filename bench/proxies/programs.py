"""The proxies of `bench.proxies`: each from its file in `docs/proxies`, with the addresses of this run in the place of the
examples."""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import wait_until

SNIPPETS = BASE_DIR / "docs" / "proxies"
PAGE = SNIPPETS / "away.html"
IDLE = "75s"  # the time-out in the files that have one


@dataclass(frozen=True)
class Place:
    """Where a proxy runs: its folder, its ports, its certificate, the desk's port, and its time-out for a silent stream."""

    folder: Path
    port: int
    plain_port: int
    certificate: Path
    desk_port: int
    idle: str = IDLE

    def text(self, name: str) -> str:
        """Return a file of `docs/proxies` for this place."""
        text = (SNIPPETS / name).read_text()
        for example, here in self._examples().items():
            text = text.replace(example, here)
        return text

    def _examples(self) -> Mapping[str, str]:
        return {
            "https://desk.example.com": f"https://localhost:{self.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.desk_port}",
            "/etc/ssl/desk.pem": str(self.certificate),
            "/usr/share/thuesim-desk": str(self.folder),
            "/etc/haproxy/desk-away.http": str(self.folder / "desk-away.http"),
            "/etc/traefik/": f"{self.folder}/",
            IDLE: self.idle,
        }

    def write(self, name: str, text: str) -> Path:
        """Write a file into the proxy's folder, beside the page for a desk that is away."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        shutil.copy(PAGE, self.folder / "desk-away.html")
        page = PAGE.read_text().replace("\n", "\r\n")
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
        )
        (self.folder / "desk-away.http").write_bytes(
            f"{head}Retry-After: 5\r\nConnection: close\r\n\r\n{page}".encode()
        )
        path = self.folder / name
        path.write_text(text)
        return path


Command = Callable[[Place], list[str]]


def nginx(place: Place) -> list[str]:
    """nginx with docs/proxies/nginx.conf."""
    return _nginx(place, place.text("nginx.conf"))


def nginx_of_a_cdn(place: Place) -> list[str]:
    """The same behind a network that comes from 127.0.0.3, and names its visitors in a header of its own."""
    trusted = place.text("nginx-behind-a-cdn.conf").replace("198.51.100.0/24", "127.0.0.3/32")
    return _nginx(place, trusted + place.text("nginx.conf"))


def nginx_below(place: Place, *, strips: bool) -> list[str]:
    """nginx below a path. With `strips` it takes the path away."""
    locations = place.text("nginx-below-a-path.conf")
    if strips:
        locations = locations.replace(f"127.0.0.1:{place.desk_port};", f"127.0.0.1:{place.desk_port}/;")
    tls = f"ssl_certificate {place.certificate}; ssl_certificate_key {place.certificate};"
    return _nginx(place, f"server {{ listen {place.port} ssl http2; server_name localhost; {tls} {locations} }}")


def _nginx(place: Place, text: str) -> list[str]:
    text = text.replace("desk.example.com", "localhost").replace("listen 80;", f"listen {place.plain_port};")
    text = text.replace("listen 443 ssl", f"listen {place.port} ssl")
    folders = " ".join(f"{kind}_temp_path {place.folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    http = f"access_log off; gzip on; gzip_proxied any; client_body_temp_path {place.folder}/body; {folders}"
    main = f"pid {place.folder}/pid; error_log {place.folder}/log warn; daemon off; worker_processes 1; user root;"
    path = place.write("nginx.conf", f"{main}\nevents {{}}\nhttp {{ {http}\n{text}\n}}\n")
    return ["nginx", "-c", str(path), "-p", str(place.folder)]


def haproxy(place: Place) -> list[str]:
    """HAProxy with docs/proxies/haproxy.cfg."""
    text = place.text("haproxy.cfg").replace("bind :80", f"bind :{place.plain_port}")
    return ["haproxy", "-db", "-f", str(place.write("haproxy.cfg", text.replace("bind :443", f"bind :{place.port}")))]


def edge_of_a_cdn(place: Place) -> list[str]:
    """HAProxy in the part of a network such as Cloudflare: it adds to X-Forwarded-For, and names the visitor."""
    text = f"""
defaults
    mode http
    timeout connect 5s
    timeout client 100s
    timeout server 100s
    retries 0
frontend people
    bind :{place.port} ssl crt {place.certificate} alpn h2,http/1.1
    option forwardfor
    http-request set-header CF-Connecting-IP %[src]
    http-request set-header CF-Ray 0-SGN
    http-request set-header X-Forwarded-Proto https
    default_backend origin
backend origin
    server origin 127.0.0.1:{place.desk_port} ssl verify none source 127.0.0.3
"""
    return ["haproxy", "-db", "-f", str(place.write("edge.cfg", text))]


def caddy(place: Place) -> list[str]:
    """Caddy with docs/proxies/Caddyfile."""
    return _caddy(place, place.text("Caddyfile"))


def caddy_below(place: Place, *, strips: bool) -> list[str]:
    """Caddy below a path."""
    handle = "handle_path" if strips else "handle"
    proxy = f"reverse_proxy 127.0.0.1:{place.desk_port}"
    return _caddy(place, f"desk.example.com {{\n{handle} /desk/* {{\n{proxy}\n}}\n}}\n")


def _caddy(place: Place, text: str) -> list[str]:
    text = text.replace(
        "desk.example.com {", f"https://localhost:{place.port} {{\ntls {place.certificate} {place.certificate}"
    )
    ports = f"https_port {place.port}\nhttp_port {place.plain_port}"
    path = place.write("Caddyfile", f"{{\nadmin off\n{ports}\n}}\n{text}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(path)]


def traefik(place: Place) -> list[str]:
    """Traefik with docs/proxies/traefik.yaml and traefik-desk.yaml."""
    return _traefik(place, place.text("traefik-desk.yaml"))


def traefik_below(place: Place, *, strips: bool) -> list[str]:
    """Traefik below a path."""
    text = place.text("traefik-desk.yaml").replace("`desk.example.com`)", "`desk.example.com`) && PathPrefix(`/desk`)")
    if strips:
        text = text.replace("[desk-retry]", "[desk-retry, desk-strip]")
        strip = "middlewares:\n    desk-strip:\n      stripPrefix:\n        prefixes: [/desk]\n"
        text = text.replace("middlewares:\n", strip, 1)
    return _traefik(place, text)


def _traefik(place: Place, dynamic: str) -> list[str]:
    place.write("traefik-desk.yaml", dynamic.replace("desk.example.com", "localhost"))
    static = place.text("traefik.yaml").replace('":80"', f'":{place.plain_port}"').replace('":443"', f'":{place.port}"')
    return ["traefik", f"--configFile={place.write('traefik.yaml', static)}"]


def version(program: str) -> str:
    """Return a program's version, `""` where there is none on PATH."""
    if shutil.which(program) is None:
        return ""
    option = {"nginx": ["-v"], "haproxy": ["-v"]}.get(program, ["version"])
    ran = subprocess.run([program, *option], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", ran.stdout + ran.stderr)
    return found[0] if found else "?"


@contextlib.contextmanager
def running(command: list[str], place: Place) -> Iterator[None]:
    """Run a proxy inside the block, from the moment it listens."""
    environment = {**os.environ, "HOME": str(place.folder), "XDG_DATA_HOME": str(place.folder)}
    with (place.folder / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        wait_until(lambda: _listens(place.port) or process.poll() is not None, f"{command[0]} listens", 20)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended: {(place.folder / 'output').read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    """Whether it speaks TLS: Traefik listens before it has read its routes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as plain:
        context.wrap_socket(plain, server_hostname="localhost").close()
        return True
    return False
