"""What all tests share: nothing leaves this machine; a real Redis, the whole desk, and Chromium for those that ask."""

import ipaddress
import os
import sys
from collections.abc import Generator, Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone, translation
from playwright.sync_api import Playwright, expect
from pytest_django import DjangoDbBlocker, Settings

from lib import announce, garbage_collection
from rentals import enqueue
from thuesim_site import migrated_database
from thuesim_site.celery import app
from thuesim_site.start.addresses import celery_url
from thuesim_site.testing import CHROMIUMS, RedisServer, RunningDesk, find_chromium, no_audit_triggers, wait_until

pytest_plugins = ["rentals.tests.fixtures", "thuesim_site.testing_processes", "thuesim_site.testing_statements"]

QUIET_CHROMIUM = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--no-opt,--no-maglev",  # a page is left before its optimised code has won back what it cost
]

BROWSER_TESTS = ("pages/tests/browser/", "pages/tests/live/")  # as ./test has them: it need not collect the others


class LeftTheMachine(BaseException):
    """A test tried to reach another machine. Not an Exception: a handler of network errors must not hide it."""


def _stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        allowed = not isinstance(address, tuple) or _is_here(str(address[0]))  # else the path of a Unix socket
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        allowed = _is_known(arguments[0])
    else:
        return
    if not allowed:
        raise LeftTheMachine(f"{event} {arguments[1:] if event == 'socket.connect' else arguments[0]!r}")


def _is_here(address: str) -> bool:
    if address in {"", "localhost"}:
        return True
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_loopback or parsed.is_unspecified


def _is_known(host: object) -> bool:
    """Whether looking this up asks no other machine: an address, this machine, or a name that never exists."""
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name in {"", "localhost"} or name.endswith(".invalid")
    return True


sys.addaudithook(_stay_here)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around `-m`, which chooses by the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Mark the tests that PostgreSQL runs: those that may use the database, unless `one_database` says that others send the
    same statements. Long ones go first: at the end the other processes would wait for them.

    Browser tests go last: Playwright's event loop stays in the process, and the others shall not run inside it.
    """
    for item in items:
        uses_database = item.get_closest_marker("django_db") or _fixtures(item) & {"db", "transactional_db"}
        if uses_database and not item.get_closest_marker("one_database"):
            item.add_marker("database")
        if item.get_closest_marker("browser") and not item.nodeid.startswith(BROWSER_TESTS):
            raise pytest.UsageError(f"{item.nodeid}: ./test looks for browser tests in {BROWSER_TESTS} alone")
    if os.environ.get("TEST_EFFORT") == "quick":
        walks = [item for item in items if item.get_closest_marker("walk")]
        left_out = {*walks} - {*walks[::3]}
        config.hook.pytest_deselected(items=[*left_out])
        items[:] = [item for item in items if item not in left_out]
    yield  # pytest brings together what shares `browser_name`, and would undo the order
    items.sort(
        key=lambda item: (
            "browser" in item.keywords,
            "running_desk" not in _fixtures(item),
            "long" not in item.keywords,
        )
    )


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over modules and collected tests, which stay to the end."""
    garbage_collection.after_loading()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin with the language and the time zone of the settings: a request leaves those of its person in the thread."""
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """In place of pytest-django's, which migrates a database in each process. Gives the name of one to copy."""
    with django_db_blocker.unblock():
        original = migrated_database.use_copy()
    yield original
    with django_db_blocker.unblock():
        migrated_database.drop_copy()


@pytest.fixture(autouse=True, scope="session")
def _tables_are_emptied_cheaply() -> Iterator[None]:
    """After a test with real transactions, in place of Django's `flush`, which makes all content types and permissions anew.
    The audit log's triggers forbid that rows are deleted, so they are away for that moment."""

    def empty(self: TransactionTestCase) -> None:
        with no_audit_triggers():
            migrated_database.empty()

    with mock.patch.object(TransactionTestCase, "_fixture_teardown", empty):
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real redis-server for this test process. Its settings are untouched: see `real_redis`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def _send_tasks_to(broker_url: str) -> None:
    # Else its thread would be in the midst of what is replaced here.
    wait_until(lambda: not enqueue.unsent().unfinished_tasks, "what was enqueued is sent")
    app.conf.update(broker_url=broker_url)
    app._after_fork()  # type: ignore[attr-defined]  # forgets the connections to the other broker


@pytest.fixture
def real_redis(redis_server: RedisServer, settings: Settings) -> Iterator[RedisServer]:
    """The settings name a real, empty Redis, and Celery sends to it; by default tests have neither."""
    redis_server.flush()
    with mock.patch.object(announce, "_TIMEOUT_SECONDS", 60):  # a quarter of a second loses some on a busy machine
        publisher = announce._publisher_for(redis_server.url)
    wait_until(lambda: not publisher._away, "what an earlier test stopped takes announcements again")
    before: str = settings.CELERY_BROKER_URL
    settings.REDIS_URL = redis_server.url
    settings.CELERY_BROKER_URL = celery_url(redis_server.url)
    _send_tasks_to(settings.CELERY_BROKER_URL)
    yield redis_server
    _send_tasks_to(before)
    if not redis_server.answers():  # the next test may ask for `redis_server` alone
        redis_server.start()


@pytest.fixture(scope="session")
def migrated_file(django_db_setup: str) -> str:
    """A migrated SQLite database for a running desk to begin with; "" where the tests are on PostgreSQL. What `./run`
    does without one is seen in test_demo.py."""
    return django_db_setup if connection.vendor == "sqlite" else ""


@pytest.fixture(scope="session")
def running_desk(tmp_path_factory: pytest.TempPathFactory, migrated_file: str) -> Iterator[RunningDesk]:
    """The whole desk in demo mode, as `./run` starts it, with messages that come within two seconds. One process takes
    all tests that use it, and begins with them."""
    running = RunningDesk(tmp_path_factory.mktemp("desk"), migrated=migrated_file)
    running.start()
    try:
        running.sandbox("settings", message_after=[1, 2])
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def playwright(playwright: Playwright) -> Playwright:
    """Playwright's event loop would make Django refuse the database for the rest of the session."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    expect.set_options(timeout=60_000)
    return playwright


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own Chromium, which asks nothing of the network; as root it has no sandbox."""
    executable = find_chromium()
    if executable is None:
        pytest.fail(f"there is none of {', '.join(CHROMIUMS)} on PATH")
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": executable, "args": [*QUIET_CHROMIUM, *sandbox]}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """English, whatever the machine speaks; without the service worker, of which test_offline_browser.py is."""
    return {**browser_context_args, "locale": "en", "service_workers": "block"}
