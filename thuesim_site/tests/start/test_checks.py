"""What `./run` says about the settings before it starts anything."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

import lib.files
from thuesim_site.start import embedded_redis, public_url_check, supervise
from thuesim_site.start.checks import Role, Setup, check, check_providers, environment_for, fingerprints
from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.supervise import hold
from thuesim_site.start.variables import NoAnswer, WrongSetting
from thuesim_site.testing import RedisServer, free_port, known_names

WRONG = [
    ("PORT", "eighty"),
    ("PORT", "0"),
    ("PORT", "70000"),
    ("PORT", "8000.5"),
    ("SANDBOX_PORT", "x"),
    ("HOST", "no-such-host.invalid"),
    ("HOST", "192.0.2.1"),
    ("DEBUG", "perhaps"),
    ("DESK_DATA_DIR", "/dev/null/var"),
    ("DESK_DATA_DIR", "/proc/var"),
    ("DESK_FILES_DIR", "/proc/files"),
    ("DESK_FILES_URL", "https://key:hunter2@s3.example.com/desk"),
    ("DESK_FILES_URL", "s3://key:hunter2@s3.example.com"),
    ("DESK_FILES_URL", "s3://key:hunter2/and-more@s3.example.com/desk"),
    ("DESK_FILES_URL", "s3://key:hunter2@s3.example.com/desk?acl=public-read"),
    ("DESK_DATA_DIR", "/tmp/a;b"),
    ("DESK_PUBLIC_URL", "desk.example.com"),
    ("DESK_PUBLIC_URL", "ftp://desk.example.com"),
    ("DESK_PUBLIC_URL", "https://desk.example.com/desk?team=1"),
    ("DESK_PUBLIC_URL", "https://desk.example.com/the%20desk"),
    ("DESK_PUBLIC_URL", "https://desk.example.com/rentals"),
    ("DESK_PUBLIC_URL", "https://"),
    ("DESK_SECRET_KEYS", "secret"),
    ("DESK_PROXY_SECRET", "hunter2"),
    ("DESK_SECRET_KEYS", "a" * 44),
    ("DATABASE_URL", "mysql://localhost/desk"),
    ("DATABASE_URL", "desk.sqlite3"),
    ("DATABASE_URL", "sqlite://:memory:"),
    ("DATABASE_URL", "sqlite:////nowhere/desk.sqlite3"),
    ("DATABASE_URL", "postgres://desk:hunter2@127.0.0.1:1/desk"),
    ("DATABASE_URL", "postgres://desk:hunter2@127.0.0.1:1,[::1]:2/desk"),
    ("DATABASE_URL", "postgres://127.0.0.1:1/"),
    ("DATABASE_URL", "postgres://desk@127.0.0.1:port/desk"),
    ("DATABASE_URL", "postgres://desk:hunter2/and-more@127.0.0.1:1/desk"),
    ("REDIS_URL", "redis://:hunter2#and-more@127.0.0.1:1/0"),
    ("REDIS_URL", "redis://:[hunter2@127.0.0.1:1/0"),
    ("EMAIL_URL", "smtp://desk:hunter2/and-more@127.0.0.1:1"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "http://localhost:6379"),
    ("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0"),
    ("REDIS_URL", "redis://127.0.0.1:port/0"),
    ("REDIS_URL", "unix:///nowhere/redis.sock"),
    ("REDIS_URL", "redis+sentinel://:hunter2@127.0.0.1:1,127.0.0.1:2/"),
    ("REDIS_URL", "redis+sentinel://:hunter2@127.0.0.1:1,127.0.0.1:2/desk/first"),
    ("REDIS_URL", "redis+sentinel://:hunter2@127.0.0.1:1,127.0.0.1:two/desk"),
    ("REDIS_URL", "redis+sentinel://:hunter2@127.0.0.1:1,127.0.0.1:2/desk"),
    ("REDIS_URL", "redis+sentinel://:hunter2@127.0.0.1:1,[::1]:2/desk"),
    ("DESK_WORKERS", "many"),
    ("DESK_WORKERS", "0"),
    ("DESK_WORKERS", "-1"),
    ("DESK_SESSION_HOURS", "0"),
    ("EMAIL_URL", "pigeon://mail"),
    ("DESK_OIDC", "hunter2 = ["),
    ("DESK_OIDC", 'a = {issuer = "https://a.invalid", client_id = "desk"}'),
    ("DESK_OIDC", 'a = {issuer = "http://a.invalid", client_id = "desk", client_secret = "hunter2"}'),
    ("DESK_OIDC_FILE", "/nowhere/oidc.toml"),
    ("DESK_OIDC_DAYS", "0"),
    ("DESK_PASSWORDS", "never"),
    ("DESK_PASSWORDS", "off"),  # and no provider
    ("EMAIL_FROM", "desk"),
    ("DESK_LOG_LEVEL", "loud"),
    ("DESK_LOG_FORMAT", "xml"),
    ("THUESIM_BASE_URL", "thuesim.xyz"),
    ("THUESIM_BASE_URL", "file:///etc/passwd"),
    ("THUESIM_BASE_URL", "https://thuesim.xyz/?token=1"),
    ("THUESIM_TIMEOUT", "soon"),
    ("THUESIM_TIMEOUT", "0"),
    ("THUESIM_TIMEOUT", "nan"),
    ("THUESIM_RENT_GAP", "five"),
    ("THUESIM_RENT_GAP", "-1"),
    ("THUESIM_POLL_INTERVAL", "0"),
    ("DESK_CALLBACK_ALLOW", "10.0.0.0/8,example.com"),
    ("DESK_KEEP_MESSAGES_DAYS", "0"),
    ("DESK_KEEP_MESSAGES_DAYS", "ninety"),
    ("DJANGO_SUPERUSER_EMAIL", "admin"),
    ("THUESIM_TOKEN", "4801-00000000000000000000000000000000 and more"),
    ("SECRET_KEY", "short"),
    ("SECRET_KEY", "a" * 60),
    ("SECRET_KEY_FILE", "/nowhere/key"),
    ("THUESIM_TOKEN_FILE", "/nowhere/token"),
]


@pytest.fixture(scope="module")
def port() -> int:
    """For the desk; the next two are for its sandbox."""
    return free_port(3)


@pytest.fixture
def environment(tmp_path: Path, port: int) -> dict[str, str]:
    """Right settings; everything that is not said is unset, also for a developer's own `.env`."""
    return {**dict.fromkeys(known_names(), ""), "PORT": str(port), "DESK_DATA_DIR": str(tmp_path / "var")}


@pytest.fixture
def found(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Setup]:
    """Check these settings over the right ones."""

    def check_with(roles: Iterable[Role] = Role, **over: str) -> Setup:
        for name, value in (environment | over).items():
            monkeypatch.setenv(name, value)
        return check(roles)

    return check_with


@pytest.fixture
def wrong(found: Callable[..., Setup]) -> Callable[..., str]:
    """What is wrong with these settings."""

    def said_of(**over: str) -> str:
        with pytest.raises(WrongSetting) as raised:
            found(**over)
        return str(raised.value)

    return said_of


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value[:30]}" for name, value in WRONG])
def test_a_wrong_setting_is_one_sentence_that_names_it(wrong: Callable[..., str], name: str, value: str) -> None:
    said = wrong(**{name: value})
    assert said.startswith(name.removesuffix("_FILE"))
    assert said.endswith(".")
    assert "\n" not in said
    assert "hunter2" not in said


def test_the_scheme_of_a_database_may_be_in_capitals(wrong: Callable[..., str]) -> None:
    assert wrong(DATABASE_URL="SQLITE:////nowhere/a.sqlite3") == wrong(DATABASE_URL="sqlite:////nowhere/a.sqlite3")


def test_a_later_host_of_the_database_may_be_an_ipv6_address(wrong: Callable[..., str]) -> None:
    said = wrong(DATABASE_URL="postgres://desk:hunter2@[::1]:1,[::1]:1/desk")
    assert "cannot be reached" in said
    assert "could not translate host name" not in said


# By the status, systemd starts again what may answer later, and leaves what a person has to mend.
@pytest.mark.parametrize(
    ("over", "status"),
    [
        ({"PORT": "eighty"}, 2),
        ({"DATABASE_URL": "postgres://desk:hunter2@127.0.0.1:1/desk"}, os.EX_TEMPFAIL),
        ({"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"}, os.EX_TEMPFAIL),
    ],
)
def test_the_start_ends_with_that_sentence_alone(
    environment: dict[str, str], over: dict[str, str], status: int
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "thuesim_site.start.supervise"],
        cwd=BASE_DIR,
        env={"PATH": os.environ["PATH"], **environment, **over},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (status, "")
    assert ran.stderr.startswith(f"./run: {next(iter(over))} ")
    assert ran.stderr.count("\n") == 1


def test_an_address_with_a_token_in_it_is_refused_without_repeating_it(wrong: Callable[..., str]) -> None:
    assert "4801" not in wrong(THUESIM_BASE_URL="https://thuesim.xyz/?token=4801-secret")
    assert "4801" not in wrong(THUESIM_BASE_URL="thuesim.xyz/4801-secret")


def test_right_settings_pass(found: Callable[..., Setup], environment: dict[str, str]) -> None:
    setup = found()
    assert (setup.host, str(setup.port), setup.demo, setup.workers) == ("127.0.0.1", environment["PORT"], True, 2)
    assert setup.redis_server is not None


def test_a_file_that_is_wrong_inside_is_named_as_the_file(wrong: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text("our company is https://sso.example.com")
    assert wrong(DESK_OIDC_FILE=str(file)).startswith("DESK_OIDC_FILE is no TOML")


def test_a_provider_that_is_down_is_named_by_the_check_alone(found: Callable[..., Setup]) -> None:
    found(DESK_OIDC='office = {issuer = "http://127.0.0.1:9", client_id = "desk", client_secret = "hunter2"}')
    with pytest.raises(WrongSetting) as raised:
        check_providers()
    assert str(raised.value) == (
        "DESK_OIDC names http://127.0.0.1:9 as the issuer in [office], but it cannot be reached."
    )


def test_machines_with_other_keys_show_other_fingerprints(
    found: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET_KEY", "DESK_SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)
    assert fingerprints() == {}  # one machine's own, in its data directory
    first, second, secret = Fernet.generate_key().decode(), Fernet.generate_key().decode(), "0123456789abcdefghij" * 3
    found(SECRET_KEY=secret, DESK_SECRET_KEYS=f"{first},{second}")
    shown = fingerprints()
    assert re.fullmatch("[0-9a-f]{8}", shown["SECRET_KEY"])
    keys = shown["DESK_SECRET_KEYS"].split()
    assert len({*keys, shown["SECRET_KEY"]}) == 3
    found(SECRET_KEY=f"{secret}k", DESK_SECRET_KEYS=f"{second},{first}")
    assert fingerprints()["SECRET_KEY"] != shown["SECRET_KEY"]
    assert fingerprints()["DESK_SECRET_KEYS"].split() == keys[::-1]


def test_a_port_in_use_is_named(wrong: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert wrong(PORT=str(port)) == f"PORT is {port}, which cannot be used (Address already in use)."


def test_the_sandbox_takes_the_next_free_port(found: Callable[..., Setup], port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)):
        assert found().sandbox_port == port + 2


def test_a_data_directory_in_use_is_named(tmp_path: Path) -> None:
    for roles, others in ((Role, Role), (Role, {Role.WEB}), ({Role.WEB}, Role), ({Role.WEB}, {Role.WEB, Role.BEAT})):
        with (
            hold(tmp_path, roles),
            pytest.raises(WrongSetting, match=r"^DESK_DATA_DIR names .* another ./run is using now\.$"),
            hold(tmp_path, others),
        ):
            pytest.fail("both have it")


def test_runs_of_other_roles_share_a_data_directory(tmp_path: Path) -> None:
    with hold(tmp_path, {Role.WEB}), hold(tmp_path, {Role.WORKER, Role.SLOW}):
        pass
    with hold(tmp_path):
        pass


@pytest.fixture
def shared(redis_server: RedisServer, tmp_path: Path) -> dict[str, str]:
    """What machines share, but for the database."""
    return {
        "REDIS_URL": redis_server.url,
        "THUESIM_BASE_URL": "https://thuesim.xyz",
        "DESK_FILES_DIR": str(tmp_path / "files"),
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
        "DESK_SECRET_KEYS": Fernet.generate_key().decode(),
        "DATABASE_URL": "postgres://desk@127.0.0.1:1/desk",
    }


@pytest.mark.parametrize(
    "name",
    ["REDIS_URL", "THUESIM_BASE_URL", "DESK_FILES_DIR", "SECRET_KEY", "DESK_SECRET_KEYS", "DATABASE_URL"],
)
def test_roles_of_their_own_need_all_that_machines_share(
    found: Callable[..., Setup], shared: dict[str, str], name: str
) -> None:
    with pytest.raises(WrongSetting, match=rf"^{name} must be set where roles are given"):
        found(roles=[Role.WEB], **shared | {name: ""})


def test_roles_of_their_own_need_a_database_that_machines_can_share(
    found: Callable[..., Setup], shared: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(WrongSetting, match="SQLite is a file of one machine"):
        found(roles=[Role.BEAT], **shared | {"DATABASE_URL": f"sqlite:///{tmp_path}/desk.sqlite3"})


def test_a_bucket_takes_the_place_of_the_shared_folder(found: Callable[..., Setup], shared: dict[str, str]) -> None:
    bucket = {"DESK_FILES_DIR": "", "DESK_FILES_URL": "s3+http://key:hunter2@127.0.0.1:1/desk"}
    with pytest.raises(WrongSetting, match=r"^DATABASE_URL names a PostgreSQL that cannot be reached"):
        found(roles=[Role.WEB], **shared | bucket)


def test_a_bucket_that_does_not_answer_is_named_and_does_not_hold_up_the_start(found: Callable[..., Setup]) -> None:
    problem = found(DESK_FILES_URL="s3+http://key:hunter2@127.0.0.1:1/desk").storage_problem
    assert problem == ("DESK_FILES_URL names http://127.0.0.1:1/desk, which does not answer (EndpointConnectionError).")


def test_the_check_says_of_a_bucket_that_it_may_answer_later(found: Callable[..., Setup]) -> None:
    found(DESK_FILES_URL="s3+http://key:hunter2@127.0.0.1:1/desk")
    with pytest.raises(NoAnswer, match="which does not answer"):
        supervise._check(set(Role), newer_database_is_fine=False)


def test_a_bucket_and_a_folder_are_one_too_many(wrong: Callable[..., str], tmp_path: Path) -> None:
    said = wrong(DESK_FILES_URL="s3+http://key:hunter2@127.0.0.1:1/desk", DESK_FILES_DIR=str(tmp_path))
    assert said == "DESK_FILES_URL and DESK_FILES_DIR are both set: name the bucket or the folder."


def test_a_bucket_without_its_packages_says_what_to_run(
    wrong: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lib.files.s3_files", None)
    monkeypatch.delattr(lib.files, "s3_files", raising=False)
    said = wrong(DESK_FILES_URL="s3+http://key:hunter2@127.0.0.1:1/desk")
    assert "-r requirements-s3.lock" in said


@pytest.mark.parametrize(("arguments", "status"), [(["web", "cook"], 2), (["--help"], 0)])
def test_the_start_names_the_roles(environment: dict[str, str], arguments: list[str], status: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "thuesim_site.start.supervise", *arguments],
        cwd=BASE_DIR,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == status
    assert all(role in ran.stdout + ran.stderr for role in (*Role, "all"))


@pytest.mark.parametrize(
    ("findings", "status", "line"),
    [
        ([], 0, "- All arrives as it should."),
        ([("It expires.", True)], 0, "- Warning: It expires."),
        ([("It expires.", True), ("The host is lost.", False)], 1, "- The host is lost."),
    ],
)
def test_the_check_fails_for_what_people_would_notice(
    found: Callable[..., Setup],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    findings: list[tuple[str, bool]],
    status: int,
    line: str,
) -> None:
    found(DESK_PUBLIC_URL="http://desk.example.com")
    monkeypatch.setattr(public_url_check, "findings", lambda setup, *, answers_here: findings)
    assert supervise._check(set(Role), newer_database_is_fine=False) == status
    assert line in capsys.readouterr().out.splitlines()


# The folder that is looked at, in the true service and in the demo.
FOLDERS = [("var", "https://thuesim.xyz"), ("var/demo", "")]


@pytest.mark.parametrize(("folder", "base_url"), FOLDERS)
def test_a_database_that_is_none_is_named(
    wrong: Callable[..., str], tmp_path: Path, folder: str, base_url: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "desk.sqlite3").write_text("long enough to be read as the head of a database" * 40)
    said = wrong(THUESIM_BASE_URL=base_url)
    assert said.startswith("DESK_DATA_DIR names")
    assert "not a database" in said


@pytest.mark.parametrize(("folder", "base_url"), FOLDERS)
def test_a_broken_key_in_the_data_directory_is_named(
    wrong: Callable[..., str], tmp_path: Path, folder: str, base_url: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "token_key").write_text("broken")
    assert wrong(THUESIM_BASE_URL=base_url).startswith("DESK_SECRET_KEYS is not set, and")


def test_without_any_redis_server_it_says_what_to_do(
    wrong: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "find_server", lambda: None)
    assert wrong() == "REDIS_URL is not set and there is no redis-server 6.2 or later: install one, or set it."


def test_a_real_redis_is_used(found: Callable[..., Setup], redis_server: RedisServer) -> None:
    assert found(REDIS_URL=redis_server.url).redis_server is None


def test_an_empty_value_is_no_value(found: Callable[..., Setup]) -> None:
    assert found(DESK_WORKERS=" ").workers == 2


def test_a_value_may_stand_in_a_file(found: Callable[..., Setup], tmp_path: Path) -> None:
    (tmp_path / "value").write_text("3\n")
    assert found(DESK_WORKERS_FILE=str(tmp_path / "value")).workers == 3


def test_the_processes_do_not_inherit_what_only_the_first_start_reads(
    found: Callable[..., Setup], environment: dict[str, str]
) -> None:
    setup = found(THUESIM_TOKEN="4801-0", DJANGO_SUPERUSER_PASSWORD="hunter2", DATABASE_URL="")
    inherited = environment_for(setup)
    assert {"THUESIM_TOKEN", "DJANGO_SUPERUSER_PASSWORD"}.isdisjoint(inherited)
    assert (inherited["PORT"], inherited["SANDBOX_PORT"]) == (environment["PORT"], str(setup.sandbox_port))


def test_a_database_that_a_newer_version_has_migrated_is_named(wrong: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT)")
        applied = [("rentals", "0001_initial"), ("rentals", "9999_later"), ("taken_away", "0001_initial")]
        database.executemany("INSERT INTO django_migrations (app, name) VALUES (?, ?)", applied)
    sentence = wrong(DATABASE_URL=f"sqlite:///{path}")
    assert "a newer version of the desk has migrated (rentals.9999_later)" in sentence
    assert check(newer_database_is_fine=True).demo
