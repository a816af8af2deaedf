"""The token stands in every URL that we ask, and appears nowhere else: not in a log, an exception, the database, Redis, a
task's message or a page, whatever goes wrong."""

import io
import logging
import threading
import traceback
from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from redis import Redis

import thuesim
from accounts.models import Role
from rentals import orders
from rentals.jobs import balances, placing, polling, reconciling, recordings, runs
from rentals.models import CallbackAddress, JobName, Message, Rental, Status
from rentals.tests.factories import make_person
from rentals.tests.fixtures import House
from rentals.upstream import client
from thuesim_site.testing import RedisServer

pytestmark = pytest.mark.django_db

FAULTS = [
    "reset-before", "close-before", "http-500", "maintenance", "redirect", "lost-reset", "lost-close", "lost-502",
    "lost-cut", "lost-midway", "lost-empty", "lost-no-number", "php-warning", "wrong-content-type", "http-errors",
    "unknown-fields", "unknown-status", "unknown-code", "invalid-token", "error", "too-soon", "limit-reached",
    "insufficient-balance", "out-of-stock", "service-suspended", "code-wrong-session", "audio-html", "audio-foreign",
]  # fmt: skip


class Everything(logging.Handler):
    """Keeps all that any logger says, at any level, with the tracebacks, before any filter has tidied it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s %(pathname)s %(args)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@pytest.fixture
def said() -> Iterator[list[str]]:
    handler = Everything()
    loggers = [logging.getLogger(name) for name in ["", *logging.root.manager.loggerDict]]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    yield handler.said
    logging.root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def in_the_database() -> str:
    """All that stands in our tables, as the database gives it."""
    out = io.StringIO()
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)}")
            for row in cursor.fetchall():
                print(
                    *(bytes(v).decode("utf-8", "replace") if isinstance(v, bytes | memoryview) else v for v in row),
                    file=out,
                )
    return out.getvalue()


class Listener(threading.Thread):
    """Keeps what is published on any channel."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[str] = []
        self._pubsub = Redis.from_url(url, socket_timeout=None).pubsub()  # type: ignore[no-untyped-call]
        self._pubsub.psubscribe("*")

    def run(self) -> None:
        for message in self._pubsub.listen():
            self.heard.append(repr(message))
            if "good bye" in self.heard[-1]:
                return


def in_redis(url: str) -> str:
    """All keys with their values, in Redis's own serial form."""
    client = Redis.from_url(url)
    client.config_set("rdbcompression", "no")
    return "\n".join(f"{key!r} {client.dump(key)!r}" for key in client.scan_iter())


def errors_of(ask: Callable[[], object]) -> list[str]:
    """What the error of one call tells: itself, and all that an error tracker reads off its traceback."""
    try:
        ask()
    except thuesim.ThueSimError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format(chain=True)
        return [f"{error!r} {error.args} {vars(error)} {''.join(lines)}"]
    return []


def drive(house: House, fault: str, errors: list[str]) -> None:
    """Everything that we ever ask of the upstream, once, while it misbehaves in one way."""
    house.upstream.clear_faults()
    house.upstream.set_fault(fault, value=4 if fault.startswith("code") else None)
    rental = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)
    asked = [
        lambda: balances.read_balance(house.token),
        lambda: reconciling.reconcile(house.token.pk),
        lambda: polling.poll_token(house.token.pk),
        lambda: polling.poll_rental(Rental.objects.exclude(upstream_key="").latest("pk").pk),
        lambda: client.client_for(house.token).networks(),
        lambda: client.client_for(house.token).services(),
        lambda: client.client_for(house.token).audio(f"{house.upstream.url}/audio/play.php?01=x.wav"),
    ]
    for ask in asked:
        errors += errors_of(ask)
    runs.note_run(JobName.BALANCE, house.token.pk, error=errors[-1])
    type(house.token).objects.update(hold="", hold_until=None, faults=0, next_watch_at=None)
    Rental.objects.filter(pk=rental.pk, status=Status.QUEUED).delete()


def every_page(client: Client, house: House, rental: Rental) -> list[str]:
    """The pages that could show a token, as an operator and an admin see them."""
    paths = (
        "/",
        "/board/",
        "/tokens/",
        "/rentals/",
        f"/rentals/{rental.pk}/",
        "/admin/",
        "/admin/rentals/token/",
        f"/admin/rentals/token/{house.token.pk}/change/",
        "/admin/rentals/contractdrift/",
        "/admin/rentals/callback/",
        "/admin/rentals/rental/",
        "/admin/accounts/auditrecord/",
    )
    pages = []
    for person in (house.person, make_person(house.team, Role.MANAGER, is_staff=True, is_superuser=True)):
        client.force_login(person)
        pages += [client.get(path).content.decode() for path in paths]
    return pages


@pytest.mark.django_db(transaction=True)
def test_the_token_appears_nowhere_whatever_goes_wrong(
    house: House, said: list[str], real_redis: RedisServer, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = house.token.value.reveal()
    listener = Listener(real_redis.url)
    listener.start()
    errors: list[str] = []
    first = orders.take_order(orders.Order(person=house.person, team=house.team, service=house.service))
    placing.place_next(house.token.pk)
    for fault in FAULTS:
        drive(house, fault, errors)
    first.refresh_from_db()
    Message.objects.create(
        rental=first, at=first.queued_at, is_call=True, audio_url=f"{house.upstream.url}/audio/x.wav", fingerprint="x"
    )
    recordings.fetch_recording(Message.objects.latest("pk").pk)
    address = CallbackAddress.issue(house.token).secret.reveal()
    client.post(
        f"/callback/{address}/", f'{{"requestId": "1", "token": "{canary}"}}'.encode(), content_type="application/json"
    )
    pages = every_page(client, house, first)
    Redis.from_url(real_redis.url).publish("end", "good bye")
    listener.join(120)
    printed = capfd.readouterr()
    places = {
        "exceptions": "\n".join(errors),
        "logs": "\n".join(said),
        "output": printed.out + printed.err,
        "database": in_the_database(),
        "redis": in_redis(real_redis.url) + "\n".join(listener.heard),
        "pages": "\n".join(pages),
    }
    assert all(places[place] for place in ("exceptions", "logs", "database", "redis", "pages")), "nothing was searched"
    assert len(errors) > len(FAULTS)
    assert [place for place, text in places.items() if canary in text or canary.partition("-")[2] in text] == []
