import asyncio

import pytest

from thuesim_site.serving.fair_turns import FairTurns


async def begun(turns: FairTurns, *clients: str) -> list["asyncio.Task[None]"]:
    """Have these ask in this order; who is done has their turn."""
    tasks = [asyncio.ensure_future(turns.take(client)) for client in clients]
    await asyncio.sleep(0)
    return tasks


def test_one_client_takes_at_most_half_of_the_places() -> None:
    async def scene() -> None:
        tasks = await begun(FairTurns(4), "a", "a", "a", "b")
        assert [task.done() for task in tasks] == [True, True, False, True]
        tasks[2].cancel()

    asyncio.run(scene())


def test_the_client_with_the_fewest_goes_next() -> None:
    async def scene() -> None:
        turns = FairTurns(2)
        await begun(turns, "a", "b")
        a, b, c = await begun(turns, "a", "b", "c")
        turns.give_back("b")
        await b
        assert not a.done()
        assert not c.done()
        for task in (a, c):
            task.cancel()

    asyncio.run(scene())


def test_a_client_with_many_requests_goes_no_more_often_than_one_with_few() -> None:
    async def scene() -> None:
        turns = FairTurns(1)
        await begun(turns, "a")
        *many, few = await begun(turns, "a", "a", "a", "a", "b")
        turns.give_back("a")
        await many[0]
        turns.give_back("a")
        await few
        assert [task.done() for task in many] == [True, False, False, False]
        for task in many:
            task.cancel()

    asyncio.run(scene())


def test_who_asked_first_goes_first_among_a_clients_own() -> None:
    async def scene() -> None:
        turns = FairTurns(1)
        await begun(turns, "a")
        first, second = await begun(turns, "a", "a")
        turns.give_back("a")
        await first
        assert not second.done()
        turns.give_back("a")
        await second

    asyncio.run(scene())


def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    async def scene() -> None:
        turns = FairTurns(1)
        await begun(turns, "a")
        gone, here = await begun(turns, "b", "c")
        gone.cancel()
        turns.give_back("a")
        await here
        assert gone.cancelled()

    asyncio.run(scene())


@pytest.mark.parametrize("clients", [("", "", ""), ("a", "b", "c")])
def test_nobody_is_forgotten(clients: tuple[str, ...]) -> None:
    async def scene() -> None:
        turns = FairTurns(1)

        async def work(client: str) -> None:
            await turns.take(client)
            await asyncio.sleep(0)
            turns.give_back(client)

        await asyncio.wait_for(asyncio.gather(*(work(client) for client in clients * 20)), 60)

    asyncio.run(scene())
