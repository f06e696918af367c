"""What `kubectl describe` tells of a workload and its pods, on a real control plane."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from integration.drift.test_in_vain import PREFERENCE
from support.cluster import policy
from support.describe import describe, ours_of
from support.driftstage import Drifting, DriftStage, drift_stage
from support.patience import eventually
from support.stage import ZONES

from extender.core.model.eventreasons import EventReason
from extender.kube.recorder import MAX_NOTE
from extender.sandbox import create_nodes, node_pool
from extender.sandbox.nodes import SPOT_NOTICE

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

ON_DEMAND = node_pool(3, capacity_class="on-demand", zones=ZONES)
SPOT = node_pool(3, capacity_class="spot", zones=ZONES)


class KubectlReader:
    """A person with kubectl."""

    def __init__(self, drifts: DriftStage, cluster: Drifting) -> None:
        self._drifts = drifts
        self._cluster = cluster

    async def events(self, name: str) -> list[dict[str, Any]]:
        """Our Events on a Deployment, as kubectl asks for them."""
        return await ours_of(self._cluster.api, await self._cluster.get("Deployment", name), "Deployment")

    async def reasons(self, name: str) -> list[str]:
        """Their reasons."""
        return [event["reason"] for event in await self.events(name)]

    async def repetitions(self, name: str) -> list[int]:
        """How often each was told."""
        return [event.get("series", {}).get("count", 1) for event in await self.events(name)]

    async def reads(self, name: str, *story: str) -> None:
        """Wait until the story of a Deployment is this one."""
        await eventually(lambda: self.reasons(name), lambda seen: seen == list(story), f"the story of {name}")

    async def of_pods(self, app: str) -> dict[str, list[dict[str, Any]]]:
        """Our Events on each pod of an app."""
        pods = await self._cluster.pods(app)
        return {pod["metadata"]["name"]: await ours_of(self._cluster.api, pod, "Pod") for pod in pods}

    async def looks(self, kind: str, name: str, events: Sequence[dict[str, Any]]) -> None:
        """Have kubectl tell the same, in this order; print it."""
        lines = await describe(str(self._drifts.stage.plane.kubeconfig), kind, self._cluster.namespace, name)
        print("", f"kubectl describe {kind} {name}", *lines, sep="\n")
        ours = [line for line in lines if "spotmix.io/extender" in line]
        if lines:
            assert [line.partition("spotmix.io/extender")[2].strip() for line in ours] == [e["message"] for e in events]


def check(events: Sequence[dict[str, Any]]) -> None:
    """Each Event is as the API wants it, and says what the list of reasons says."""
    reasons = {reason.value: reason for reason in EventReason}
    for event in events:
        reason = reasons[event["reason"]]
        assert event["type"] == reason.type
        assert event["involvedObject"]["kind"].lower() in reason.about.replace("workload", "deployment")
        assert event.get("related", event["involvedObject"])["uid"]
        assert len(event["message"].encode()) < MAX_NOTE


async def test_the_events_of_a_deployment_and_its_pods_tell_the_story(tmp_path: Path) -> None:
    opened = drift_stage(tmp_path, ON_DEMAND, blocked_after="4s", circuit_moves=2, back_off="1s")
    async with opened as drifts, drifts.namespace() as cluster:
        reader = KubectlReader(drifts, cluster)
        # There is no spot node: on-demand stands in, or pods wait.
        await cluster.deployment("strict", 2, policy(spot_percentage=50, when_unsatisfiable="wait"))
        await cluster.deployment("tiny", 2, policy(spot_percentage=20))
        await cluster.deployment("web", 4, policy(spot_percentage=50))
        await cluster.expect("web", on_demand=4)
        await cluster.ready("web", 4)
        await reader.reads("strict", "ClassUnavailable")
        await reader.reads("web", "FallbackTaken")

        async def fell_back() -> list[list[str]]:
            return sorted([e["reason"] for e in events] for events in (await reader.of_pods("web")).values())

        # All but the first pod found a spot seat free; and but for one more for each that the scheduler asked about
        # before the watch told of it: until then that one takes no on-demand seat from a pod that is known.
        taken = [["FallbackTaken"]]
        told_of: list[list[list[str]]] = [[*[[]] * (4 - told), *taken * told] for told in (3, 2, 1)]
        stood_in = sum(map(bool, await eventually(fell_back, told_of.__contains__, "what its pods say")))

        async def told() -> list[tuple[str, list[dict[str, Any]]]]:
            return [(name, events) for name, events in (await reader.of_pods("strict")).items() if events]

        ((waiting, events),) = await eventually(told, bool, "what its waiting pod says")
        assert events[0]["message"].startswith("It is to go to spot and waits: there is no spot node for it")
        await reader.looks("pod", waiting, events)
        # A policy that is wrong, and put right.
        await cluster.annotate("Deployment", "web", policy(spot_percentage="half"))
        await reader.reads("web", "FallbackTaken", "PolicyInvalid")
        await cluster.annotate("Deployment", "web", policy(spot_percentage=50))
        # Spot is there, and a budget in the way.
        await cluster.budget("web-pdb", "web", maxUnavailable=0)
        await create_nodes(cluster.api, SPOT)
        story = ["FallbackTaken", "PolicyInvalid", "PolicyValid", "MoveBlocked"]
        await eventually(lambda: reader.reasons("web"), lambda seen: set(story) <= set(seen), "the budget blocks")
        blocked = (await reader.events("web"))[-1]["message"]
        # It is let through.
        path = f"/apis/policy/v1/namespaces/{cluster.namespace}/poddisruptionbudgets/web-pdb"
        patch = {"spec": {"maxUnavailable": 1}}
        await cluster.api.request("PATCH", path, body=patch, content_type="application/merge-patch+json")
        await cluster.expect("web", spot=2, on_demand=2)
        await cluster.ready("web", 4)
        moved = ["MoveStarted", "Moved"] * 2
        await eventually(
            lambda: reader.reasons("web"), lambda seen: sorted(seen[-4:]) == sorted(moved), "they are moved"
        )
        # A spot node gets its notice.
        lost = next(p for p in await cluster.pods("web") if "spot" in p["spec"]["nodeName"])["spec"]["nodeName"]
        taint = {"spec": {"taints": [SPOT_NOTICE]}}
        node = f"/api/v1/nodes/{lost}"
        await cluster.api.request("PATCH", node, body=taint, content_type="application/merge-patch+json")
        await eventually(lambda: reader.reasons("web"), lambda seen: "InterruptionHandled" in seen, "the notice")
        await cluster.ready("web", 4)
        # Replacements that always go where they should not.
        await drifts.stage.plane.scheduler.restart({})
        await cluster.steady("stubborn", 4, affinity=PREFERENCE)
        await cluster.annotate("Deployment", "stubborn", policy(spot_percentage=25))
        await eventually(lambda: reader.reasons("stubborn"), lambda seen: "CircuitOpen" in seen, "the circuit opens")
        await eventually(lambda: reader.reasons("stubborn"), lambda seen: "MoveBlocked" in seen, "it stays open")
        # What lasts is told when it does, and what was repeated, once for each pod that stood in, is counted.
        await reader.reads("tiny", "PolicyUnachievable")
        await eventually(lambda: reader.repetitions("web"), lambda seen: stood_in <= seen[0] <= 3, "a series")
        for name in ("web", "strict", "tiny", "stubborn"):
            events = await reader.events(name)
            await reader.looks("deployment", name, events)
            check(events)
        for app in ("web", "strict"):
            for name, events in (await reader.of_pods(app)).items():
                await reader.looks("pod", name, events)
                check(events)
        assert "its PodDisruptionBudget allows no disruption now (web-pdb)" in blocked
        assert cluster.deleted() == []
