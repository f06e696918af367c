"""Scheduler configurations are changed apart from the process that answers the scheduler, within limits."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.patience import stretched

from extender.core.model.errors import BusyError, WireError
from extender.runtime.injector import WAITING, Injector
from extender.schedulerconfig.inject import inject
from extender.schedulerconfig.yamltree import MAX_CHARS
from extender.settings import Settings, stanza_from

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
OTHER = "kind: Other\n"
ASLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


def settled(**more: object) -> Injector:
    return Injector(Settings(), stretched(60), **more)  # type: ignore[arg-type]


async def test_texts_get_our_extender_as_they_would_here() -> None:
    texts = {"a": HEAD, "b": OTHER, "c": HEAD + "profiles: []\n", "d": ""}
    changed = await settled()(texts)
    stanza = stanza_from(Settings())
    assert changed == {key: inject(texts[key], stanza) for key in ("a", "c")}
    assert await settled()(changed) == {}


async def test_where_nothing_is_a_configuration_nothing_is_started() -> None:
    assert await settled(command=("/nowhere",))({"a": OTHER, "b": "x" * MAX_CHARS}) == {}


async def test_an_invalid_one_is_refused_with_its_place() -> None:
    with pytest.raises(WireError, match=r"^data\['b'\]: line 3, column 12: extenders is 5; write a list"):
        await settled()({"a": HEAD, "b": HEAD + "extenders: 5\n"})


async def test_too_long_ones_are_left_alone() -> None:
    half = HEAD + "#" * (MAX_CHARS // 2)
    with pytest.raises(BusyError, match=f"no more than {MAX_CHARS} are read"):
        await settled(command=("/nowhere",))({"a": half, "b": half})


async def test_what_takes_too_long_is_stopped(running: "Children") -> None:
    with pytest.raises(BusyError, match="were not read within"):
        await Injector(Settings(), 0.3, ASLEEP)({"a": HEAD})
    assert running.left() == []


async def test_one_at_a_time_and_few_wait(running: "Children") -> None:
    injector = Injector(Settings(), 600, ASLEEP)
    asked = [asyncio.create_task(injector({"a": HEAD})) for _ in range(WAITING)]
    await asyncio.sleep(0.3)
    with pytest.raises(BusyError, match="too many ConfigMaps"):
        await injector({"a": HEAD})
    assert len(running.left()) == 1
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert running.left() == []
    short = Injector(Settings(), 0.2, ASLEEP)
    outcomes = await asyncio.gather(*(short({"a": HEAD}) for _ in range(WAITING)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [BusyError] * WAITING


@pytest.mark.parametrize("code", ["", "raise MemoryError", "print('{')", "import os; os.kill(os.getpid(), 9)"])
async def test_one_that_fails_leaves_the_texts_alone(code: str) -> None:
    with pytest.raises(BusyError, match="could not be read within their limits"):
        await settled(command=(sys.executable, "-c", code))({"a": HEAD})
    with pytest.raises(BusyError, match="could not be read within their limits"):
        await settled(command=("/nowhere",))({"a": HEAD})


class Children:
    """The processes that this one has started and that run."""

    def __init__(self) -> None:
        self._before = set(self._all())

    @staticmethod
    def _all() -> Iterator[str]:
        """By their parent: the kernel's list of a thread's children goes when the thread ends."""
        for process in Path("/proc").glob("[0-9]*"):
            # One that ends meanwhile is none of ours: those stay until they are waited for.
            with contextlib.suppress(OSError):
                if int((process / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    yield process.name

    def left(self) -> list[str]:
        return sorted(set(self._all()) - self._before)


@pytest.fixture
def running() -> Iterator[Children]:
    children = Children()
    yield children
    assert children.left() == []
