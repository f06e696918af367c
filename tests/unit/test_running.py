"""How tests are run: limits that stretch on a slow machine, and what goes through one lane."""

import asyncio
import sys
from types import SimpleNamespace

import pytest
from support import lanes as running
from support import patience
from support.lanes import INTEGRATION, SHARING, considerate, give_way, lanes, unit_of
from support.patience import Patience, eventually, stretched, within

ROOT_MODULE = "tests/unit/test_running.py"


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What patience takes for the time and for the machine's slowness."""
    held = {"now": 100.0, "slowness": 1.0}
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: held["now"]))
    monkeypatch.setattr(patience, "slowness", lambda: held["slowness"])
    return held


def test_a_limit_is_used_up_as_slowly_as_the_machine_is(time: dict[str, float]) -> None:
    limit = Patience(10.0)
    time["now"] += 4.0
    assert limit.left() == 6.0
    time["slowness"] = 3.0
    time["now"] += 9.0
    assert limit.left() == 3.0
    time["slowness"] = 1.0
    time["now"] += 3.0
    assert limit.left() == 0.0
    assert stretched(2.0) == 2.0


def test_the_machine_is_as_slow_as_it_is_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_processor", lambda: 1.5)
    for load, slowness in ((0.5, 1.5), (2.0, 1.5), (15.0, 1.5 * 7.5)):
        machine = SimpleNamespace(cpu_count=lambda: 2, getloadavg=lambda load=load: (load, 0.0, 0.0))
        monkeypatch.setattr(patience, "os", machine)
        assert patience.slowness() == slowness


async def test_what_does_not_come_is_told_with_what_was_seen_last() -> None:
    async def seen() -> int:
        return 7

    assert await eventually(seen, lambda value: value == 7, "seven") == 7
    with pytest.raises(AssertionError, match="eight: not within 0 s, last seen 7"):
        await eventually(seen, lambda value: value == 8, "eight", 0)


async def test_a_block_that_takes_too_long_is_ended() -> None:
    async with within(60):
        pass
    with pytest.raises(TimeoutError):
        async with within(0):
            await asyncio.Event().wait()


def test_modules_that_share_a_stage_go_through_one_lane() -> None:
    for folder, modules in SHARING.items():
        units = {unit_of(f"{INTEGRATION}{folder}/{module}.py::test_it[a::b]") for module in modules}
        assert units == {INTEGRATION + folder}
    assert unit_of(f"{INTEGRATION}drift/test_events.py::test_it") == f"{INTEGRATION}drift/test_events.py"
    assert unit_of(f"{ROOT_MODULE}::test_it") == ROOT_MODULE


def test_modules_that_share_exist(pytestconfig: pytest.Config) -> None:
    for folder, modules in SHARING.items():
        for module in modules:
            assert (pytestconfig.rootpath / INTEGRATION / folder / f"{module}.py").is_file()


def test_tests_that_wait_get_more_lanes_of_which_the_last_are_considerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "os", SimpleNamespace(cpu_count=lambda: 2))
    assert lanes("not controlplane and not tools") == 2
    assert lanes("") == 5
    assert [considerate(f"gw{number}") for number in range(lanes(""))] == [0, 0, 0, 1, 2]
    assert considerate("") == 0


@pytest.mark.parametrize(
    ("idle", "waited"),
    [([40], 2), ([20, 20, 30], 6), ([20] * 20, 30)],
    ids=["there is time", "later", "never: it goes on all the same"],
)
def test_a_considerate_lane_waits_for_a_processor_with_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, idle: list[int], waited: int
) -> None:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    seen = [(sum(idle[:number]), 100 * number) for number in range(len(idle) + 1)]
    monkeypatch.setattr(running, "time", clock)
    monkeypatch.setattr(running, "_idle", iter(seen).__next__)
    give_way(1)
    assert clock.now == waited


@pytest.mark.skipif(sys.platform != "linux", reason="what the kernel tells of its processors")
def test_the_time_of_processors_is_read() -> None:
    idle, spent = running._idle()
    assert 0 <= idle < spent
