"""Plays faults one after another and looks what became of the cluster."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from support.patience import eventually

from chaos.attacks import forging
from chaos.churn import WORKLOADS
from chaos.faults import FAULTS, STILL
from chaos.scene import Scene, opened_scene

_REST = 180.0
"""Seconds of an ordinary machine within which all has to be at rest after a fault."""
MEMORY_LIMIT = 512
"""MiB of a replica: `resources.limits.memory` of the chart."""


@dataclass(frozen=True)
class Plan:
    """What is played: faults until the time is over, each at least once.

    Attributes:
        seed: of all that is chosen.
        seconds: how long at least.
        bodies: how many fuzzed bodies a port gets at a time.
        forging: ask for pods that do not exist throughout.
        names: of the faults.
    """

    seed: int
    seconds: float
    bodies: int
    forging: bool
    names: Sequence[str]


@dataclass
class Played:
    """What became of one fault."""

    fault: str
    lasted: float = 0.0
    rest_after: float = 0.0
    evictions: int = 0
    unrest: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all came to rest and no floor was broken."""
        return not self.unrest and not self.breaches


@dataclass
class Result:
    """What became of a run; memory in MiB, of the replica that held most."""

    seed: int
    seconds: float = 0.0
    played: list[Played] = field(default_factory=list)
    memory_at_rest: float = 0.0
    memory_peak: float = 0.0
    memory_end: float = 0.0
    dry_evictions: int = 0

    @property
    def good(self) -> bool:
        """Whether every fault was survived, within the memory that the chart allows."""
        return all(played.good for played in self.played) and self.memory_peak < MEMORY_LIMIT


async def play(plan: Plan, told: Callable[[str], None]) -> Result:
    """Play; `told` is told what happens, a line at a time."""
    names, result, began = plan.names, Result(plan.seed), time.monotonic()
    async with opened_scene(plan.seed, plan.bodies) as scene, contextlib.AsyncExitStack() as stack:
        if plan.forging:
            await stack.enter_async_context(forging(scene.pair, scene.cluster, scene.rng))
        told("making workloads")
        for _ in range(WORKLOADS):
            await scene.churn.make()
        await _at_rest(scene, Played("start"))
        result.memory_at_rest = scene.memory.now()
        order: list[str] = []
        while time.monotonic() - began < plan.seconds or set(names) - {played.fault for played in result.played}:
            if not order:
                order = scene.rng.sample(names, len(names))
            played = await _play_one(scene, order.pop(), told)
            result.played.append(played)
            if not played.good:
                # What follows would be judged by what this one left behind.
                break
        result.memory_peak, result.memory_end = scene.memory.peak, scene.memory.now()
        result.dry_evictions = scene.truth.dry
    result.seconds = time.monotonic() - began
    return result


async def _play_one(scene: Scene, name: str, told: Callable[[str], None]) -> Played:
    played, evictions, breaches = Played(name), scene.truth.evictions, len(scene.truth.breaches)
    told(f"playing {name}")
    began = time.monotonic()
    async with _churning(scene, still=name in STILL):
        await FAULTS[name](scene)
        scene.proxy.heal()
    ended = time.monotonic()
    await _at_rest(scene, played)
    played.lasted, played.rest_after = ended - began, time.monotonic() - ended
    played.evictions = scene.truth.evictions - evictions
    played.breaches = scene.truth.breaches[breaches:]
    rest = (
        f"at rest {played.rest_after:.0f} s later" if not played.unrest else f"NOT at rest: {'; '.join(played.unrest)}"
    )
    told(f"{name}: {played.lasted:.0f} s, {rest}, {played.evictions} evictions, {scene.memory.now():.0f} MiB")
    for breach in played.breaches:
        told(f"  FLOOR BROKEN: {breach}")
    return played


@contextlib.asynccontextmanager
async def _churning(scene: Scene, *, still: bool) -> AsyncIterator[None]:
    async with contextlib.nullcontext() if still else scene.churn.going_on():
        yield


async def _at_rest(scene: Scene, played: Played) -> None:
    """Wait until every workload is at its split and runs."""
    try:
        await eventually(scene.truth.unrest, lambda lines: not lines, "rest", _REST)
    except AssertionError:
        played.unrest = await scene.truth.unrest()
