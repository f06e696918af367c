"""What owners are told when pods are not given the class of their seat, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.doubles import SPOT, World, make_namespace, make_pod, make_policy, make_view
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import run_virtually
from support.limits import limit_policy

from extender.core.answers.decisions import DecisionLog
from extender.kube.occurrences import WINDOW
from extender.kube.recorder import EventRecorder
from extender.kube.seams import Timing
from extender.runtime.decisions import Decisions
from extender.runtime.placement import PlacementReports
from extender.telemetry.metrics import Metrics


class PlacementOffice:
    """A world whose decisions are told. Made within a virtual event loop."""

    def __init__(self) -> None:
        self.world, self.objects = World(), StoredObjects()
        client = KubeClient(self.objects)
        timing = Timing(clock=asyncio.get_running_loop().time)
        self.recorder = EventRecorder(client, lambda *_: None, timing=timing)
        placement = PlacementReports(self.world.state, self.recorder)
        self.observer = Decisions(
            Metrics(), DecisionLog(), placement, lambda: None, lambda: self.world.now, logged=False
        )
        self._count = 0

    def filter(self, owner: Any, offered: list[str], times: int = 1, *, met: bool = True) -> None:
        for _ in range(times):
            self._count += 1
            view = make_view(f"pod-{self._count}", owner)
            self.observer.decided(view, self.world.decide(view, offered, met=met))

    async def told(self, kind: str = "Deployment") -> list[tuple[str, str, str, str]]:
        """Reason, type, object and note of each Event on objects of a kind."""
        self.recorder.start()
        assert await self.recorder.drain(60) == 0
        events = [body for path, body in self.objects.stored.items() if "/events/" in path]
        assert all(event["related"]["kind"] != event["regarding"]["kind"] for event in events)
        return [
            (e["reason"], e["type"], f"{e['regarding']['kind']} {e['regarding']['name']}", e["note"])
            for e in events
            if e["regarding"]["kind"] == kind
        ]

    async def notes(self) -> dict[str, str]:
        """What the last Event on each pod says."""
        return {name.removeprefix("Pod "): note for _, _, name, note in await self.told("Pod")}


def virtually(check: Callable[[PlacementOffice], Awaitable[None]]) -> None:
    async def main() -> None:
        await check(PlacementOffice())

    run_virtually(main)


def test_a_fallback_is_told_once_while_it_goes_on_on_the_workload_and_on_each_pod() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(on_demand=2)
        web = office.world.deployment("web", 50, spot_percentage=100)
        api = office.world.deployment("api", 50, spot_percentage=100)
        office.filter(web, offered, times=9)
        office.filter(api, offered)
        await asyncio.sleep(WINDOW - 1)
        office.filter(web, offered, times=9)
        why, rule = "as there is no spot node for", "(when-unsatisfiable=fallback)"
        text = f"Pods that were to go to spot go to on-demand, {why} them {rule}"
        first = [("FallbackTaken", "Normal", f"Deployment {name}", text) for name in ("web", "api")]
        assert await office.told() == first
        (series,) = (body["series"] for body in office.objects.stored.values() if "series" in body)
        assert series["count"] == 18
        await asyncio.sleep(WINDOW)
        office.filter(web, offered)
        assert await office.told() == [*first, first[0]]
        text = f"It was to go to spot and goes to on-demand, {why} it {rule}"
        assert await office.notes() == dict.fromkeys((f"pod-{n}" for n in range(1, 21)), text)

    virtually(check)


def test_a_policy_object_that_says_what_stands_in_is_named() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(on_demand=2)
        office.world.up(make_policy("web", action="Any"))
        office.filter(office.world.deployment("web", 4, spot_percentage=100), offered)
        ((_, _, _, note),) = await office.told()
        assert note.endswith("(spec.unsatisfiable.action=any of PlacementPolicy shop/web)")

    virtually(check)


def test_pods_that_wait_for_their_class_are_told_of_with_what_might_have_stood_in() -> None:
    async def check(office: PlacementOffice) -> None:
        office.world.nodes(spot=1)
        strict = office.world.deployment("strict", 5, spot_percentage=100, when_unsatisfiable="wait")
        lenient = office.world.deployment("lenient", 5, spot_percentage=100)
        floor = office.world.deployment("floor", 5)
        for owner in (strict, lenient, floor):
            office.filter(owner, [], times=2)
        fix = "add spot nodes, or see `spotmix explain` for what is in the way on each"
        strictly = f", and nothing stands in (when-unsatisfiable=wait); {fix}"
        leniently = f", nor is there an on-demand node that may stand in; {fix}"
        floored = ", and nothing stands in (when-unsatisfiable=fallback); add on-demand nodes"
        assert await office.told() == [
            ("ClassUnavailable", "Warning", f"Deployment {name}", f"Pods that are to go to {text}")
            for name, text in (
                ("strict", f"spot wait: no spot node takes them{strictly}"),
                ("lenient", f"spot wait: no spot node takes them{leniently}"),
                ("floor", f"on-demand wait: there is no on-demand node for them{floored}"),
            )
        ]
        notes = await office.notes()
        assert notes["pod-1"] == f"It is to go to spot and waits: no spot node takes it{strictly}"
        assert notes["pod-4"] == f"It is to go to spot and waits: no spot node takes it{leniently}"
        assert notes["pod-6"] == f"It is to go to on-demand and waits: there is no on-demand node for it{floored}"

    virtually(check)


def test_full_pools_are_told_of() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(spot=2)
        web = office.world.deployment("web", 5, spot_percentage=100, when_unsatisfiable="wait", max_per_pool=1)
        office.filter(web, offered, times=3)
        text = (
            "as every pool with room holds as many of the workload as max-per-pool allows; "
            "add nodes in other zones or of other instance types, or raise max-per-pool"
        )
        assert await office.told() == [("PoolsFull", "Warning", "Deployment web", f"Pods wait, {text}")]
        assert await office.notes() == dict.fromkeys(("pod-2", "pod-3"), f"It waits, {text}")

    virtually(check)


def test_pods_of_an_invalid_policy_say_where_to_look() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(spot=1, on_demand=1)
        office.filter(office.world.deployment("bad", 5, spot_percentage="most"), offered)
        text = "It is held on-demand: the policy of Deployment bad is invalid; the Events of that say what to put right"
        assert await office.told("Pod") == [("PolicyInvalid", "Warning", "Pod pod-1", text)]
        assert await office.told() == []

    virtually(check)


def test_a_pod_that_waits_by_the_policy_is_told_of_alone() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(spot=1, on_demand=1)
        patient = office.world.deployment("patient", 4, spot_percentage=100, fallback_after="5m")
        office.filter(patient, offered[1:])
        assert await office.told() == []
        assert await office.notes() == {
            "pod-1": (
                "It is to go to spot and waits: no spot node takes it; "
                "on-demand may stand in when it has waited for 300 s (fallback-after)"
            )
        }

    virtually(check)


def test_what_goes_by_the_policy_or_passes_soon_is_not_told() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(spot=1, on_demand=1)
        plain = office.world.deployment("plain", 4, spot_percentage=50)
        office.filter(plain, offered, times=4)
        audited = office.world.deployment("audited", 4, spot_percentage=100, mode="audit")
        office.filter(audited, offered[1:])
        unknown = office.world.state.workloads.owners["uid-ReplicaSet-plain-1"].ref
        office.world.gone("replicasets.apps", unknown.uid)
        office.filter(unknown, offered[:1])
        assert office.world.split(plain).get(SPOT) == 2
        assert await office.told() == await office.told("Pod") == []

    virtually(check)


def test_nothing_is_told_of_pods_that_there_are_not() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(on_demand=1)
        owner = office.world.deployment("web", 3, spot_percentage=100, when_unsatisfiable="wait")
        office.filter(owner, offered, 3, met=False)
        office.world.up(make_pod("pod-4", owner, "on-demand-0"))
        office.filter(owner, offered)
        assert [*await office.told(), *await office.told("Pod")] == []

    virtually(check)


def test_pods_that_wait_for_a_limit_are_told_of_with_what_is_used() -> None:
    async def check(office: PlacementOffice) -> None:
        offered = office.world.nodes(on_demand=1, spot=1)
        office.world.up(make_namespace(), limit_policy("team", "on-demand cpu 100m", "spot pods 0"))
        web = office.world.deployment("web", 3)
        office.filter(web, offered, times=2)
        # Nobody knows yet that there is such a pod.
        office.filter(web, offered, met=False)
        used = "limit of ClusterPlacementPolicy team: on-demand cpu 100m of 100m used in namespace shop"
        text = f"is to go to on-demand and waits (when-unsatisfiable=fallback): {used}"
        assert await office.notes() == {"pod-2": f"It {text}; raise the limit, or scale something down"}
        ((reason, kind, _, _),) = await office.told()
        assert (reason, kind) == ("LimitReached", "Warning")
        spot = office.world.deployment("spot", 1, spot_percentage=100)
        office.world.up(limit_policy("more", "on-demand cpu 10"))
        office.world.gone("clusterplacementpolicies.spotmix.io", "uid-team")
        office.world.up(limit_policy("team", "spot pods 0"))
        office.filter(spot, offered)
        assert (await office.notes())["pod-4"] == (
            "It was to go to spot and goes to on-demand, as its class may not be used any more (limit of "
            "ClusterPlacementPolicy team: spot pods 0 of 0 used in namespace shop) by it (when-unsatisfiable=fallback)"
        )

    virtually(check)
