"""Whatever fails, no secret is logged or shown: requests to each address that carries one, with the database down, the
disk full, Redis down, and an error of our own, with DEBUG and without, at the log level DEBUG."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client
from django.utils.module_loading import import_string
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from redis import ConnectionError as RedisConnectionError

from accounts import invitations
from accounts.models import Role
from lib import announce
from rentals.models import CallbackAddress
from rentals.tests.factories import make_person, make_team, make_token
from thuesim_site.redaction import clean, setting_secrets

API_TOKEN = "7-0123456789abcdef0123456789abcdef"
DATABASE_PASSWORD, REDIS_PASSWORD = "d@tabase/pass word", "re:dis&pass<word>"
TYPED, METRICS_TOKEN = "nine Tall-trees", "metrics-bearer-value"
RESET_KEY = "c8x2f1-89abcdef0123456789abcdef01234567"


@dataclass
class Visit:
    """A browser that holds secrets, the requests that carry them, and the secrets by name."""

    browser: Client
    requests: list[tuple[str, str, dict[str, str]]]
    secrets: dict[str, str]


@pytest.fixture
def visit(db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Visit:
    settings.REDIS_URL = f"redis://:{quote(REDIS_PASSWORD, safe='')}@127.0.0.1:1/0"
    settings.METRICS_TOKEN = METRICS_TOKEN
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", DATABASE_PASSWORD)
    team = make_team()
    manager = make_person(team, Role.MANAGER, is_staff=True)
    token = make_token(team, value="8-00112233445566778899aabbccddeeff")
    callback = CallbackAddress.issue(token).secret.reveal()
    _invitation, join = invitations.invite(manager, team, role=Role.VIEWER)
    browser = Client(raise_request_exception=False, enforce_csrf_checks=True)
    browser.force_login(manager)
    browser.get("/accounts/password/change/")
    session, csrf = browser.cookies["sessionid"].value, browser.cookies["csrftoken"].value
    form = {"csrfmiddlewaretoken": csrf}
    requests = [
        ("POST", f"/callback/{callback}/", {"token": API_TOKEN}),
        ("GET", f"/join/{join}/", {}),
        ("POST", f"/join/{join}/", {**form, "username": "linh", "password1": TYPED, "password2": TYPED}),
        ("GET", f"/accounts/login/?next=%2Fjoin%2F{join}%2F", {}),
        ("POST", "/accounts/login/", {**form, "login": manager.username, "password": TYPED}),
        ("GET", f"/accounts/password/reset/key/1-{RESET_KEY}/", {}),
        ("POST", "/accounts/password/change/", {**form, "oldpassword": TYPED, "password1": TYPED, "password2": TYPED}),
        ("POST", "/admin/rentals/token/add/", {**form, "name": "new", "teams": str(team.pk), "new_value": API_TOKEN}),
        ("POST", f"/admin/rentals/token/{token.pk}/replace/", {**form, "new_value": API_TOKEN}),
        ("POST", f"/admin/rentals/token/{token.pk}/callback/", form),
        ("GET", "/metrics", {}),
        ("GET", "/", {}),
    ]
    secrets = {
        "callback": callback, "invitation": join, "reset link": RESET_KEY, "session": session, "CSRF": csrf,
        "API token": API_TOKEN, "password": TYPED, "metrics token": METRICS_TOKEN, "database": DATABASE_PASSWORD,
        "Redis": REDIS_PASSWORD, "SECRET_KEY": settings.SECRET_KEY, "DESK_SECRET_KEYS": settings.TOKEN_KEYS[0],
    }  # fmt: skip
    return Visit(browser, requests, secrets)


@pytest.fixture
def written(settings: Settings) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """What the configured filter lets the log have, and what it would have without the filter. All loggers at DEBUG but
    those whose level the settings hold higher."""
    before, after = logging.StreamHandler(io.StringIO()), logging.StreamHandler(io.StringIO())
    after.addFilter(import_string(settings.LOGGING["filters"]["redact"]["()"])())
    fixed = settings.LOGGING["loggers"]
    loggers = [
        logging.getLogger(name) for name in ["", *logging.root.manager.loggerDict] if "level" not in fixed.get(name, {})
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    # Before all others, and in this order: the filter rewrites the record.
    logging.root.handlers[:0] = [before, after]
    yield after.stream, before.stream
    for handler in (before, after):
        logging.root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def shown_in(text: str, secrets: dict[str, str]) -> set[str]:
    """Return the names of the secrets that are in `text`, as they are or quoted. Of an API token half is too much."""
    parts = {name: secret.partition("-")[2][:20] if name == "API token" else secret for name, secret in secrets.items()}
    return {name for name, part in parts.items() if part in text or quote(part, safe="") in text}


def database_down() -> AbstractContextManager[Any]:

    def cursor(self: Any) -> None:
        raise OperationalError(f"no connection to postgres://desk:{quote(DATABASE_PASSWORD, safe='')}@db/desk")

    return mock.patch("django.db.backends.base.base.BaseDatabaseWrapper.cursor", cursor)


def disk_full() -> AbstractContextManager[Any]:
    """Every statement that writes fails, with the values of its row in the message."""
    from django.db.backends.utils import CursorWrapper

    real = CursorWrapper._execute  # type: ignore[attr-defined]

    def execute(self: Any, sql: Any, params: Any, *rest: Any) -> Any:
        if not str(sql).lstrip().startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            raise OperationalError(f"no space left on device, DETAIL: {sql} {params}")
        return real(self, sql, params, *rest)

    return mock.patch.object(CursorWrapper, "_execute", execute)


def redis_down() -> AbstractContextManager[Any]:
    """Redis names its address in its error."""
    announce._publisher_for.cache_clear()

    def publish(self: Any, channel: str, message: str) -> None:
        raise RedisConnectionError(f"Error 111 connecting to redis://:{REDIS_PASSWORD}@127.0.0.1:1/0")

    return mock.patch("redis.Redis.publish", publish)


def our_own_error() -> AbstractContextManager[Any]:
    """An error with everything in its message that the request brought, and a setting."""

    def raises(self: Any, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        every = (request.get_full_path(), request.headers, request.COOKIES, kwargs, request.POST.dict())
        raise RuntimeError(f"{every} {DATABASE_PASSWORD} {REDIS_PASSWORD} {setting_secrets()}")

    return mock.patch("accounts.middleware.SignInRequiredMiddleware.process_view", raises)


FAILURES: list[Callable[[], AbstractContextManager[Any]]] = [database_down, disk_full, redis_down, our_own_error]


@pytest.mark.parametrize("debug", [False, True], ids=["", "DEBUG"])
@pytest.mark.parametrize("failure", FAILURES)
def test_no_secret_is_logged_or_shown(
    failure: Callable[[], AbstractContextManager[Any]],
    debug: bool,
    visit: Visit,
    written: tuple[io.StringIO, io.StringIO],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.DEBUG = debug
    monkeypatch.setattr(announce._Publisher, "_wait_for_redis", lambda self: None)
    pages, statuses = [], []
    with failure(), django_capture_on_commit_callbacks(execute=True):
        visit.browser.handler.load_middleware()
        for method, path, data in visit.requests:
            headers = {"Authorization": f"Bearer {METRICS_TOKEN}", "X-CSRFToken": visit.secrets["CSRF"]}
            ask = visit.browser.post if method == "POST" else visit.browser.get
            response = ask(path, data, headers=headers)
            # A page may show the form's own CSRF token and the address that it was asked for, but an error page neither.
            if response.status_code >= 500:
                pages.append(response.content.decode())
            statuses.append(response.status_code)
    log, unfiltered = (stream.getvalue() for stream in written)
    assert shown_in(log, visit.secrets) == set(), "in the log"
    assert shown_in("\n".join(pages), visit.secrets) == set(), "on a page"
    if failure is redis_down:
        assert "Redis takes no announcements" in log
    else:
        assert sum(status >= 500 for status in statuses) >= 3, statuses
        assert shown_in(unfiltered, visit.secrets) >= {"callback"}, "the test drove nothing"
    if debug and failure is not redis_down:
        assert max(len(page) for page in pages) > 50_000, "no page for developers was searched"


@pytest.mark.parametrize(
    "text",
    [
        "Internal Server Error: /callback/SECRETSECRET/",
        "GET /join/SECRETSECRET",
        "/accounts/login/?next=%2Fjoin%2FSECRETSECRET%2F",
        "/accounts/password/reset/key/1-SECRETSECRET/",
        "/accounts/confirm-email/SECRETSECRET/",
        "Cookie: django_language=vi; sessionid=SECRETSECRET; csrftoken=SECRETSECRET",
        "__Host-sessionid=SECRETSECRET",
        """WHERE "session_key" = 'SECRETSECRET'""",
        "DETAIL: Key (session_key)=(SECRETSECRET) already exists.",
        "{'password': 'SECRETSECRET', 'new_value': \"SECRETSECRET\"}",
        "login=linh&password=SECRETSECRET&next=/",
        "Authorization: Bearer SECRETSECRET",
        "postgres://desk:SECRETSECRET@db/desk, redis://:SECRETSECRET@127.0.0.1/0",
    ],
)
def test_a_secret_is_known_by_its_place(text: str) -> None:
    assert "SECRETSECRET" not in clean(text)


@pytest.mark.parametrize(
    "secret",
    [
        "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6",  # a session key
        "AbCdEfGh12345678AbCdEfGh12345678AbCdEfGh12345678AbCdEfGh12345678",  # a CSRF token
        "kQmPzrWTbnYcGfLsHdJxVaEtUoIyRwKe",  # one without a digit
        "Zk3-_9dQeWfRtGyHuJiKoLpMnBvCxZaSqDwFeGrHt1Y",  # the secret of a link
        "desk_Zk3-_9dQeWfRtGyHuJiKoLpMnBvCxZaSqDwFeGrHt1Y",  # an API key
        "gAAAAABmZk3-_9dQeWfRtGyHuJiKoLpMnBvCxZaSqDwFeGrHt1Y==",  # an encrypted text
        "wKz7hUS1c2Dq6kYv0m3nXo8rT5bJ4gEpLfAiQyHxZ9s=",  # an encryption key
    ],
)
def test_a_secret_is_known_by_its_form(secret: str) -> None:
    assert secret not in clean(f"the value {secret} was refused")


@pytest.mark.parametrize(
    "text",
    [
        "order 8812 of Team 3 at 2026-11-22 10:31:07 costs 1.450 đồng",
        "token 7: InvalidToken: Mã token không đúng",
        "GET /rentals/881/ 200, GET /static/css/base.0a1b2c3d4e5f.css",
        "rentals.tests.jobs.test_reconciling_and_everything_else",
        "pages.live.hub.UnansweredConnectionsofaprocess ended",
        "task 5e0c9b1e-7d5f-4c1a-9a44-1f2f3a4b5c6d retried: 10.0.0.7:5432 refused",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_only_our_handler_writes_what_django_logs() -> None:
    assert [logging.getLogger(name).handlers for name in ("django", "django.server", "django.request")] == [[], [], []]
