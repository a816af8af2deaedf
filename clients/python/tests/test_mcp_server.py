"""The MCP tools, as an agent calls them."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.client import Client

from thuesim_desk import Desk
from thuesim_desk.mcp_server import make_server

from .stand_in import Fault, StandIn

Answer = tuple[bool, Any, str]


def _call(desk: Desk, *calls: tuple[str, dict[str, Any]]) -> list[Answer]:
    """Return for each call whether it failed, its structured content, and its text."""
    answers: list[Answer] = []

    async def session() -> None:
        async with Client(make_server(desk)) as agent:
            for name, arguments in calls:
                result = await agent.call_tool(name, arguments)
                text = "".join(getattr(part, "text", "") for part in result.content)
                answers.append((bool(result.is_error), result.structured_content, text))

    anyio.run(session)
    return answers


def test_an_agent_rents_a_number_and_reads_the_code(client: Desk, stand_in: StandIn) -> None:
    stand_in.second = 1
    stand_in.later(1, lambda: stand_in.rentals and stand_in.message(1, "195829"))
    [(_, services, _), (_, rented, _), (_, waited, _)] = _call(
        client,
        ("list_services", {"q": "zalo"}),
        ("rent_number", {"service": "01.2", "max_price": 2000}),
        ("wait_for_code", {"rental_id": 1, "timeout": 30}),
    )
    assert services["services"][0]["id"] == "01.2"
    assert (rented["rental_id"], rented["digits"], rented["price"]) == (1, "0852222127", 1450)
    assert (waited["code"], waited["message_id"]) == ("195829", 100)


def test_a_code_that_is_late_is_no_error_and_a_refusal_is_one(client: Desk, stand_in: StandIn) -> None:
    stand_in.order()
    [(failed, waited, _)] = _call(client, ("wait_for_code", {"rental_id": 1, "timeout": 0.1}))
    assert (failed, waited["timed_out"], waited["status"]) == (False, True, "waiting")
    stand_in.faults.append(Fault(403, "budget_exceeded", detail="The budget is used up."))
    [(failed, _, text)] = _call(client, ("rent_number", {"service": "01.2", "max_price": 2000}))
    assert failed
    assert text.endswith("The budget is used up. [budget_exceeded]")


def test_a_rental_without_a_price_limit_is_refused(client: Desk, stand_in: StandIn) -> None:
    [(failed, _, text)] = _call(client, ("rent_number", {"service": "01.2"}))
    assert failed
    assert "max_price" in text
    assert stand_in.requests == []


def test_the_balance_has_the_tokens_and_the_key(client: Desk) -> None:
    [(failed, answer, _)] = _call(client, ("balance", {}))
    assert not failed
    assert answer["tokens"][0]["balance"] == 125000
    assert answer["key"]["budget"][0]["left"] == 48550
