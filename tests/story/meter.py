"""Looks at the cluster twice a second and adds up what was not as it was asked for."""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from support.cluster import Cluster, is_ready

from extender.core.model.classes import ClassRules
from extender.core.model.errors import ApiError
from extender.core.model.quantity import parse_quantity
from story.workloads import Asked

PERIOD = 0.5
SPOT, ON_DEMAND = "spot", "on-demand"
_PRICES = {SPOT: 0.01, ON_DEMAND: 0.03}
"""Of a CPU for an hour, as the instance types of `support.karpenter` have it."""
_RULES = ClassRules()


class Phase(Enum):
    """What is to be expected of the cluster."""

    ORDINARY = "ordinary"
    """Spot can be had."""
    WITHOUT = "without"
    """There is no spot, so that others stand in."""
    RETURN = "return"
    """Spot can be had again, and not all replicas have come back to it."""


@dataclass
class Sums:
    """What added up in one phase.

    Attributes:
        seconds: it took.
        surplus: replicas beyond what is wanted on a class, times seconds.
        price: paid for nodes.
        ready_hours: of Ready pods.
    """

    seconds: float = 0.0
    surplus: float = 0.0
    price: float = 0.0
    ready_hours: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.seconds + other.seconds,
            self.surplus + other.surplus,
            self.price + other.price,
            self.ready_hours + other.ready_hours,
        )

    @property
    def surplus_on_average(self) -> float:
        """Replicas."""
        return self.surplus / self.seconds if self.seconds else 0.0

    @property
    def price_of_1000(self) -> float:
        """Of 1,000 Ready pod-hours."""
        return 1000 * self.price / self.ready_hours if self.ready_hours else 0.0


@dataclass(frozen=True)
class Look:
    """The cluster at one moment.

    Attributes:
        at: seconds of the monotonic clock.
        bound: pods with a node, by workload and class.
        ready: those of them that are Ready.
        pending: pods without a node, by workload.
        price: of all nodes, for an hour.
    """

    at: float
    bound: Mapping[str, Counter[str]]
    ready: Mapping[str, Counter[str]]
    pending: Counter[str]
    price: float

    def off(self, asked: Asked) -> int:
        """How many replicas of a workload are not on their class, or nowhere."""
        wanted, held = asked.split, self.bound.get(asked.name, Counter())
        return sum(max(0, count - held[name]) for name, count in wanted.items())

    def surplus(self, asked: Asked) -> int:
        """How many replicas a class holds beyond what is wanted there."""
        wanted, held = asked.split, self.bound.get(asked.name, Counter())
        return sum(max(0, count - wanted.get(name, 0)) for name, count in held.items())

    def all_ready(self, asked: Asked) -> bool:
        """Whether as many replicas as are wanted are Ready, wherever."""
        return self.ready.get(asked.name, Counter()).total() >= asked.replicas

    def right(self, asked: Asked) -> bool:
        """Whether every replica is Ready and on its class, and none is too many."""
        return self.ready.get(asked.name, Counter()) == Counter(asked.split) and not self.pending[asked.name]


@dataclass
class Meter:
    """What was seen.

    Attributes:
        cluster: the workloads' namespace.
        asked: the workloads by name, as they are asked for now.
        now: the last look.
        phase: what is to be expected now.
        sums: what added up in each phase.
        act: what happens now.
        below_floor: seconds with fewer Ready on-demand replicas than the floor, once it was first reached; by act and
            workload.
        most_missing: most replicas of a workload that were not Ready at the same time while others came back to spot.
        missed: looks that the API server did not answer.
    """

    cluster: Cluster
    asked: dict[str, Asked]
    now: Look = field(default_factory=lambda: Look(0.0, {}, {}, Counter(), 0.0))
    phase: Phase = Phase.ORDINARY
    act: str = ""
    sums: dict[Phase, Sums] = field(default_factory=lambda: {phase: Sums() for phase in Phase})
    below_floor: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    most_missing: int = 0
    missed: int = 0
    _had_floor: set[str] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look on meanwhile."""
        self.now = await self._look()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._go_on())
            yield
            task.cancel()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            try:
                self._take(await self._look())
            except ApiError:
                # What was missed is made up for by the next look.
                self.missed += 1

    def _take(self, look: Look) -> None:
        """Add up."""
        passed = look.at - self.now.at
        surplus = sum(look.surplus(asked) for asked in self.asked.values())
        ready = sum(counts.total() for counts in look.ready.values())
        self.sums[self.phase] += Sums(passed, surplus * passed, look.price * passed / 3600, ready * passed / 3600)
        for asked in self.asked.values():
            held = look.ready.get(asked.name, Counter())[ON_DEMAND]
            if held >= asked.floor:
                self._had_floor.add(asked.name)
            elif asked.name in self._had_floor:
                self.below_floor[self.act, asked.name] += passed
            if self.phase is Phase.RETURN:
                missing = asked.replicas - look.ready.get(asked.name, Counter()).total()
                self.most_missing = max(self.most_missing, missing)
        self.now = look

    def off(self) -> int:
        """How many replicas are not on their class at the last look."""
        return sum(self.now.off(asked) for asked in self.asked.values())

    @property
    def total(self) -> Sums:
        """What added up in all phases."""
        return sum(self.sums.values(), Sums())

    def right(self) -> bool:
        """Whether every workload is as it was asked for at the last look."""
        return all(self.now.right(asked) for asked in self.asked.values())

    def all_ready(self) -> bool:
        """Whether every workload has its replicas Ready at the last look, wherever."""
        return all(self.now.all_ready(asked) for asked in self.asked.values())

    async def _look(self) -> Look:
        at = time.monotonic()
        nodes, pods = await self.cluster.nodes(), await self.cluster.pods()
        classes = {node["metadata"]["name"]: _RULES.class_of(node["metadata"]["labels"]) for node in nodes}
        bound: dict[str, Counter[str]] = defaultdict(Counter)
        ready: dict[str, Counter[str]] = defaultdict(Counter)
        pending: Counter[str] = Counter()
        for pod in pods:
            name, node = pod["metadata"]["labels"].get("app", ""), pod["spec"].get("nodeName")
            if name not in self.asked:
                continue
            if node not in classes:
                pending[name] += 1
                continue
            bound[name][classes[node]] += 1
            ready[name][classes[node]] += is_ready(pod)
        ready = {name: +counts for name, counts in ready.items()}
        return Look(at, bound, ready, pending, sum(_price(node, classes) for node in nodes))


def _price(node: Mapping[str, Any], classes: Mapping[str, str]) -> float:
    """Of a node, for an hour; it is paid for by its CPUs."""
    cpus = parse_quantity(str(node["status"].get("capacity", {}).get("cpu", "0")), 1000) / 1000
    return _PRICES[classes[node["metadata"]["name"]]] * cpus
