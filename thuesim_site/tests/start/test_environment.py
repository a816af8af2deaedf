"""Secrets come from the environment or from a file that it names; behind https browsers are told to stay there."""

import json
import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from pytest_django import Settings

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import known_names

PRINT = """
import json
from thuesim_site import settings as s
d = s.DATABASES["default"]
print(json.dumps({
    "SECRET_KEY": s.SECRET_KEY, "DESK_SECRET_KEYS": s.TOKEN_KEYS, "DATABASE_URL": [d["NAME"], d["PASSWORD"]],
    "REDIS_URL": s.REDIS_URL, "EMAIL_URL": s.EMAIL_HOST_PASSWORD, "DESK_METRICS_TOKEN": s.METRICS_TOKEN,
    "cursors": not d["DISABLE_SERVER_SIDE_CURSORS"], "server_options": d["OPTIONS"].get("options", ""),
    "tcp_user_timeout": d["OPTIONS"]["tcp_user_timeout"], "session": d["OPTIONS"]["target_session_attrs"],
    "hsts": [s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE],
}))
"""
KEYS = [Fernet.generate_key().decode(), Fernet.generate_key().decode()]
# What stands in the file, and what the settings make of it.
SECRETS = {
    "SECRET_KEY": ("$ecret-that-is-long-enough-for-all", "$ecret-that-is-long-enough-for-all"),
    "DESK_SECRET_KEYS": (",".join(KEYS), KEYS),
    "DATABASE_URL": (
        "postgres://desk:pa$$word@db1.invalid:5432,db2.invalid:5432/desk?target_session_attrs=read-write",
        ["desk", "pa$$word"],
    ),
    "REDIS_URL": ("redis://:secret@redis.invalid:6379/0", "redis://:secret@redis.invalid:6379/0"),
    "EMAIL_URL": ("smtp+tls://user:letters@mail.invalid:587", "letters"),
    "DESK_METRICS_TOKEN": ("$figures", "$figures"),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of a process whose secrets all stand in files, each ending with a new line."""
    folder = tmp_path_factory.mktemp("secrets")
    environment = {**os.environ, **dict.fromkeys(known_names(), "")}
    for name, (text, _expected) in SECRETS.items():
        (folder / name).write_text(f"{text}\n")
        del environment[name]
        environment[f"{name}_FILE"] = str(folder / name)
    environment |= {"DESK_DATA_DIR": str(folder), "DESK_PUBLIC_URL": "https://desk.example.com"}
    return _read(environment)


def _read(environment: dict[str, str]) -> dict[str, object]:
    command = [sys.executable, "-c", PRINT]
    done = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_from_the_file_that_is_named(read: dict[str, object], name: str) -> None:
    assert read[name] == SECRETS[name][1]


def test_https_from_outside_means_secure_cookies_and_a_year_of_https(read: dict[str, object]) -> None:
    assert read["hsts"] == [31_536_000, True, True, True]


@pytest.fixture(scope="module")
def read_plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of a process without DESK_PUBLIC_URL, whose database is behind PgBouncer."""
    folder = str(tmp_path_factory.mktemp("plain"))
    environment = {**os.environ, **dict.fromkeys(known_names(), ""), "DESK_DATA_DIR": folder, "DESK_PGBOUNCER": "yes"}
    environment["EMAIL_URL"] = SECRETS["EMAIL_URL"][0]
    environment["DATABASE_URL"] = f"{SECRETS['DATABASE_URL'][0]}&tcp_user_timeout=5000"
    return _read(environment)


def test_plain_http_promises_no_https(read_plain: dict[str, object]) -> None:
    assert read_plain["hsts"] == [0, False, False, False]


def test_postgresql_is_asked_to_give_up_a_machine_that_fell_silent(read: dict[str, object]) -> None:
    assert (read["session"], read["tcp_user_timeout"], read["cursors"]) == ("read-write", 7_000, True)
    assert "-c tcp_user_timeout=7000" in str(read["server_options"])


def test_postgresql_compiles_no_statement(read: dict[str, object]) -> None:
    assert "-c jit=off" in str(read["server_options"])


def test_postgresql_writes_times_as_the_driver_reads_them(read: dict[str, object]) -> None:
    assert "-c datestyle=ISO" in str(read["server_options"])


def test_pgbouncer_is_sent_no_parameter_that_it_refuses_and_no_cursor(read_plain: dict[str, object]) -> None:
    assert (read_plain["server_options"], read_plain["cursors"]) == ("", False)
    assert read_plain["tcp_user_timeout"] == 5000  # DATABASE_URL has the last word


@pytest.mark.django_db
def test_the_header_is_sent_over_https_alone(settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True
    settings.SECURE_HSTS_PRELOAD = True
    over_https = Client().get("/accounts/login/", secure=True)
    assert over_https["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert "Strict-Transport-Security" not in Client().get("/accounts/login/")
