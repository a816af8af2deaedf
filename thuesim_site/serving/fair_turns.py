"""Fair queueing of requests: no client waits behind all requests of another one."""

import asyncio
from collections import Counter, deque


class FairTurns:
    """Serves `places` requests at a time, at most half of them of one client; the client with the fewest is next.

    On the event loop only. The client without a name, which is a proxy's own, may take all places.
    """

    def __init__(self, places: int) -> None:
        self._free, self._share = places, max(1, places // 2)
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, client: str) -> None:
        """Return when it is this client's turn; `give_back` is due afterwards."""
        if self._free and self._may_run(client):
            self._begin(client)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # given just now
                self.give_back(client)
            raise

    def give_back(self, client: str) -> None:
        """Free a place for the next request."""
        self._free += 1
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
        while self._free and (waiting := [name for name in self._waiting if self._may_run(name)]):
            next_client = min(waiting, key=lambda name: self._running[name])
            turns = self._waiting.pop(next_client)
            turn = turns.popleft()
            if turns:
                self._waiting[next_client] = turns  # behind the others that have as few
            if not turn.done():
                self._begin(next_client)
                turn.set_result(None)

    def _may_run(self, client: str) -> bool:
        return not client or self._running[client] < self._share

    def _begin(self, client: str) -> None:
        self._free -= 1
        self._running[client] += 1
