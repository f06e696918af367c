"""Answers take turns, and leave as much time to the extender as they take."""

import asyncio
from collections.abc import Generator

import pytest
from support.doubles_servers import run_virtually

from extender.servers.answers.pace import Pace, in_turns


def test_one_at_a_time_and_a_rest_as_long_as_it_took() -> None:
    async def race() -> None:
        pace = Pace()
        clock = asyncio.get_running_loop().time
        began = clock()
        spans: list[tuple[float, float]] = []

        async def answer(seconds: float) -> None:
            async with pace.turn():
                entered = clock() - began
                await asyncio.sleep(seconds)
                spans.append((entered, clock() - began))

        tasks = [asyncio.ensure_future(answer(seconds)) for seconds in (1.0, 3.0, 2.0)]
        await asyncio.sleep(0)
        assert pace.waiting == 3
        await asyncio.gather(*tasks)
        assert [each for span in spans for each in span] == pytest.approx([0.0, 1.0, 2.0, 5.0, 8.0, 10.0])
        assert pace.waiting == 0

    run_virtually(race)


def test_who_leaves_while_it_waits_holds_up_nobody() -> None:
    async def race() -> None:
        pace = Pace()

        async def answer() -> None:
            async with pace.turn():
                await asyncio.sleep(1.0)

        first, second, third = (asyncio.ensure_future(answer()) for _ in range(3))
        await asyncio.sleep(0.5)
        second.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.gather(first, third)
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.5)
        assert second.cancelled()
        assert pace.waiting == 0

    run_virtually(race)


def test_others_have_their_turn_after_each_step_and_a_caller_that_leaves_ends_it() -> None:
    taken: list[str] = []

    def steps() -> Generator[None, None, str]:
        try:
            for number in range(3):
                taken.append(f"step {number}")
                yield
        finally:
            taken.append("closed")
        return "made"

    async def others() -> None:
        for number in range(2):
            taken.append(f"other {number}")
            await asyncio.sleep(0)

    async def race() -> None:
        made, _ = await asyncio.gather(in_turns(steps()), others())
        assert made == "made"
        assert taken == ["step 0", "other 0", "step 1", "other 1", "step 2", "closed"]
        taken.clear()
        task = asyncio.ensure_future(in_turns(steps()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert taken == ["step 0", "closed"]

    run_virtually(race)
