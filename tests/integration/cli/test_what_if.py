"""`spotmix what-if` on a real control plane: what it says is what comes, once it is really done."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.cluster import Cluster, pod_template, policy
from support.patience import eventually
from support.stage import ZONES, Stage, open_stage

from extender.sandbox import SimNode, node_pool, terminate_node

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = Path(sys.executable).with_name("spotmix")
STEADY = 3.0
"""Seconds for which nothing may change any more before a split counts as what came of it."""


class WhatIfCommand:
    """A stage, a namespace, and the command."""

    def __init__(self, stage: Stage, cluster: Cluster, folder: Path) -> None:
        self.stage, self.cluster = stage, cluster
        self.kubeconfig = stage.plane.write_kubeconfig("admin", ("system:masters",), folder / "admin")

    async def run(self, *arguments: str, server: str = "") -> tuple[int, str, str]:
        who = ("--server", server) if server else ("--local",)
        process = await asyncio.create_subprocess_exec(
            *(str(SCRIPT), "what-if", *arguments, *who, "-n", self.cluster.namespace),
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def ask(self, *arguments: str) -> dict[str, Any]:
        """What is computed from the kubeconfig, which is what the service says."""
        answers: list[dict[str, Any]] = []
        for server in ("", self.stage.spotmix.api_target):
            code, out, err = await self.run(*arguments, "-o", "json", server=server)
            assert (code, err) == (0, "")
            answers.append({**json.loads(out), "at": 0})
        assert answers[0] == answers[1]
        return answers[0]

    async def settled(self, app: str, replicas: int) -> dict[str, int]:
        """The split once all pods are there and nothing has changed for a while."""
        last: dict[str, int] = {}
        since = time.monotonic()

        async def look() -> dict[str, int]:
            nonlocal last, since
            split = await self.cluster.split(app)
            whole = sum(split.values()) == replicas and "gone" not in split
            if not whole or split != last:
                last, since = split if whole else {}, time.monotonic()
            return split

        await eventually(look, lambda _: bool(last) and time.monotonic() - since > STEADY, f"{app} comes to rest")
        return last

    async def lose(self, pools: Sequence[SimNode]) -> None:
        await asyncio.gather(*(terminate_node(self.stage.api, node.name, marker=None) for node in pools))


def foretold(outlook: Mapping[str, Any]) -> dict[str, int]:
    counts = {**outlook["actual"], "pending": sum(outlook["pending"].values())}
    return {name: count for name, count in counts.items() if count}


def row(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in answer["workloads"] if row["name"] == name)
    return found


DRIFT = ("--drift-min-pod-age", "0s", "--drift-dwell", "0s", "--drift-interval", "5s")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def still() -> AsyncIterator[Stage]:
    """A stage without nodes, and without moves."""
    async with open_stage([], ("--drift-enabled", "false")) as stage:
        yield stage


async def test_on_a_roomy_cluster(still: Stage, tmp_path: Path) -> None:
    lost = node_pool(2, capacity_class="spot", prefix="lost", zones=("a",), instance_types=("c.large",))
    nodes = [
        *lost,
        *node_pool(4, capacity_class="spot", zones=ZONES),
        *node_pool(4, capacity_class="on-demand", zones=ZONES),
    ]
    async with still.alone(nodes) as cluster:
        asking = WhatIfCommand(still, cluster, tmp_path)
        await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=2))
        await cluster.deployment("cart", 8, policy(spot_percentage=50))
        await cluster.ready("web", 10)
        await cluster.ready("cart", 8)

        await up_and_down(asking)
        await both_at_once(asking)

        answer = await asking.ask("--lose-pool", "spot/c.large")
        assert [(pool["nodes"], pool["instanceType"]) for pool in answer["lost"]] == [(2, "c.large")]
        before = {name: await cluster.split(name) for name in ("web", "cart", "db")}
        await asking.lose(lost)
        for name, size in (("web", 12), ("cart", 8), ("db", 9)):
            came = await asking.settled(name, size)
            hit = next((each for each in answer["workloads"] if each["name"] == name), None)
            assert came == (foretold(hit["after"]) if hit is not None else before[name])
        assert any(each["lost"] for each in answer["workloads"])


async def up_and_down(asking: WhatIfCommand) -> None:
    now = 10
    for size in (23, 5, 12):
        expected = row(await asking.ask("deploy/web", "--replicas", str(size)), "web")
        assert foretold(expected["before"]) == await asking.cluster.split("web")
        # Scale-in goes by the costs.
        await asking.cluster.seated("web", range(1, now + 1))
        await asking.cluster.scale("Deployment", "web", size)
        assert await asking.settled("web", size) == foretold(expected["after"])
        now = size


async def both_at_once(asking: WhatIfCommand) -> None:
    """Another size and policy, of a StatefulSet: its pods stay where they are, new ones go by the new policy."""
    cluster = asking.cluster
    spec = {
        "replicas": 6,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "db"}},
        "template": pod_template({"app": "db"}),
    }
    await cluster.create("StatefulSet", "db", spec, policy(spot_percentage=50))
    await cluster.ready("db", 6)
    expected = row(await asking.ask("sts/db", "--replicas", "9", "--set", "spot=100"), "db")
    assert (expected["made"], expected["after"]["moves"]["needed"]) == (3, 3)
    change = {"metadata": {"annotations": policy(spot_percentage=100)}, "spec": {"replicas": 9}}
    await cluster.patch("StatefulSet", "db", change)
    assert await asking.settled("db", 9) == foretold(expected["after"])


async def test_on_a_tight_cluster(still: Stage, tmp_path: Path) -> None:
    """Nodes take so many pods and no more: some fall back, some find nothing."""
    lost = node_pool(1, capacity_class="spot", prefix="lost", zones=("b",), pods=5)
    nodes = [
        *lost,
        *node_pool(2, capacity_class="spot", zones=("a",), pods=4),
        *node_pool(2, capacity_class="on-demand", zones=("a",), pods=4),
    ]
    async with still.alone(nodes) as cluster:
        asking = WhatIfCommand(still, cluster, tmp_path)
        await cluster.deployment("web", 10, policy(spot_percentage=80, min_on_demand=1, fallback_after="2s"))
        assert await asking.settled("web", 10) == {"spot": 8, "on-demand": 2}
        await cluster.deployment("base", 1, policy())
        assert await asking.settled("base", 1) == {"on-demand": 1}

        for size in (18, 25):
            answer = await asking.ask("deploy/web", "--replicas", str(size))
            await cluster.scale("Deployment", "web", size)
            assert await asking.settled("web", size) == foretold(row(answer, "web")["after"])
        assert row(answer, "web")["after"]["pending"] == {"no-room": 5}

        code, out, _ = await asking.run("deploy/web", "--replicas", "18", "--lose-pool", "spot/*/b", "--exit-code")
        assert (code, "no node of the class has room for it" in out) == (3, True)
        answer = await asking.ask("deploy/web", "--replicas", "18", "--lose-pool", "spot//b")
        await asking.lose(lost)
        await cluster.scale("Deployment", "web", 18)
        assert await asking.settled("web", 18) == foretold(row(answer, "web")["after"])


async def test_another_policy_and_the_moves_it_makes(tmp_path: Path) -> None:
    nodes = [
        *node_pool(1, capacity_class="spot", zones=("a",), pods=4),
        *node_pool(3, capacity_class="on-demand", zones=("a",)),
    ]
    flags = (*DRIFT, "--drift-workload-in-flight", "100", "--drift-max-unavailable", "50")
    async with open_stage(nodes, flags) as stage, stage.namespace() as cluster:
        asking = WhatIfCommand(stage, cluster, tmp_path)
        labels: dict[str, str] = {}
        await cluster.deployment("web", 10, labels=labels)
        await cluster.ready("web", 10)
        start = await cluster.split("web")
        code, _, err = await asking.run("deploy/web", "--replicas", "12")
        assert (code, "is not managed" in err) == (2, True)

        keys = ("--set", "spot=60%", "--set", "max-moves-per-hour=100")
        expected = row(await asking.ask("deploy/web", *keys), "web")
        assert (expected["managed"], foretold(expected["before"]), foretold(expected["after"])) == (False, start, start)
        needed = expected["after"]["moves"]["needed"]
        assert needed == 6 - start.get("spot", 0)
        assert expected["after"]["moves"]["possible"] == 4 - start.get("spot", 0)

        await cluster.patch("Deployment", "web", {"metadata": {"labels": {"spotmix.io/enabled": "true"}}})
        await cluster.annotate("Deployment", "web", policy(spot_percentage="60%", max_moves_per_hour=100))
        await cluster.expect("web", spot=4, on_demand=6)


async def test_errors_teach(still: Stage, tmp_path: Path) -> None:
    nodes = node_pool(1, capacity_class="on-demand", zones=("a",))
    async with still.alone(nodes) as cluster:
        asking = WhatIfCommand(still, cluster, tmp_path)
        await cluster.deployment("web", 1, policy(spot_percentage=70))
        await cluster.ready("web", 1)
        for arguments, code, says in (
            (("--lose-pool", "spot/m5"), 1, "no node is of pool spot/m5/*; there are on-demand/m.large/a"),
            (("deploy/none", "--replicas", "1"), 1, 'no deployment "none"'),
            (("deploy/web", "--set", "spot-percentag=1"), 2, "did you mean spot-percentage?"),
        ):
            seen = await asking.run(*arguments)
            assert (seen[0], seen[1]) == (code, "")
            assert seen[2].startswith("spotmix: ")
            assert says in seen[2]
        code_, out, _ = await asking.run("deploy/web", "--set", "spot=lots")
        assert code_ == 0
        assert "problem: Deployment" in out
        assert "the last valid one would stay in force" in out
