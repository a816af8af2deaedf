"""The control API below `/_sandbox/`: reads the books and turns the knobs from another process. JSON both ways."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.faults import KINDS
from sandbox.http_wire import Reply, Request
from sandbox.knobs import Knobs
from sandbox.payloads import ENVELOPES

CHANGEABLE = (
    "gap",
    "waiting_limit",
    "message_after",
    "refund_after",
    "envelope",
    "any_token",
    "lifetime",
    "history_limit",
)


class ControlApi:
    """Dispatches `/_sandbox/<name>`; GET reads, POST changes. An error is `{"error": …}` with status 400 or 404.

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
            "tokens": self._add_token,
            "faults": lambda body: knobs.set_fault(**body),
            "faults/clear": lambda body: knobs.clear_faults(body.get("name")),
            "deliver": lambda body: knobs.deliver(str(body.pop("to")), **body),
            "expire": lambda body: knobs.expire(str(body["id"])),
            "balance": self._balance,
            "stock": lambda body: knobs.set_stock(body["count"], body.get("prefix"), body.get("network")),
            "service": lambda body: knobs.change_service(body.pop("key"), **body),
            "callback": lambda body: knobs.set_callback_url(body["url"], body.get("token")),
            "clock": self._clock,
            "settings": self._settings,
            "outage": lambda body: outage(float(body["seconds"])),
            "rentals": lambda body: knobs.seed_rentals(**body),
            "reset": self._reset,
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
        with rules.turn() as now:
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
        rules, since = self._knobs.rules, float(query.get("since", 0))
        names = ("at", "monotonic", "token", "endpoint", "about")
        with rules.turn() as now:
            log = [call for call in rules.books.call_log if call[0] >= since and query.get("token") in (None, call[2])]
        return {"now": now, "calls": [dict(zip(names, call, strict=True)) for call in log]}

    def _faults(self, _query: dict[str, str]) -> dict[str, Any]:
        faults = self._knobs.rules.faults
        return {
            "active": faults.active(),
            "fired": dict(faults.fired),
            "known": {k: v.sentence for k, v in KINDS.items()},
        }

    def _add_token(self, body: dict[str, Any]) -> dict[str, str]:
        limit = body.pop("waiting_limit", None)
        token = self._knobs.add_token(**body)
        if limit is not None:
            self._knobs.rules.set_waiting_limit(token, int(limit))
        return {"token": token}

    def _balance(self, body: dict[str, Any]) -> None:
        token = body.get("token") or self._knobs.token
        if "top_up" in body:
            self._knobs.rules.top_up(token, int(body["top_up"]))
        else:
            self._knobs.rules.set_balance(token, int(body["balance"]))

    def _clock(self, body: dict[str, Any]) -> None:
        if "skew" in body:
            self._knobs.rules.skew = float(body["skew"])
        self._knobs.advance(float(body.get("advance", 0)))

    def _settings(self, body: dict[str, Any]) -> None:
        for name, value in body.items():
            if name not in CHANGEABLE or (name == "envelope" and value not in ENVELOPES):
                raise ValueError(f"{name} cannot be set to {value!r}; settings are {', '.join(CHANGEABLE)}")
            value = tuple(value) if name == "message_after" and value is not None else value
            setattr(self._knobs.rules.settings, name, value)

    def _reset(self, _body: dict[str, Any]) -> None:
        self._knobs.reset()


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value, ensure_ascii=False).encode(), status)
