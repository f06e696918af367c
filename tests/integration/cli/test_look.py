"""`spotmix status` and `spotmix explain` of real workloads, from kubeconfigs alone."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from programs import kubectl
from support.cluster import Cluster, policy
from support.commands import SCRIPT, Ran, run
from support.objects import Objects
from support.patience import eventually
from support.stage import Stage, open_stage

from extender.sandbox.ports import free_port

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

NOT_SPOT = {"karpenter.sh/capacity-type": "on-demand"}
READER = "reader"
COMPUTED_HERE = "spotmix: computed here, from the kubeconfig: there is no Spotmix in the cluster\n"
LISTED = {
    "": ["nodes", "pods", "namespaces"],
    "apps": ["deployments", "replicasets", "statefulsets"],
    "batch": ["jobs"],
}


class Look:
    """The workloads of the module on a stage, and commands that look at them."""

    def __init__(self, stage: Stage, cluster: Cluster, folder: Path) -> None:
        self.stage, self.cluster, self.folder = stage, cluster, folder
        self.kubeconfig = stage.plane.write_kubeconfig("admin", ("system:masters",), folder / "admin")

    async def __call__(self, *arguments: str, kubeconfig: Path | None = None) -> Ran:
        return await run(SCRIPT, *arguments, KUBECONFIG=str(kubeconfig or self.kubeconfig))

    async def status(self, *arguments: str) -> Ran:
        return await self("status", "-n", self.cluster.namespace, *arguments)

    async def explain(self, what: str, *arguments: str) -> Ran:
        return await self("explain", what, "-n", self.cluster.namespace, *arguments)

    async def pod(self, app: str, *, bound: bool = True) -> str:
        pods = await self.cluster.pods(app)
        name: str = next(p["metadata"]["name"] for p in pods if bool(p["spec"].get("nodeName")) is bound)
        return name


async def _workloads(cluster: Cluster) -> None:
    await cluster.deployment("balanced", 10, policy(spot_percentage=70, min_on_demand=1))
    await cluster.deployment("fallen", 4, policy(spot_percentage=50), nodeSelector=NOT_SPOT)
    await cluster.deployment("waits", 2, policy(spot_percentage=50, when_unsatisfiable="wait"), nodeSelector=NOT_SPOT)
    await cluster.deployment("invalid", 2, policy(spot_percentage="most"))
    await cluster.deployment("plain", 1, labels={})
    await cluster.deployment("audited", 2, policy(spot_percentage=100, mode="audit"), nodeSelector=NOT_SPOT)
    spec = {
        "replicas": 4,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [{"name": "main", "image": "sim"}], "terminationGracePeriodSeconds": 0},
        },
    }
    await cluster.create("StatefulSet", "db", spec, policy(spot_percentage=50))
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await cluster.deployment("paused", 4, policy(spot_percentage=50), strategy=surge)
    await cluster.expect("balanced", spot=7, on_demand=3)
    await cluster.expect("fallen", on_demand=4)
    await cluster.expect("waits", on_demand=1, pending=1)
    await cluster.expect("invalid", on_demand=2)
    await cluster.expect("audited", on_demand=2)
    await cluster.expect("db", spot=2, on_demand=2)
    await cluster.expect("paused", spot=2, on_demand=2)
    for app, count in (("balanced", 10), ("fallen", 4), ("paused", 4), ("plain", 1)):
        await cluster.ready(app, count)
    # A rollout that cannot go on, since no node is that large, and that somebody pauses.
    large = [{"name": "main", "resources": {"requests": {"cpu": "9999"}}}]
    content = "application/strategic-merge-patch+json"
    body = json.dumps({"spec": {"template": {"spec": {"containers": large}}}}).encode()
    await cluster.api.request("PATCH", cluster.path("Deployment", "paused"), body=body, content_type=content)
    await cluster.expect("paused", spot=2, on_demand=2, pending=1)
    await cluster.patch("Deployment", "paused", {"spec": {"paused": True}})


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def look(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Look]:
    async with open_stage() as stage, stage.namespace() as cluster:
        await _workloads(cluster)
        yield Look(stage, cluster, tmp_path_factory.mktemp("look"))


async def test_status_shows_every_workload_worst_first(look: Look) -> None:
    rows = (await look.status()).rows()
    shown = {name.partition("/")[2]: " ".join(cells[2:]) for name, cells in rows.items() if "/" in name}
    assert shown == {
        "invalid": "2 0/0 2/2 0 held on demand",
        "audited": "2 0/2 2/0 0 off target (audit)",
        "fallen": "4 0/2 4/2 0 off target",
        "waits": "2 0/1 1/1 1 waiting",
        "paused": "5 2/2 2/3 1 waiting",
        "balanced": "10 7/7 3/3 0 on target",
        "db": "4 2/2 2/2 0 on target",
    }
    assert next(iter(shown)) == "invalid"
    assert list(shown)[-2:] == ["balanced", "db"]


async def test_status_in_every_format(look: Look) -> None:
    told = (await look.status("-o", "json")).json
    rows = {row["name"]: row for row in told["workloads"]}
    assert (rows["fallen"]["wanted"], rows["fallen"]["actual"]) == (
        {"spot": 2, "on-demand": 2},
        {"spot": 0, "on-demand": 4},
    )
    assert rows["invalid"]["conditions"] == ["held-on-demand"]
    assert told["totals"]["workloads"] == 7
    as_yaml = yaml.safe_load((await look.status("-o", "yaml")).out)
    assert {row["name"]: row["actual"] for row in as_yaml["workloads"]} == {n: row["actual"] for n, row in rows.items()}
    wide = await look.status("-o", "wide")
    assert {"SURPLUS", "MODE", "POLICY", "PROBLEMS"} <= set(wide.out.split())
    assert "m.large" in wide.out.split("\n\n")[2]
    # Nothing that reads a pipe has to take colours off.
    assert "\x1b" not in wide.out


async def test_the_exit_code_tells_who_is_off(look: Look) -> None:
    assert (await look.status("--exit-code")).code == 3
    assert (await look.status()).code == 0
    assert (await look("status", "-n", "default", "--exit-code")).code == 0
    empty = await look("status", "-n", "default")
    assert empty.out.startswith("No managed workloads in namespace default")
    everywhere = await look("status", "-A", "-o", "json")
    assert look.cluster.namespace in {row["namespace"] for row in everywhere.json["workloads"]}


async def test_a_pod_on_its_seat(look: Look) -> None:
    name = await look.pod("balanced")
    told = (await look.explain(f"pod/{name}", "-o", "json")).json
    assert (told["workload"]["kind"], told["workload"]["name"], told["replicas"]) == ("Deployment", "balanced", 10)
    assert told["outcome"]["given"] == told["place"]["capacityClass"] == told["seat"]["capacityClass"]
    assert {each["capacityClass"]: (each["target"], each["filled"]) for each in told["seats"]} == {
        "spot": (7, 7),
        "on-demand": (3, 3),
    }
    sources = {each["key"]: each["source"] for each in told["settings"]}
    assert sources["spot-percentage"] == f"Deployment {look.cluster.namespace}/balanced"
    assert sources["mode"] == "default"
    assert told["scores"][0]["parts"]["class"] == 4


async def test_a_pod_that_fell_back_says_what_keeps_it_off_spot(look: Look) -> None:
    name = await look.pod("fallen")
    told = (await look.explain(f"pod/{name}", "-o", "json")).json
    assert told["surplus"] == {"count": 2, "pods": 4, "wanting": ["spot"]}
    assert (told["outcome"]["reason"], told["outcome"]["wanted"]) == ("fallback", "spot")
    spot = next(each for each in told["classes"] if each["capacityClass"] == "spot")
    assert [(group["reason"], group["count"]) for group in spot["groups"]] == [("not-selected", spot["nodes"])]
    text = (await look.explain(f"pod/{name}")).out
    assert "2 of 4 on-demand pods are too many, spot lacks some" in text
    assert "not what the pod's node selector or node affinity asks for" in text


async def test_a_pod_that_waits_says_for_what(look: Look) -> None:
    name = await look.pod("waits", bound=False)
    told = (await look.explain(f"po/{name}", "-o", "json")).json
    assert (told["place"], told["outcome"]["reason"], told["outcome"]["wanted"]) == (None, "wait-class", "spot")
    assert told["outcome"]["passing"] == 0
    workload = (await look.explain("deploy/waits", "-o", "json")).json
    assert [(pod["name"], pod["reason"], pod["wanted"]) for pod in workload["pods"] if not pod["node"]] == [
        (name, "wait-class", "spot")
    ]
    assert "waits for a node of its capacity class" in (await look.explain("deploy/waits")).out


async def test_an_invalid_policy_is_told_with_its_fix(look: Look) -> None:
    ran = await look.explain("deployment", "invalid")
    assert ran.code == 0
    assert "invalid, and never was valid: held on-demand" in ran.out
    problem = "spotmix.io/spot-percentage='most' is not a percentage; write a whole number from 0 to 100"
    assert problem in ran.out


async def test_an_unmanaged_workload_says_why(look: Look) -> None:
    told = (await look.explain("deploy/plain", "-o", "json")).json
    assert told["unmanaged"] == {"reason": "not-opted-in", "detail": f"Deployment {look.cluster.namespace}/plain"}
    pod = (await look.explain(f"pod/{await look.pod('plain')}", "-o", "json")).json
    assert (pod["unmanaged"]["reason"], pod["outcome"]) == ("not-opted-in", None)


async def test_audit_decides_and_changes_nothing(look: Look) -> None:
    told = (await look.explain(f"pod/{await look.pod('audited')}", "-o", "json")).json
    assert (told["mode"], told["outcome"]["reason"], told["outcome"]["wanted"]) == ("audit", "audit", "spot")
    assert "off target (audit)" in (await look.explain("deploy/audited")).out


async def test_a_stateful_set_has_the_seats_of_its_ordinals(look: Look) -> None:
    told = (await look.explain("sts/db", "-o", "json")).json
    seats = {pod["name"]: (pod["seat"], pod["capacityClass"]) for pod in told["pods"]}
    assert seats == {"db-0": (1, "on-demand"), "db-1": (2, "spot"), "db-2": (3, "on-demand"), "db-3": (4, "spot")}


async def test_a_paused_rollout_shows_both_revisions(look: Look) -> None:
    told = (await look.explain("deploy/paused", "-o", "json")).json
    # The newest first; these two may be of one second. Paused, it is at rest: nothing rolls.
    assert sorted((each["replicas"], each["pending"], each["rolling"]) for each in told["revisions"]) == [
        (1, 1, False),
        (4, 0, False),
    ]
    name = await look.pod("paused", bound=False)
    pod = (await look.explain(f"pod/{name}", "-o", "json")).json
    wanted = next(each for each in pod["classes"] if each["role"] == "wanted")
    assert [(group["reason"], group["count"]) for group in wanted["groups"]] == [("full", wanted["nodes"])]


async def test_a_user_that_may_only_list(look: Look) -> None:
    rules = [{"apiGroups": [group], "resources": names, "verbs": ["list"]} for group, names in LISTED.items()]
    rbac = "rbac.authorization.k8s.io"
    objects = Objects(look.stage.api)
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": READER}, "rules": rules}
    await objects.apply(role)
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": READER},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": READER},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": READER}],
    }
    await objects.apply(binding)
    kubeconfig = look.stage.plane.write_kubeconfig(READER, path=look.folder / READER)
    arguments = ("-n", look.cluster.namespace, "-o", "json")

    async def status() -> Ran:
        return await look("status", *arguments, kubeconfig=kubeconfig)

    # The API server learns of roles a moment after they are made.
    ran = await eventually(status, lambda seen: seen.code == 0, "a reader may look")
    assert {row["name"] for row in ran.json["workloads"]} >= {"balanced", "db"}
    assert ran.err == COMPUTED_HERE
    explained = await look("explain", f"pod/{await look.pod('balanced')}", *arguments, kubeconfig=kubeconfig)
    assert explained.json["outcome"]["reason"] == "seat"
    # Volumes could matter to where a pod may go.
    assert "persistentvolumeclaims could not be listed, so that it is left out" in explained.err


async def test_who_may_not_look_is_told_what_is_needed(look: Look) -> None:
    kubeconfig = look.stage.plane.write_kubeconfig("nobody", path=look.folder / "nobody")
    ran = await look("status", kubeconfig=kubeconfig)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 2)
    assert ran.err.startswith(
        "spotmix: computed here, from the kubeconfig: GET /api/v1/namespaces/spotmix-system/pods: 403"
    )
    ran = await look("status", "--local", kubeconfig=kubeconfig)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert ran.err.startswith("spotmix: GET /ap")
    assert "403 Forbidden" in ran.err
    assert "Spotmix has to list nodes, namespaces, deployments.apps" in ran.err


async def test_a_cluster_that_is_not_there(look: Look) -> None:
    tree = yaml.safe_load(look.kubeconfig.read_text())
    tree["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    away = look.folder / "away"
    away.write_text(yaml.safe_dump(tree))
    ran = await look("status", kubeconfig=away)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "ConnectionRefusedError" in ran.err or "Connect call failed" in ran.err
    missing = await look("status", "--kubeconfig", str(look.folder / "none"))
    assert (missing.code, missing.err) == (
        2,
        f"spotmix: kubeconfig {look.folder / 'none'}: no such file; give the path of a kubeconfig\n",
    )


async def test_objects_that_are_not_there(look: Look) -> None:
    namespace = look.cluster.namespace
    ran = await look.explain("pod/no-such", "--local")
    assert (ran.code, ran.err) == (
        1,
        f'spotmix: no pod "no-such" in namespace "{namespace}"; pods that have ended are not looked at\n',
    )
    ran = await look("explain", "deploy/balanced", "-n", "default", "--local")
    assert (ran.code, ran.err) == (
        1,
        f'spotmix: no deployment "balanced" in namespace "default"; there is one in {namespace}: give it with -n\n',
    )


async def test_the_namespace_of_the_context_is_the_default(look: Look) -> None:
    tree = yaml.safe_load(look.kubeconfig.read_text())
    tree["contexts"][0]["context"]["namespace"] = look.cluster.namespace
    inside = look.folder / "inside"
    inside.write_text(yaml.safe_dump(tree))
    assert (await look("explain", "deploy/balanced", kubeconfig=inside)).code == 0


@pytest.mark.tools
async def test_it_is_a_plugin_of_kubectl(look: Look) -> None:
    program = await asyncio.to_thread(kubectl)
    plugins = look.folder / "plugins"
    plugins.mkdir()
    (plugins / "kubectl-spotmix").symlink_to(SCRIPT)
    path = f"{plugins}:{os.environ['PATH']}"
    ran = await run(
        program,
        *("spotmix", "explain", "sts", "db", "-n", look.cluster.namespace),
        KUBECONFIG=str(look.kubeconfig),
        PATH=path,
    )
    assert ran.code == 0, ran.err
    assert "StatefulSet/db" in ran.out
    usage = await run(program, "spotmix", "status", "--no-such", PATH=path)
    assert usage.code == 2
    assert usage.err.startswith("Usage: kubectl spotmix status")
