"""One open stream, its viewer, and what may be sent to it.

A changed rental is sent to every screen whose viewer may see it. Screens that would be sent the same card (same filter,
language and rights) are one group, and each group's card is rendered once: `compose` groups them by `Screen.view_of`.
Before every event `recheck` compares the viewers' rights with the database, by a fingerprint of the rows that decide them.
"""

import asyncio
import itertools
import re
import sys
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.utils import timezone, translation
from django.utils.crypto import constant_time_compare

from accounts import audit, page_team
from accounts.audit import OncePerDay
from accounts.models import Membership, Team, User
from accounts.policy import Access, accesses_for
from lib.time_zones import reading_in
from pages.presenters.cards import handed_over_sentence, render_card
from rentals.models import Rental
from rentals.queries.filters import BoardFilter

MAX_QUEUED = 50  # frames; a reader that is further behind is cut off and comes back for the whole board
_LINE_END = re.compile(r"\r\n|\r|\n")
_serials = itertools.count()


def frame(event: str, data: str = "") -> bytes:
    """Return an event as it is sent. `data` may be hostile: it cannot end its event and begin another."""
    lines = "".join(f"data: {line}\n" for line in _LINE_END.split(data))
    return f"event: {event}\n{lines}\n".encode()


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person at a browser. `fingerprint` changes with any row that decides their rights."""

    session_key: str
    access: Access
    language: str
    fingerprint: int
    time_zone: str = ""


class Screen:
    """What one browser's stream has yet to be sent. Changed on the event loop alone; other threads only read.

    `serial` numbers the screens of this process from 0. One with `ids_only` reads what it shows by itself: it is told which
    rental changed, and is sent no card.
    """

    __slots__ = (
        "_frames",
        "_others_view",
        "_own_view",
        "_waiter",
        "board",
        "browser_language",
        "ended",
        "ids_only",
        "page_team",
        "serial",
        "viewer",
    )

    def __init__(
        self, viewer: Viewer, board: BoardFilter, browser_language: str, of_team: str = "", *, ids_only: bool = False
    ) -> None:
        self.ids_only = ids_only
        self.serial = next(_serials)
        self.page_team = of_team
        self.board = board
        self.browser_language = browser_language
        self.ended = False
        self._frames: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.seen_by(viewer)

    def seen_by(self, viewer: Viewer) -> None:
        """Take `viewer` as the screen's viewer from now on."""
        self.viewer = viewer
        access = replace(viewer.access, teams=())
        self._own_view = self._view(access)
        self._others_view = self._view(replace(access, person_id=0))

    @property
    def is_of_another_team(self) -> bool:
        """Whether the viewer works in another team now than the one that the page was made for."""
        return page_team.differs(self.page_team, self.viewer.access)

    def view_of(self, rental: Rental) -> str:
        """Return what the card of `rental` depends on beside the rental: equal for screens that are sent the same card.

        The person counts only where the rental is their own, so the other screens of a team share one card.
        """
        return self._own_view if self.viewer.access.person_id == rental.person_id else self._others_view

    def _view(self, access: Access) -> str:
        # Interned, so that equal views are one object: thousands of them are compared for every event.
        reader = (self.viewer.language, self.viewer.time_zone)
        return sys.intern(repr((self.ids_only, self.board, reader, access.team_id, access)))

    def offer(self, data: bytes) -> None:
        """Put `data` in the queue; a full queue ends the stream, and the browser comes back."""
        if len(self._frames) >= MAX_QUEUED:
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
        """Wait for frames and return all that are queued; empty when the stream has ended."""
        while not self._frames and not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = b"".join(self._frames)
        self._frames.clear()
        return data

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a browser asks for when it opens a stream. `session_key` is "" where it has none."""

    session_key: str
    board: BoardFilter
    browser_language: str
    page_team: str
    ids_only: bool

    @classmethod
    def read(cls, request: HttpRequest, session_key: str | None) -> "StreamRequest":
        """Read it from `GET /live/` of the browser with `session_key`."""
        query = QueryDict(request.META["QUERY_STRING"])
        # The page names its language, since a worker's request may have other headers than the page's own.
        language = query.get("lang", "")
        return cls(
            session_key=session_key or "",
            board=BoardFilter.from_query(query),
            browser_language=(
                language if language in dict(settings.LANGUAGES) else translation.get_language_from_request(request)
            ),
            page_team=query.get(page_team.FIELD, ""),
            ids_only=query.get("ids") == "1",
        )


def open_screens(requests: Sequence[StreamRequest]) -> list[Screen | None]:
    """Return a screen for each of `requests`, None for one of an ended session. Eight queries at most for all."""
    viewers = _viewers({(each.session_key, each.browser_language) for each in requests})

    def screen(wanted: StreamRequest) -> Screen | None:
        viewer = viewers[wanted.session_key, wanted.browser_language]
        if viewer is None:
            return None
        return Screen(viewer, wanted.board, wanted.browser_language, wanted.page_team, ids_only=wanted.ids_only)

    return [screen(wanted) for wanted in requests]


def recheck(screens: Collection[Screen]) -> dict[Screen, Viewer | None]:
    """Return the screens whose viewers' rights, team or language changed, with the new viewer: None where the person is
    no longer signed in.

    Four queries, however many screens there are, and eight more where a viewer has a new fingerprint.
    """
    viewers = [(screen.viewer.session_key, screen.viewer.access.person_id) for screen in screens]
    prints = _fingerprints(viewers, _sessions(key for key, _ in viewers))
    changed = [
        screen for screen, fingerprint in zip(screens, prints, strict=True) if screen.viewer.fingerprint != fingerprint
    ]
    if not changed:
        return {}
    anew = _viewers({(screen.viewer.session_key, screen.browser_language) for screen in changed})
    return {screen: anew[screen.viewer.session_key, screen.browser_language] for screen in changed}


def read(rental_ids: Iterable[int]) -> list[Rental]:
    """Return these rentals with all that their cards show, oldest first."""
    return list(Rental.objects.for_cards().filter(pk__in=rental_ids).order_by("queued_at", "pk"))


def compose(
    rentals: Iterable[Rental], screens: Collection[Screen], rendered: dict[object, bytes]
) -> list[tuple[list[Screen], bytes]]:
    """Return the frames about `rentals`, each with those of `screens` that it is for.

    `rendered` keeps the frames by rental and view, for the next call with more screens of the same round.
    """
    frames: list[tuple[list[Screen], bytes]] = []
    for rental in rentals:
        groups: dict[str, list[Screen]] = {}
        for screen in screens:
            groups.setdefault(screen.view_of(rental), []).append(screen)
        for view, group in groups.items():
            if group[0].viewer.access.may_see(rental):
                if (rental.pk, view) not in rendered:
                    rendered[rental.pk, view] = _card_frame(rental, group[0])
                frames.append((group, rendered[rental.pk, view]))
    return frames


def shown_codes(rentals: Iterable[Rental], screens: Collection[Screen]) -> set[OncePerDay]:
    """Return whose screens `compose` sends which codes in full, as it is recorded. Asked once for all equal views."""
    shown: set[OncePerDay] = set()
    for rental in rentals:
        if rental.latest_message is None:
            continue
        target, sees = audit.about(rental), dict[str, bool]()
        for screen in screens:
            view, access = screen.view_of(rental), screen.viewer.access
            if view not in sees:
                shows = access.sees_code(rental) and not screen.ids_only
                sees[view] = shows and screen.board.matches(rental, access)
            if sees[view]:
                shown.add(OncePerDay(audit.Action.READ, access.person_id, rental.team_id, target))
    return shown


def handed_over_frames(
    handed_over: Iterable[tuple[int, int]], screens: Collection[Screen]
) -> list[tuple[list[Screen], bytes]]:
    """Return the frames that tell people of numbers handed over, given as ids of rental and person. Two queries."""
    frames: list[tuple[list[Screen], bytes]] = []
    concerned = set(handed_over)
    for rental in read(rental_id for rental_id, _person in concerned):
        for screen in screens:
            access = screen.viewer.access
            if (rental.pk, access.person_id) in concerned and access.may_see(rental):
                with translation.override(screen.viewer.language):
                    frames.append(([screen], frame("notice", handed_over_sentence(rental, access.person_id))))
    return frames


def warm_up() -> None:
    """Render a card that no screen is sent: the first one takes a hundred times as long as the others."""
    if rental := Rental.objects.for_cards().last():
        render_card(rental, Access(0, False, None, None), oob=True)


def _card_frame(rental: Rental, screen: Screen) -> bytes:
    access = screen.viewer.access
    if not screen.board.matches(rental, access):
        return frame("gone", str(rental.pk))
    if screen.ids_only:
        return frame("rental", f'id="rental-{rental.pk}"')
    with translation.override(screen.viewer.language), reading_in(screen.viewer.time_zone):
        return frame("rental", render_card(rental, access, oob=True))


def _viewers(browsers: Collection[tuple[str, str]]) -> dict[tuple[str, str], Viewer | None]:
    """Return the viewer for each session key and browser's language, None where nobody is signed in."""
    sessions = _sessions(key for key, _ in browsers)
    store = SessionStore()
    opened = {key: store.decode(data) for key, data in sessions.items()}
    person_ids = {key: int(session[SESSION_KEY]) for key, session in opened.items() if SESSION_KEY in session}
    # The fingerprints are read before the rights: a change between the two is noticed at the next check.
    prints = dict(zip(person_ids, _fingerprints(list(person_ids.items()), sessions), strict=True))
    people = User.objects.in_bulk(list(set(person_ids.values())))
    accesses = accesses_for(people.values())

    def viewer(key: str, browser_language: str) -> Viewer | None:
        person = people.get(person_ids.get(key, 0))
        if person is None or not _is_signed_in(person, opened[key]):
            return None
        language = person.language or browser_language
        return Viewer(key, accesses[person.pk], language, prints[key], person.time_zone)

    return {(key, language): viewer(key, language) for key, language in browsers}


def _is_signed_in(person: User, session: Mapping[str, Any]) -> bool:
    """Whether the session is theirs by the rules of `django.contrib.auth.get_user`, which reads one session at a time: a
    password changed elsewhere ends a session too."""
    if not person.is_active or session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return False
    signed = str(session.get(HASH_SESSION_KEY, ""))
    hashes = itertools.chain([person.get_session_auth_hash()], person.get_session_auth_fallback_hash())
    return any(constant_time_compare(signed, own) for own in hashes)


def _sessions(keys: Iterable[str]) -> dict[str, str]:
    """Return the data of those sessions that have not ended, by their keys."""
    columns = ["session_key", "session_data"]
    return dict(_rows(Session, "session_key", list(set(keys)), columns, alive=timezone.now()))


def _fingerprints(viewers: Collection[tuple[str, int]], sessions: Mapping[str, str]) -> list[int]:
    """Return for each session key and person a hash of all rows that decide their rights."""
    people = list({person_id for _, person_id in viewers})
    persons = {row[0]: repr(row) for row in _rows(User, "id", people, _PERSON_COLUMNS)}
    roles: dict[int, list[object]] = {}
    for person_id, *row in sorted(_rows(Membership, "user_id", people, ["user_id", "team_id", "role"])):
        roles.setdefault(person_id, []).append(tuple(row))
    teams = hash(repr(list(Team.objects.order_by("pk").values_list())))
    return [
        hash((sessions.get(key), persons.get(person_id), tuple(roles.get(person_id, ())), teams))
        for key, person_id in viewers
    ]


_PERSON_COLUMNS = ["id", *(str(f.column) for f in User._meta.concrete_fields if f.column not in {"id", "last_login"})]


def _rows(
    model: type[Model], column: str, values: list[Any], columns: list[str], alive: datetime | None = None
) -> list[tuple[Any, ...]]:
    """Return rows as the database has them. For 2,000 screens the ORM takes four times as long for the same rows."""
    if not values:
        return []
    quote = connection.ops.quote_name
    placeholders = ", ".join(["%s"] * len(values))
    selected, table = ", ".join(map(quote, columns)), quote(model._meta.db_table)
    sql = f"SELECT {selected} FROM {table} WHERE {quote(column)} IN ({placeholders})"  # noqa: S608 - names of our own
    if alive is not None:
        sql, values = (
            f"{sql} AND {quote('expire_date')} > %s",
            [*values, connection.ops.adapt_datetimefield_value(alive)],
        )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
