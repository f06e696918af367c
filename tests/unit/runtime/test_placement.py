"""What owners are told when pods are not given the class of their seat, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.doubles import SPOT, World, make_view, ref
from support.doubles_kube import Client, Objects
from support.doubles_servers import run_virtually

from extender.core.decisionlog import DecisionLog
from extender.kube.patches import PodPatches
from extender.kube.ports import Ports
from extender.kube.queue import PatchQueue
from extender.kube.recorder import WINDOW, EventRecorder
from extender.kube.waker import Waker
from extender.runtime.decisions import Decisions
from extender.runtime.placement import PlacementReports
from extender.telemetry.metrics import Metrics


class Office:
    """A world whose decisions are told. Made within a virtual event loop."""

    def __init__(self) -> None:
        self.world, self.objects = World(), Objects()
        client = Client(self.objects)
        ports = Ports(clock=asyncio.get_running_loop().time)
        self.recorder = EventRecorder(client, lambda *_: None, ports=ports)
        waker = Waker(PatchQueue(PodPatches(client), lambda *_: None), "wake", lambda _: None, lambda: 0.0)
        placement = PlacementReports(self.recorder)
        self.observer = Decisions(Metrics(), waker, DecisionLog(), placement, lambda: self.world.now, logged=False)
        self._count = 0

    def filter(self, owner: Any, offered: list[str], times: int = 1) -> None:
        for _ in range(times):
            self._count += 1
            view = make_view(f"pod-{self._count}", owner)
            self.observer.decided(view, self.world.decide(view, offered))

    async def told(self) -> list[tuple[str, str, str, str]]:
        """Reason, type, object and note of each Event."""
        self.recorder.start()
        assert await self.recorder.drain(60) == 0
        events = [body for path, body in self.objects.stored.items() if "/events/" in path]
        return [
            (e["reason"], e["type"], f"{e['regarding']['kind']} {e['regarding']['name']}", e["note"]) for e in events
        ]


def virtually(check: Callable[[Office], Awaitable[None]]) -> None:
    async def main() -> None:
        await check(Office())

    run_virtually(main)


def test_a_fallback_is_told_once_in_a_while_on_the_workload() -> None:
    async def check(office: Office) -> None:
        offered = office.world.nodes(on_demand=2)
        web = office.world.deployment("web", 50, spot_percentage=100)
        api = office.world.deployment("api", 50, spot_percentage=100)
        office.filter(web, offered, times=9)
        office.filter(api, offered)
        await asyncio.sleep(WINDOW - 1)
        office.filter(web, offered, times=9)
        text = "No spot node has room for pods with a spot seat: on-demand nodes stand in"
        first = [("FallbackTaken", "Normal", f"Deployment {name}", text) for name in ("web", "api")]
        assert await office.told() == first
        await asyncio.sleep(2)
        office.filter(web, offered)
        assert await office.told() == [*first, first[0]]

    virtually(check)


def test_pods_that_wait_for_their_class_are_told_of_with_what_might_have_stood_in() -> None:
    async def check(office: Office) -> None:
        strict = office.world.deployment("strict", 5, spot_percentage=100, when_unsatisfiable="wait")
        lenient = office.world.deployment("lenient", 5, spot_percentage=100)
        for owner in (strict, lenient):
            office.filter(owner, [], times=3)
        first = "No spot node has room for pods with a spot seat, and nothing stands in (when-unsatisfiable=wait)"
        second = "No spot node, and no on-demand node that may stand in, has room for pods with a spot seat"
        assert await office.told() == [
            ("ClassUnavailable", "Warning", f"Deployment {name}", f"{text}: they wait")
            for name, text in (("strict", first), ("lenient", second))
        ]

    virtually(check)


def test_full_pools_are_told_of() -> None:
    async def check(office: Office) -> None:
        offered = office.world.nodes(spot=2)
        web = office.world.deployment("web", 5, spot_percentage=100, when_unsatisfiable="wait", max_per_pool=1)
        office.filter(web, offered, times=3)
        text = "Every spot pool with room holds as many of its pods as max-per-pool allows: others wait"
        assert await office.told() == [("PoolsFull", "Warning", "Deployment web", text)]

    virtually(check)


def test_what_goes_by_the_policy_or_passes_soon_is_not_told() -> None:
    async def check(office: Office) -> None:
        offered = office.world.nodes(spot=1, on_demand=1)
        plain = office.world.deployment("plain", 4, spot_percentage=50)
        office.filter(plain, offered, times=4)
        # It falls back in a minute, and may not have to.
        patient = office.world.deployment("patient", 4, spot_percentage=100, fallback_after="1m")
        office.filter(patient, offered[1:])
        audited = office.world.deployment("audited", 4, spot_percentage=100, mode="audit")
        office.filter(audited, offered[1:])
        unknown = ref(office.world.state.workloads.owners["uid-ReplicaSet-plain-1"])
        office.world.gone("replicasets.apps", unknown.uid)
        office.filter(unknown, offered[:1])
        assert office.world.split(plain).get(SPOT) == 2
        assert await office.told() == []

    virtually(check)
