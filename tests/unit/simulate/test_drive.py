"""When a driven controller is asked what is due, by the virtual clock."""

from collections.abc import Sequence

import pytest

from extender.core.model.control import NEVER
from extender.simulate.clock import Clock
from extender.simulate.drive import VirtualDrive


class VirtualAlarms:
    """A controller whose actions are times; each is due at that time. `more` are times that the next action adds."""

    def __init__(self, clock: Clock, *times: float) -> None:
        self.times = list(times)
        self.more: list[float] = []
        self.done: list[tuple[float, float]] = []
        self.asked = 0
        self._clock = clock
        self.drive: VirtualDrive[float] = VirtualDrive(clock, self, self._perform)

    def due(self, now: float) -> Sequence[float]:
        self.asked += 1
        due = [at for at in sorted(self.times) if at <= now]
        self.times = [at for at in self.times if at > now]
        return due

    @property
    def next_at(self) -> float:
        return min(self.times, default=NEVER)

    def _perform(self, action: float) -> None:
        self.done.append((action, self._clock.now))
        self.times += self.more
        self.more = []


def test_each_action_is_carried_out_at_its_time() -> None:
    clock = Clock()
    alarms = VirtualAlarms(clock, 30.0, 20.0)
    alarms.drive.wake()
    clock.run(100.0)
    assert alarms.done == [(20.0, 20.0), (30.0, 30.0)]


def test_a_controller_to_which_nothing_comes_is_asked_no_more() -> None:
    clock = Clock()
    alarms = VirtualAlarms(clock)
    alarms.drive.wake()
    clock.run(1e6)
    assert (alarms.asked, clock.calls) == (1, 0)


@pytest.mark.parametrize(("added", "wanted"), [(10.0, [10.0, 30.0]), (50.0, [30.0, 50.0])])
def test_what_happens_moves_the_next_time(added: float, wanted: list[float]) -> None:
    clock = Clock()
    alarms = VirtualAlarms(clock, 30.0)
    alarms.drive.wake()
    clock.run(5.0)
    alarms.times.append(added)
    alarms.drive.wake()
    clock.run(100.0)
    assert alarms.done == [(at, at) for at in wanted]


def test_what_an_action_makes_due_is_done_at_the_same_time() -> None:
    clock = Clock()
    alarms = VirtualAlarms(clock, 30.0)
    alarms.more = [-NEVER, 40.0]
    alarms.drive.wake()
    clock.run(100.0)
    assert alarms.done == [(30.0, 30.0), (-NEVER, 30.0), (40.0, 40.0)]
