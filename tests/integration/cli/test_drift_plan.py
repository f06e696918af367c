"""`spotmix drift plan` of real workloads, from kubeconfigs alone; nothing else moves pods here."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import yaml
from support.cluster import policy
from support.driftstage import Drifting, DriftStage, drift_stage
from support.objects import Objects
from support.patience import eventually

from extender.core.drift.history import DirectionBackoff, WorkloadHistory, direction
from extender.sandbox.ports import free_port
from extender.wire.drift_v1 import encode_history

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

SCRIPT = Path(sys.executable).with_name("spotmix")
READER = "plan-reader"
LISTED = {
    "": ["nodes", "pods", "namespaces"],
    "apps": ["deployments", "replicasets", "statefulsets"],
    "batch": ["jobs"],
}
# Nodes and pods of a test are young.
AT_ONCE = ("--drift-dwell", "0s", "--drift-min-pod-age", "0s")


class Planned(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


class Plans:
    """A namespace, and plans that are made for it."""

    def __init__(self, stage: DriftStage, cluster: Drifting, folder: Path) -> None:
        self.stage, self.cluster, self.folder = stage.stage, cluster, folder

    def kubeconfig(self, user: str, *groups: str) -> Path:
        return self.stage.plane.write_kubeconfig(user, groups, self.folder / user)

    async def run(self, *arguments: str, kubeconfig: Path | None = None) -> Planned:
        process = await asyncio.create_subprocess_exec(
            *(str(SCRIPT), "drift", "plan", "-n", self.cluster.namespace, *AT_ONCE, *arguments),
            env={**os.environ, "KUBECONFIG": str(kubeconfig or self.kubeconfig("admin", "system:masters"))},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return Planned(process.returncode or 0, out.decode(), err.decode())

    async def json(self, *arguments: str) -> Any:
        ran = await self.run(*arguments, "-o", "json")
        assert ran.code == 0, ran.err
        return ran.json


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DriftStage]:
    async with drift_stage(tmp_path_factory.mktemp("plan"), enabled=False) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def plans(stage: DriftStage, tmp_path: Path) -> AsyncIterator[Plans]:
    async with stage.namespace() as cluster:
        yield Plans(stage, cluster, tmp_path)
        assert not cluster.evictions()


def reasons(told: Any) -> dict[str, set[str]]:
    """Why pods stay, by workload."""
    found: dict[str, set[str]] = {}
    for stay in told["stays"]:
        found.setdefault(stay["workload"]["name"], set()).add(stay["why"]["reason"])
    return found


async def test_moves_and_why_the_others_stay(plans: Plans) -> None:
    cluster = plans.cluster
    half = policy(spot_percentage=50)
    await cluster.drift("web", 10, half)
    await cluster.drift("single", 1, policy(spot_percentage=100))
    await cluster.drift("pinned", 2, half, nodeSelector={"karpenter.sh/capacity-type": "on-demand"})
    await cluster.drift("db", 4, half, "StatefulSet")
    await cluster.drift("audited", 2, policy(spot_percentage=50, mode="audit"))
    told = await plans.json()
    moves = {move["workload"]["name"]: move for move in told["moves"]}
    assert moves.keys() == {"web", "db", "audited"}
    web = moves["web"]
    assert (web["from"], web["to"], web["why"]["reason"]) == ("on-demand", "spot", "surplus")
    assert "audit" not in web
    assert moves["audited"]["audit"]
    # The highest of the ordinals whose seat is another's.
    assert moves["db"]["pod"]["name"] == "db-3"
    assert reasons(told) == {
        "web": {"in-flight"},
        "single": {"singleton"},
        "pinned": {"not-admitted"},
        "db": {"in-flight"},
    }
    off = {each["workload"]["name"]: each for each in told["offTarget"]}
    assert off["web"]["wanted"] == {"on-demand": 5, "spot": 5}
    assert (off["web"]["actual"], off["web"]["surplus"], off["web"]["missing"]) == ({"on-demand": 10}, 5, 0)
    assert yaml.safe_load((await plans.run("-o", "yaml")).out)["offTarget"] == told["offTarget"]
    text = (await plans.run("-o", "wide")).out
    assert "3 pods would move" in text
    assert "surplus (audit: not carried out)" in text
    assert "its workload has one replica" in text
    assert web["target"] in text
    # Nothing that reads a pipe has to take colours off.
    assert "\x1b" not in text


async def test_the_api_server_is_asked_and_changes_nothing(plans: Plans) -> None:
    cluster = plans.cluster
    half = policy(spot_percentage=50)
    for name in ("free", "guarded", "twice"):
        await cluster.drift(name, 4, half)
    before = {name: await cluster.uids(name) for name in ("free", "guarded", "twice")}
    await cluster.budget("all-of-them", "guarded", minAvailable=4)
    for name in ("one", "two"):
        await cluster.budget(name, "twice", maxUnavailable=4)
    told = await plans.json("--verify")
    (move,) = told["moves"]
    assert (move["workload"]["name"], move["verdict"]["answer"], move["verdict"]["status"]) == ("free", "evicted", 201)
    said = {
        (stay["workload"]["name"], stay["why"]["reason"], stay["why"]["detail"], stay["verdict"]["status"])
        for stay in told["stays"]
        if "verdict" in stay
    }
    assert said == {("guarded", "budget", "all-of-them", 429), ("twice", "budgets", "one, two", 500)}
    text = (await plans.run("--verify")).out
    assert "would evict" in text
    assert "would violate the pod's disruption budget" in text
    assert {name: await cluster.uids(name) for name in before} == before
    assert {eviction.pod for eviction in cluster.evictions(dry_run=True)} >= {move["pod"]["name"]}


async def test_what_the_service_remembers_is_heeded(plans: Plans) -> None:
    cluster = plans.cluster
    for name in ("tired", "garbled", "fresh"):
        await cluster.drift(name, 4, policy(spot_percentage=50))
    uids = {name: (await cluster.get("Deployment", name))["metadata"]["uid"] for name in ("tired", "garbled")}
    back_off = WorkloadHistory(back_off={direction("on-demand", "spot"): DirectionBackoff(3, 32503680000.0)})
    entries = {uids["tired"]: encode_history(back_off), uids["garbled"]: '{"version": 99}'}
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    await cluster.api.request("POST", path, body={"metadata": {"name": "spotmix-drift"}, "data": entries})
    ran = await plans.run("--drift-namespace", cluster.namespace, "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    assert [move["workload"]["name"] for move in ran.json["moves"]] == ["fresh"]
    assert reasons(ran.json) == {"tired": {"back-off"}, "garbled": {"memory"}, "fresh": {"in-flight"}}
    garbled = next(stay for stay in ran.json["stays"] if stay["workload"]["name"] == "garbled")
    assert "is of version 99" in garbled["why"]["detail"]
    without = await plans.run()
    assert "is not there; planned as if no pod had been moved before" in without.err


async def test_without_a_right_to_list_budgets_nothing_would_be_moved(plans: Plans) -> None:
    await plans.cluster.drift("web", 4, policy(spot_percentage=50))
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [group], "resources": names, "verbs": ["list"]} for group, names in LISTED.items()]
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": READER}, "rules": rules}
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": READER},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": READER},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": READER}],
    }
    objects = Objects(plans.stage.api)
    await objects.apply(role)
    await objects.apply(binding)
    reader = plans.kubeconfig(READER)

    async def plan() -> Planned:
        return await plans.run("-o", "json", kubeconfig=reader)

    # The API server learns of roles a moment after they are made.
    ran = await eventually(plan, lambda seen: bool(seen.out), "a reader may look")
    assert ran.code == 1
    assert ran.json["paused"]["reason"] == "stale"
    assert reasons(ran.json) == {"web": {"stale"}}
    assert "without PodDisruptionBudgets nothing is moved" in ran.err
    assert "spotmix-drift cannot be read" in ran.err
    table = await plans.run(kubeconfig=reader)
    assert table.out.startswith("Nothing is moved at all: what is known of the cluster may be out of date.")


async def test_who_may_not_look_and_a_cluster_that_is_not_there(plans: Plans) -> None:
    ran = await plans.run(kubeconfig=plans.kubeconfig("nobody"))
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert "403 Forbidden" in ran.err
    admin = plans.kubeconfig("admin", "system:masters")
    tree = yaml.safe_load(admin.read_text())
    tree["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    away = plans.folder / "away"
    away.write_text(yaml.safe_dump(tree))
    ran = await plans.run(kubeconfig=away)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert ran.err.startswith("spotmix: ")
