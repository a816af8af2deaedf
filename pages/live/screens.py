"""One open stream, who looks at it, and what may be put on it."""

import asyncio
import re
from collections import deque
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.utils import timezone, translation

from accounts.models import Membership, Team, User
from accounts.policy import Access, access_for
from pages.presenters.cards import render_card
from rentals.models import Rental
from rentals.queries.filters import BoardFilter

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
        self.own_view = _number((self.board, viewer.language, access))
        self.other_view = _number((self.board, viewer.language, replace(access, person_id=0)))

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


@lru_cache(20_000)
def _number(view: Hashable) -> int:
    """The same number for equal views: quicker to compare than they are. One forgotten only costs a rendering."""
    return next(_numbers)


_numbers = count()


def open_screen(request: HttpRequest, session_key: str | None) -> Screen | None:
    """The screen of the person signed in with `session_key`, None for nobody. Reads the database."""
    query = QueryDict(request.META["QUERY_STRING"])
    # The page says what it speaks: a worker's request need not say it as the page's own did.
    said = query.get("lang", "")
    browser_language = said if said in dict(settings.LANGUAGES) else translation.get_language_from_request(request)
    viewer = _viewer(session_key, browser_language) if session_key else None
    if viewer is None:
        return None
    return Screen(viewer, BoardFilter.from_query(query), browser_language)


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


def read(rental_ids: Iterable[int]) -> list[Rental]:
    """These rentals with all that their cards show, oldest first."""
    return list(Rental.objects.for_cards().filter(pk__in=rental_ids).order_by("queued_at", "pk"))


def compose(
    rentals: Iterable[Rental], screens: Collection[Screen], made: dict[object, bytes]
) -> list[tuple[list[Screen], bytes]]:
    """What is to be sent about `rentals`, and to which of `screens`. `made` keeps what was rendered for screens alike."""
    frames: list[tuple[list[Screen], bytes]] = []
    for rental in rentals:
        alike: dict[int, list[Screen]] = {}
        for screen in screens:
            mine = screen.viewer.access.person_id == rental.person_id
            alike.setdefault(screen.own_view if mine else screen.other_view, []).append(screen)
        for view, group in alike.items():
            if group[0].viewer.access.may_see(rental):
                if (rental.pk, view) not in made:
                    made[rental.pk, view] = _card_frame(rental, group[0])
                frames.append((group, made[rental.pk, view]))
    return frames


def warm_up() -> None:
    """Draw a card for nobody: the first one takes a hundred times as long as the others."""
    if rental := Rental.objects.for_cards().last():
        render_card(rental, Access(0, False, None, None), oob=True)


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
    keys, people = list({key for key, _ in viewers}), list({person_id for _, person_id in viewers})
    sessions = dict(_rows(Session, "session_key", keys, ["session_key", "session_data"], alive=timezone.now()))
    persons = {row[0]: repr(row) for row in _rows(User, "id", people, _PERSON)}
    roles: dict[int, list[object]] = {}
    for person_id, *row in sorted(_rows(Membership, "user_id", people, ["user_id", "team_id", "role"])):
        roles.setdefault(person_id, []).append(tuple(row))
    teams = repr(list(Team.objects.order_by("pk").values_list()))
    shared = hash(teams)
    return [
        hash((sessions.get(key), persons.get(person_id), tuple(roles.get(person_id, ())), shared))
        for key, person_id in viewers
    ]


_PERSON = ["id", *(str(f.column) for f in User._meta.concrete_fields if f.column not in {"id", "last_login"})]


def _rows(
    model: type[Model], column: str, values: list[Any], columns: list[str], alive: datetime | None = None
) -> list[tuple[Any, ...]]:
    """Rows as the database has them. For 2,000 screens the ORM's way to the same rows takes four times as long."""
    quote = connection.ops.quote_name
    marks = ", ".join(["%s"] * len(values))
    sql = (
        f"SELECT {', '.join(map(quote, columns))} FROM {quote(model._meta.db_table)} WHERE {quote(column)} IN ({marks})"  # noqa: S608 - names of our own
    )
    if alive is not None:
        sql, values = (
            f"{sql} AND {quote('expire_date')} > %s",
            [*values, connection.ops.adapt_datetimefield_value(alive)],
        )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
