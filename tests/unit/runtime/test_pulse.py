"""How long one step of work holds up all others, as the event loop's own lateness tells, in virtual time."""

import asyncio

from support.doubles_servers import run_virtually

from extender.kube.seams import Timing
from extender.runtime.pulse import BEAT, WINDOW, Pulse


def test_the_longest_step_of_the_last_minute_is_known_and_one_too_long_is_told() -> None:
    async def main() -> None:
        held_up = 0.0

        def clock() -> float:
            return asyncio.get_running_loop().time() + held_up

        told: list[str] = []
        pulse = Pulse(lambda source, text: told.append(f"{source}: {text}"), timing=Timing(clock=clock))
        assert pulse.longest() == 0.0
        task = asyncio.create_task(pulse.run())
        await asyncio.sleep(10 * BEAT)
        assert round(pulse.longest(), 6) == 0.0
        held_up += 7.8
        await asyncio.sleep(1.0)
        held_up += 0.3
        await asyncio.sleep(1.0)
        assert round(pulse.longest(), 6) == 7.8
        assert told == ["event loop: a step of work held up all others for 7.8 s"]
        await asyncio.sleep(WINDOW - 1.0)
        assert round(pulse.longest(), 6) == 0.3
        await asyncio.sleep(WINDOW)
        assert round(pulse.longest(), 6) == 0.0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)
