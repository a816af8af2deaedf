"""The receivers in `docs/events.md` take what the desk signs, and nothing else."""

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from playwright._impl._driver import compute_driver_executable

from rentals.jobs.delivery_attempt import signed
from rentals.models import Delivery, Destination
from rentals.models.destinations import new_signing_secret

PAGE = (Path(settings.BASE_DIR) / "docs" / "events.md").read_text()
SNIPPETS = dict(re.findall(r"^```(python|js|php)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
BODY = '{"type": "rental.code", "data": {"name": "Đặng Văn Ánh"}}'

# Each prints the event, or null.
RUN_JS = """
const [secret, headers, body] = JSON.parse(process.argv[1]);
console.log(JSON.stringify(verify(secret, headers, Buffer.from(body))));
"""
RUN_PHP = """
[$secret, $headers, $body] = json_decode($argv[1], true);
echo json_encode(verify($secret, $headers, $body));
"""


def _verify_python(secret: str, headers: dict[str, str], body: str) -> Any:
    names: dict[str, Any] = {}
    exec(SNIPPETS["python"].replace("whsec_…", secret), names)
    status, _text = names["receive"](headers, body.encode())
    return json.loads(body) if status == 204 else None


def _verify_js(secret: str, headers: dict[str, str], body: str) -> Any:
    node, _driver = compute_driver_executable()
    return _output(
        [node, "--input-type=module", "--eval", SNIPPETS["js"] + RUN_JS, json.dumps([secret, headers, body])]
    )


def _verify_php(secret: str, headers: dict[str, str], body: str) -> Any:
    php = shutil.which("php")
    if php is None:
        pytest.skip("no PHP on this machine")
    return _output(
        [php, "-d", "display_errors=stderr", "-r", SNIPPETS["php"] + RUN_PHP, json.dumps([secret, headers, body])]
    )


def _output(command: list[str]) -> Any:
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert ended.stderr == ""
    return json.loads(ended.stdout)


@pytest.mark.parametrize("verify", [_verify_python, _verify_js, _verify_php], ids=["python", "js", "php"])
def test_a_receiver_takes_what_is_signed_and_nothing_else(verify: Any) -> None:
    destination = Destination()
    destination.secret, destination.old_secret = new_signing_secret(), new_signing_secret()
    destination.old_secret_until = timezone.now() + timedelta(hours=1)
    newest, before = destination.signing_secrets
    delivery = Delivery(destination=destination)
    headers = signed(delivery, BODY, timezone.now())
    assert verify(newest, headers, BODY) == json.loads(BODY)
    assert verify(before, headers, BODY) == json.loads(BODY)  # while the secret is being replaced
    other = new_signing_secret().reveal()
    assert verify(other, headers, BODY) is None
    assert verify(newest, headers, BODY.replace("Ánh", "Anh")) is None
    assert verify(newest, {**headers, "webhook-id": "msg_other"}, BODY) is None
    assert verify(newest, signed(delivery, BODY, timezone.now() - timedelta(minutes=6)), BODY) is None
    assert verify(newest, {**headers, "webhook-signature": "v1,%%% v2 ,"}, BODY) is None
    assert verify(newest, {}, BODY) is None
