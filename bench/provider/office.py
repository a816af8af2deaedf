"""A true OpenID provider on this machine, Canaille, for tests and for a try by hand.

    python -m bench.provider [--port 9480] [--desk http://127.0.0.1:8000]

prints the `DESK_OIDC` for a desk at that address, and serves until Ctrl-C. Canaille is installed from PyPI into a virtual
environment of its own, `var/provider` (or `DESK_PROVIDER_VENV`), and keeps everything in memory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from thuesim_site.start.environment import BASE_DIR

REQUIREMENT = "canaille[front,oidc]==0.3.6"
CLIENT_SECRET = "only-for-a-try-on-this-machine"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
PEOPLE = {
    "linh": {
        "given_name": "Linh",
        "family_name": "Trần",
        "email": "linh@example.com",
        "password": "linh-works-here",
    },
    "lan": {"given_name": "Lan", "family_name": "Vũ", "email": "lan@example.com", "password": "lan-works-here"},
}
GROUPS = {"operators": ["linh"], "managers": ["lan"]}


def environment() -> Path:
    """Return the Python with Canaille in it, installed if it is not there yet."""
    folder = Path(os.environ.get("DESK_PROVIDER_VENV") or BASE_DIR / "var" / "provider")
    python, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists() or stamp.read_text() != REQUIREMENT:
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
        _install(python)
        stamp.write_text(REQUIREMENT)
    return python


def _install(python: Path) -> None:
    """Install Canaille by uv, in a tenth of the time. That reads no settings of pip, so where it fails, pip is asked."""
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--python", str(python), REQUIREMENT]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-compile", REQUIREMENT]
    try:
        subprocess.run(uv, check=True, capture_output=True, env={**os.environ, "UV_HTTP_RETRIES": "0"})
    except (OSError, subprocess.CalledProcessError):
        subprocess.run([*pip, "--disable-pip-version-check"], check=True)


class Office:
    """The provider: its address, its clients, and tokens that it could have signed."""

    def __init__(self, port: int, desk: str, clients: tuple[str, ...] = ("office", "branch")) -> None:
        self.issuer, self.desk, self.clients = f"http://127.0.0.1:{port}", desk, clients
        self._port = port
        self._key = rsa.generate_private_key(65537, 2048)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers. Raises `RuntimeError`."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key))
        key.pop("key_ops", None)
        wanted = {
            "port": self._port,
            "key": {**key, "kid": "office", "use": "sig", "alg": "RS256"},
            "people": PEOPLE,
            "groups": GROUPS,
            "clients": [self._client(name) for name in self.clients],
        }
        command = [str(environment()), str(Path(__file__).with_name("canaille_app.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process.stdin as given:
            json.dump(wanted, given)
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError("the provider did not start")

    def _client(self, name: str) -> dict[str, Any]:
        return {
            "client_id": name,
            "client_secret": CLIENT_SECRET,
            "address": self.desk,
            "redirect_uris": [f"{self.desk}/accounts/oidc/{name}/login/callback/"],
            "post_logout_redirect_uris": [f"{self.desk}/accounts/login/"],
        }

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def setting(self) -> str:
        """Return the `DESK_OIDC` of the desk."""
        return "\n".join(
            f'[{name}]\nname = "{name.title()}"\nissuer = "{self.issuer}"\nclient_id = "{name}"\n'
            f'client_secret = "{CLIENT_SECRET}"\nscopes = ["openid", "profile", "email", "groups"]\nsign_out = true\n'
            for name in self.clients
        )

    def logout_token(self, client: str, subject: str) -> str:
        """Return a token that says that a person signed out: Canaille has keys, but sends none by itself."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": client,
            "iat": now,
            "exp": now + 120,
            "jti": f"{time.monotonic_ns()}",
            "sub": subject,
            "events": {LOGOUT_EVENT: {}},
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "office", "typ": "logout+jwt"})


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=9480)
    parser.add_argument("--desk", default="http://127.0.0.1:8000", help="the address of the desk")
    options = parser.parse_args()
    office = Office(options.port, options.desk)
    office.start()
    people = ", ".join(f"{name} / {each['password']}" for name, each in PEOPLE.items())
    print(f"{office.setting()}\nPeople: {people}")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        office.stop()
