"""When a driven controller is asked what is due, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from support.doubles_servers import run_virtually

from extender.core.model.control import NEVER
from extender.runtime.drive import LONGEST, Drive


class Alarms:
    """A controller whose actions are times; each is due at that time."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.asked: list[float] = []

    def due(self, now: float) -> Sequence[float]:
        self.asked.append(now)
        due = [at for at in sorted(self.times) if at <= now]
        self.times = [at for at in self.times if at > now]
        return due

    @property
    def next_at(self) -> float:
        return min(self.times, default=NEVER)


class RunningDrive:
    """A drive that runs.

    `done` are the actions with the time they were carried out at, `more` how many others the next ones make due.
    """

    def __init__(self) -> None:
        self.alarms = Alarms()
        self.done: list[tuple[float, float]] = []
        self.reports: list[str] = []
        self.more: list[int] = []
        self.now = asyncio.get_running_loop().time
        self.drive = Drive("alarms", self.alarms, self.perform, self.report, now=self.now)

    def report(self, _name: str, text: str) -> None:
        self.reports.append(text)

    def perform(self, action: float) -> None:
        if action < 0:
            raise ValueError(action)
        self.done.append((action, self.now()))
        if self.more:
            self.alarms.times += [self.now()] * self.more.pop(0)


def driven(check: Callable[[RunningDrive], Awaitable[None]]) -> None:
    async def main() -> None:
        scene = RunningDrive()
        task = asyncio.create_task(scene.drive.run())
        await asyncio.sleep(0.1)
        try:
            await check(scene)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)


def test_what_comes_sooner_than_was_known_is_done_in_time() -> None:
    async def check(scene: RunningDrive) -> None:
        scene.alarms.times = [30.0]
        scene.drive.hasten()
        await asyncio.sleep(10)
        scene.alarms.times.append(20.0)
        scene.drive.hasten()
        await asyncio.sleep(30)
        assert [action for action, _ in scene.done] == [20.0, 30.0]
        assert all(at == pytest.approx(action) for action, at in scene.done)

    driven(check)


def test_nothing_is_asked_because_of_what_comes_later() -> None:
    async def check(scene: RunningDrive) -> None:
        scene.alarms.times = [30.0]
        scene.drive.hasten()
        await asyncio.sleep(1)
        asked = len(scene.alarms.asked)
        for at in range(31, 50):
            scene.alarms.times.append(float(at))
            scene.drive.hasten()
            await asyncio.sleep(0.1)
        assert len(scene.alarms.asked) == asked

    driven(check)


def test_a_controller_is_asked_now_and_then_whatever_it_says() -> None:
    async def check(scene: RunningDrive) -> None:
        await asyncio.sleep(LONGEST * 3)
        assert 3 <= len(scene.alarms.asked) <= 5

    driven(check)


def test_a_fault_in_one_action_is_told_and_ends_no_other() -> None:
    async def check(scene: RunningDrive) -> None:
        scene.alarms.times = [-1.0, 0.05]
        scene.drive.wake()
        await asyncio.sleep(1)
        assert [action for action, _ in scene.done] == [0.05]
        assert scene.reports == ["float met a fault: ValueError(-1.0)"]

    driven(check)


def test_what_an_action_makes_due_is_done_at_once_and_others_have_their_turn_in_between() -> None:
    async def check(scene: RunningDrive) -> None:
        scene.more = [2, 1, 1]
        scene.alarms.times = [0.0]
        before = scene.now()
        scene.drive.wake()
        seen = set()
        for _ in range(100):
            await asyncio.sleep(0)
            seen.add(len(scene.done))
        assert seen >= {1, 2, 3, 4, 5}
        assert {at for _, at in scene.done} == {before}

    driven(check)
