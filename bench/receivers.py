"""Receivers of outgoing events that fail in different ways, and whether every event reached them. Needs Django set up
from `Destinations` on; the server itself is started before the desk, which has to let its address in.
"""

import contextlib
import random
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

HANG_SECONDS = 12.0  # longer than the desk waits for an answer
# How often each of them misbehaves.
MOODS = {"healthy": 0.0, "failing": 0.2, "hanging": 0.03, "closing": 0.2}
# From the check of a code's life to its arrival: the worker may stand still in between.
LATE_SECONDS = 15.0


@dataclass
class Request:
    """One request that came: its place among all that came and were accepted, and when it was accepted."""

    webhook_id: str
    place: int
    at: float
    accepted: int | None = None


@dataclass
class Receivers:
    """One server with a path for each receiver. `requests` are kept by receiver, in the order in which they came."""

    rng: random.Random
    requests: dict[str, list[Request]] = field(default_factory=lambda: defaultdict(list))
    secrets: dict[str, str] = field(default_factory=dict)
    forged: list[str] = field(default_factory=list)
    misbehaved: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._lock, self._calm, self._places = threading.Lock(), threading.Event(), 0
        receivers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with contextlib.suppress(OSError):
                    receivers.receive(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Receivers":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.calm_down()
        self._server.shutdown()
        self._server.server_close()

    def calm_down(self) -> None:
        """Have all of them answer well from now on."""
        self._calm.set()

    def receive(self, http: BaseHTTPRequestHandler) -> None:
        """Take one request, and answer it as its receiver does."""
        name, body = http.path.strip("/"), http.rfile.read(int(http.headers["Content-Length"]))
        request = Request(http.headers["webhook-id"], self._next_place(), time.time())
        self.requests[name].append(request)
        try:
            Webhook(self.secrets[name]).verify(body, dict(http.headers.items()))
        except WebhookVerificationError:
            self.forged.append(request.webhook_id)
        if self.rng.random() < MOODS[name] and not self._calm.is_set():
            self.misbehaved[name] += 1
            getattr(self, f"_{name}")(http, request)
        else:
            self._accept(http, request)

    def _next_place(self) -> int:
        with self._lock:
            self._places += 1
            return self._places

    def _accept(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        # Before the answer: the next request may be there before this thread goes on.
        request.accepted = self._next_place()
        http.send_response(204)
        http.end_headers()

    def _failing(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        http.send_response(self.rng.choice([500, 503, 429, 404]))
        http.send_header("Content-Length", "0")
        http.end_headers()

    def _hanging(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        self._calm.wait(HANG_SECONDS)

    def _closing(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        part = self.rng.choice([b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
        if part.endswith(b"half"):
            request.accepted = self._next_place()
        http.wfile.write(part)
        http.wfile.flush()
        http.connection.shutdown(socket.SHUT_RDWR)


class Destinations:
    """The team's destinations, one for each receiver, which want every event."""

    def __init__(self, receivers: Receivers, team: Any, person: Any) -> None:
        from django.utils import timezone

        from lib.encryption import Secret
        from rentals import destinations
        from rentals.models import Destination, OutgoingEvent

        self._receivers = receivers
        self._lives: dict[str, float] = {}  # when the life of a code ended that was ended early
        self._judged_until = timezone.now()
        self.rows = {}
        for name in MOODS:
            fields: dict[str, Any] = {
                "name": name,
                "address": Secret(f"http://{receivers.address}/{name}"),
                "includes_codes": True,
            }
            row = destinations.add(
                team,
                by=person,
                language="vi",
                kind=Destination.Kind.WEBHOOK,
                events=OutgoingEvent.values,
                **fields,
            )
            receivers.secrets[name] = row.secret.reveal()
            self.rows[name] = row

    def end_lives(self) -> None:
        """Let the life of each code end that is still to be sent, as if an hour had passed."""
        from django.db import DatabaseError, connection
        from django.utils import timezone

        from rentals.models import Delivery

        codes = Delivery.objects.filter(state=Delivery.State.PENDING, drop_after__gt=timezone.now())
        now = timezone.now()
        with contextlib.suppress(DatabaseError):
            for pk, webhook_id in codes.values_list("pk", "webhook_id"):
                if Delivery.objects.filter(pk=pk, state=Delivery.State.PENDING).update(drop_after=now):
                    self._lives[webhook_id] = now.timestamp()
        connection.close()

    def send_again(self) -> None:
        """Let all that waits for its next try be due, as "send again" does."""
        from django.db import DatabaseError
        from django.utils import timezone

        from rentals.models import Delivery

        waiting = Delivery.objects.filter(state=Delivery.State.PENDING, next_try__gt=timezone.now())
        with contextlib.suppress(DatabaseError):
            waiting.update(next_try=timezone.now())

    def judge_until_now(self) -> None:
        """Judge what has been written by now. Later an order in doubt may be given up, or a refund found while the books are
        compared: these events may be under way still."""
        from django.utils import timezone

        self._judged_until = timezone.now()

    def findings(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each promise with what breaks it."""
        yield "events that were not written for a destination", list(self._unwritten())
        yield "events that did not reach their receiver", list(self._lost())
        yield "events that came before an earlier one of their rental", list(self._overtaken())
        yield "codes sent after their life", list(self._late())
        yield "requests whose signature is wrong", self._receivers.forged

    def summary(self) -> str:
        """Return in words what came and what was made of it."""
        from rentals.models import Delivery

        states = Counter(Delivery.objects.values_list("state", flat=True))
        came = {name: len(requests) for name, requests in self._receivers.requests.items()}
        written = dict(Delivery.objects.filter(destination=self.rows["healthy"]).values_list("webhook_id", "at"))
        late = sorted(
            request.at - written[request.webhook_id].timestamp() for request in self._receivers.requests["healthy"]
        )
        middle = f"{late[len(late) // 2]:.1f} s (p50), {late[-1]:.1f} s (longest)" if late else "never"
        return (
            f"deliveries {dict(states)}; requests {came}; misbehaved {dict(self._receivers.misbehaved)}; "
            f"the healthy receiver had an event after {middle}"
        )

    def _unwritten(self) -> Iterator[str]:
        from rentals.lifecycle.transitions import OUTGOING
        from rentals.models import Delivery, EventKind, OutgoingEvent, RentalEvent

        told = {**OUTGOING, EventKind.REFUNDED: OutgoingEvent.REFUNDED}
        told |= dict.fromkeys((EventKind.RECEIVED, EventKind.MESSAGE), OutgoingEvent.CODE)
        happened = Counter(
            (rental, str(told[EventKind(kind)]))
            for rental, kind in RentalEvent.objects.filter(kind__in=told).values_list("rental", "kind")
        )
        for name, row in self.rows.items():
            written = Counter(Delivery.objects.filter(destination=row).values_list("rental", "event"))
            for what, count in happened.items():
                if written[what] < count:
                    yield f"{name}: {what[1]} of rental {what[0]}"

    def _lost(self) -> Iterator[str]:
        from rentals.models import Delivery

        for name, row in self.rows.items():
            accepted = {request.webhook_id for request in self._receivers.requests[name] if request.accepted}
            for delivery in Delivery.objects.filter(destination=row, at__lte=self._judged_until):
                dropped = delivery.state == Delivery.State.DROPPED and delivery.webhook_id in self._lives
                done = delivery.state == Delivery.State.DELIVERED and delivery.webhook_id in accepted
                if not done and not dropped:
                    yield f"{name}: {delivery.webhook_id} {delivery.event} is {delivery.state}, {delivery.attempts} attempts"

    def _overtaken(self) -> Iterator[str]:
        from rentals.models import Delivery

        for name, row in self.rows.items():
            first: dict[str, int] = {}
            accepted: dict[str, int] = {}
            for request in self._receivers.requests[name]:
                first.setdefault(request.webhook_id, request.place)
                if request.accepted:
                    accepted.setdefault(request.webhook_id, request.accepted)
            earlier: dict[int, int] = {}  # by rental, when all that came before in the outbox were accepted
            sent = Delivery.objects.filter(destination=row, rental__isnull=False, state=Delivery.State.DELIVERED)
            for rental, webhook_id in sent.order_by("pk").values_list("rental", "webhook_id"):
                if rental is not None and first.get(webhook_id, 0) < earlier.get(rental, 0):
                    yield f"{name}: {webhook_id} of rental {rental}"
                if rental is not None:
                    earlier[rental] = max(earlier.get(rental, 0), accepted.get(webhook_id, 0))

    def _late(self) -> Iterator[str]:
        for name, requests in self._receivers.requests.items():
            for request in requests:
                late = request.at - self._lives.get(request.webhook_id, float("inf"))
                if late > LATE_SECONDS:
                    yield f"{name}: {request.webhook_id} came {late:.0f} s after its life"
