"""One open stream, who looks at it, and what may be put on it."""

import asyncio
import re
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest, QueryDict
from django.utils import timezone, translation

from accounts.models import Membership, Team, User
from accounts.policy import Access, access_for
from rentals.cards import render_card
from rentals.filters import BoardFilter
from rentals.models import Rental

QUEUE_LIMIT = 50  # frames; a reader that is further behind is cut off and comes back for the whole board
_LINE_END = re.compile(r"\r\n|\r|\n")


def frame(event: str, data: str = "") -> bytes:
    """An event as it goes over the wire. `data` may be hostile: only its own lines come out at the other end."""
    lines = "".join(f"data: {line}\n" for line in _LINE_END.split(data))
    return f"event: {event}\n{lines}\n".encode()


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person at a browser. `proof` changes when anything does that their rights are decided from."""

    session_key: str
    access: Access
    language: str
    proof: int


class Screen:
    """What one browser's stream has yet to be sent. Used from the event loop alone, but for what is read only."""

    __slots__ = ("_frames", "_waiter", "board", "browser_language", "ended", "other_view", "own_view", "viewer")

    def __init__(self, viewer: Viewer, board: BoardFilter, browser_language: str) -> None:
        self.board = board
        self.browser_language = browser_language
        self.ended = False
        self._frames: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.seen_by(viewer)

    def seen_by(self, viewer: Viewer) -> None:
        """Take `viewer` as the one who looks from now on. Screens with equal views are sent the same card."""
        self.viewer = viewer
        access = replace(viewer.access, teams=())
        self.own_view = (self.board, viewer.language, access)
        self.other_view = (self.board, viewer.language, replace(access, person_id=0))

    def offer(self, data: bytes) -> None:
        """Put `data` in the queue; where that is full, the stream ends and the browser comes back."""
        if len(self._frames) >= QUEUE_LIMIT:
            self._frames.clear()
            self.end()
        elif not self.ended:
            self._frames.append(data)
            self._wake()

    def end(self) -> None:
        """End the stream once what is queued has been sent."""
        self.ended = True
        self._wake()

    async def next(self) -> bytes:
        """All that is queued, waiting for it; empty when the stream has ended."""
        while not self._frames and not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = b"".join(self._frames)
        self._frames.clear()
        return data

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def open_screen(request: HttpRequest, session_key: str | None) -> Screen | None:
    """The screen of the person signed in with `session_key`, None for nobody. Reads the database."""
    browser_language = translation.get_language_from_request(request)
    viewer = _viewer(session_key, browser_language) if session_key else None
    if viewer is None:
        return None
    return Screen(viewer, BoardFilter.from_query(QueryDict(request.META["QUERY_STRING"])), browser_language)


def recheck(screens: Collection[Screen]) -> dict[Screen, Viewer | None]:
    """Those of `screens` whose viewers' rights, team or language changed; None for who is not signed in any more.

    Four queries, however many screens there are, and some more for each viewer of whom anything changed at all.
    """
    proofs = _proofs([(screen.viewer.session_key, screen.viewer.access.person_id) for screen in screens])
    changed: dict[Screen, Viewer | None] = {}
    for screen, proof in zip(screens, proofs, strict=True):
        if screen.viewer.proof != proof:
            changed[screen] = _viewer(screen.viewer.session_key, screen.browser_language)
    return changed


def compose(rental_ids: Iterable[int], screens: Collection[Screen]) -> list[tuple[Screen, bytes]]:
    """What each of `screens` is to be sent about these rentals, oldest first; rendered once for screens alike."""
    frames: list[tuple[Screen, bytes]] = []
    for rental in Rental.objects.for_cards().filter(pk__in=rental_ids).order_by("queued_at", "pk"):
        made: dict[object, bytes] = {}
        for screen in screens:
            access = screen.viewer.access
            if not access.may_see(rental):
                continue
            view = screen.own_view if rental.person_id == access.person_id else screen.other_view
            if view not in made:
                made[view] = _card_frame(rental, screen)
            frames.append((screen, made[view]))
    return frames


def _card_frame(rental: Rental, screen: Screen) -> bytes:
    access = screen.viewer.access
    if not screen.board.matches(rental, access):
        return frame("gone", str(rental.pk))
    with translation.override(screen.viewer.language):
        return frame("rental", render_card(rental, access, oob=True))


def _viewer(session_key: str, browser_language: str) -> Viewer | None:
    """Who is signed in with this session, by Django's own rules. A password changed elsewhere ends a session too."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    person = get_user(request)
    if not isinstance(person, User) or not person.is_active:
        return None
    # The proof is read before what it proves: a change between the two is noticed at the next check.
    [proof] = _proofs([(session_key, person.pk)])
    language = person.language or browser_language
    return Viewer(session_key, access_for(person), language, proof)


def _proofs(viewers: Collection[tuple[str, int]]) -> list[int]:
    """For each session key and person, a hash of all rows that their rights are decided from."""
    keys, people = {key for key, _ in viewers}, {person_id for _, person_id in viewers}
    sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    session_data = dict(sessions.values_list("session_key", "session_data"))
    people_rows = {row[0]: row for row in User.objects.filter(pk__in=people).values_list("pk", *_columns(User))}
    roles: dict[int, list[object]] = {}
    for user_id, *row in (
        Membership.objects.filter(user__in=people).order_by("pk").values_list("user_id", "team", "role")
    ):
        roles.setdefault(user_id, []).append(tuple(row))
    teams = hash(tuple(Team.objects.order_by("pk").values_list()))
    return [
        hash((session_data.get(key), people_rows.get(person_id), tuple(roles.get(person_id, ())), teams))
        for key, person_id in viewers
    ]


def _columns(model: type[User]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.attname != "last_login"]
