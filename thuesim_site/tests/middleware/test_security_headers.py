"""The headers that keep other sites and scripts out, on pages, refusals and files alike."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from thuesim_site.start.environment import BASE_DIR


@pytest.mark.parametrize(
    "where",
    ["/accounts/login/", "/", "/nowhere/", "/healthz", pytest.param("/callback/wrong/", marks=pytest.mark.django_db)],
)
def test_every_answer_carries_them(where: str) -> None:
    headers = Client().get(where).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


def test_the_content_security_policy_lets_no_inline_script_and_no_other_host_in() -> None:
    policy = Client().get("/accounts/login/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in policy


@pytest.mark.django_db
def test_a_post_without_the_csrf_token_is_refused_everywhere_but_at_the_callback() -> None:
    client = Client(enforce_csrf_checks=True)
    for where in ("/accounts/login/", "/rent/", "/language/", "/team/settings/", "/join/secret/"):
        assert client.post(where, {}).status_code == 403
    assert client.post("/callback/wrong/", {}).status_code == 404


def test_a_body_past_the_limit_is_refused() -> None:
    assert Client().post("/accounts/login/", {"login": "x" * 300_000}).status_code == 400


def test_the_deployment_check_is_clean_behind_https(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "thuesim_site.settings",
        "DESK_DATA_DIR": str(tmp_path),
        "DESK_PUBLIC_URL": "https://desk.example.com",
        "SECRET_KEY": "",
        "DATABASE_URL": "",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
