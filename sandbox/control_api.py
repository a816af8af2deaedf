"""The control API below `/_sandbox/`: reads the books and turns the knobs from another process. JSON both ways."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.faults import KINDS
from sandbox.http_wire import Reply, Request
from sandbox.knobs import Knobs


class ControlApi:
    """Dispatches `/_sandbox/<name>`; GET reads, POST changes. An error is `{"error": …}` with status 400, 403 or 404.

    `outage` refuses every connection for so many seconds.
    """

    def __init__(self, knobs: Knobs, outage: Callable[[float], None]) -> None:
        self._knobs = knobs
        self._reads: dict[str, Callable[[dict[str, str]], Any]] = {
            "": self._overview,
            "books": lambda query: knobs.books(query.get("token")),
            "calls": self._calls,
            "faults": self._faults,
        }
        self._changes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "tokens": lambda body: {"token": knobs.add_token(**body)},
            "faults": lambda body: knobs.set_fault(**body),
            "faults/clear": lambda body: knobs.clear_faults(body.get("name")),
            "deliver": lambda body: knobs.deliver(str(body.pop("to")), **body),
            "expire": lambda body: knobs.expire(str(body["id"])),
            "balance": self._balance,
            "stock": lambda body: knobs.set_stock(body["count"], body.get("prefix"), body.get("network")),
            "service": lambda body: knobs.change_service(body.pop("key"), **body),
            "callback": lambda body: knobs.set_callback_url(body["url"], body.get("token")),
            "clock": self._clock,
            "settings": lambda body: knobs.change_settings(**body),
            "outage": lambda body: outage(float(body["seconds"])),
            "rentals": lambda body: knobs.seed_rentals(**body),
            "reset": lambda _body: knobs.reset(),
        }

    def answer(self, request: Request) -> Reply:
        """The reply to a control request."""
        name = request.path.removeprefix("/_sandbox").strip("/")
        if request.is_foreign:
            return _json({"error": "another site's page may not do this"}, 403)
        try:
            if request.method == "GET" and name in self._reads:
                return _json(self._reads[name](request.query))
            if request.method == "POST" and name in self._changes:
                body = json.loads(request.body or b"{}")
                return _json(self._changes[name](body) or {})
        except LookupError as error:
            return _json({"error": f"not found: {error}"}, 404)
        except (TypeError, ValueError) as error:
            return _json({"error": str(error)}, 400)
        known = {"GET": sorted(self._reads), "POST": sorted(self._changes)}
        return _json({"error": "no such control", "known": known}, 404)

    def _overview(self, _query: dict[str, str]) -> dict[str, Any]:
        rules = self._knobs.rules
        with rules.transaction() as now:
            tokens = [
                {
                    "token": token,
                    "balance": rules.books.balances[token],
                    "waiting": len(rules.books.waiting[token]),
                }
                for token in rules.books.accounts
            ]
            stock = dict(rules.books.stock)
        return {
            "tokens": tokens,
            "settings": vars(rules.settings),
            "faults": rules.faults.active(),
            "stock": stock,
            "now": now,
        }

    def _calls(self, query: dict[str, str]) -> dict[str, Any]:
        # The time comes first: a reader that goes on from it misses no call.
        now = self._knobs.rules.now()
        calls = self._knobs.calls(query.get("token"), float(query.get("since", 0)))
        return {"now": now, "calls": [call._asdict() for call in calls]}

    def _faults(self, _query: dict[str, str]) -> dict[str, Any]:
        faults = self._knobs.rules.faults
        sentences = {kind.name: kind.sentence for kind in KINDS.values()}
        return {"active": faults.active(), "fired": dict(faults.fired), "known": sentences}

    def _balance(self, body: dict[str, Any]) -> None:
        if "top_up" in body:
            self._knobs.top_up(int(body["top_up"]), body.get("token"))
        else:
            self._knobs.set_balance(int(body["balance"]), body.get("token"))

    def _clock(self, body: dict[str, Any]) -> None:
        if "skew" in body:
            self._knobs.rules.skew = float(body["skew"])
        self._knobs.advance(float(body.get("advance", 0)))


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value, ensure_ascii=False).encode(), status)
