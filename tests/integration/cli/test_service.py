"""Commands that ask a running Spotmix, by its address and through port-forwards, on a real control plane."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from support.certificates import Authority
from support.cluster import Cluster, policy
from support.commands import SCRIPT, Ran, Running, run, running
from support.objects import Objects
from support.podstreams import LABELS, PodStreams, make_pod
from support.rights import bind
from support.stage import Stage, open_stage

from extender.kube.client import MERGE_PATCH
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

HOME, ELSEWHERE = "spotmix-system", "elsewhere"
LEADER = {**LABELS, "spotmix.io/leader": "true"}
LISTED = {
    "": ["nodes", "pods", "namespaces", "persistentvolumeclaims", "persistentvolumes"],
    "apps": ["deployments", "replicasets", "statefulsets"],
    "batch": ["jobs"],
    "policy": ["poddisruptionbudgets"],
    "storage.k8s.io": ["csinodes"],
}
HERE = "spotmix: computed here, from the kubeconfig: "


class Asked:
    """A stage with a workload, whose Spotmix a pod stands for, and commands that ask it."""

    def __init__(self, stage: Stage, cluster: Cluster, folder: Path) -> None:
        self.stage, self.cluster, self.folder = stage, cluster, folder
        self.server = stage.spotmix.api_target
        self.admin = stage.plane.write_kubeconfig("admin", ("system:masters",), folder / "admin")

    @property
    def port(self) -> int:
        return int(self.server.rpartition(":")[2])

    async def __call__(self, *arguments: str, kubeconfig: Path | None = None) -> Ran:
        return await run(SCRIPT, *arguments, KUBECONFIG=str(kubeconfig or self.admin))

    def watching(self, *arguments: str) -> AbstractAsyncContextManager[Running]:
        command = (str(SCRIPT), "watch", "-n", self.cluster.namespace, *arguments)
        return running(*command, KUBECONFIG=str(self.admin))

    async def a_pod(self) -> str:
        pods = await self.cluster.pods("web")
        name: str = pods[0]["metadata"]["name"]
        return name


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    folder = tmp_path_factory.mktemp("asked")
    streams = PodStreams(folder)
    pods = [f"{HOME}/spotmix-0", f"{ELSEWHERE}/spotmix-1"]
    async with (
        open_stage(apiserver_flags=streams.apiserver_flags) as stage,
        stage.namespace() as cluster,
        streams.running(stage.api, pods),
    ):
        made = Asked(stage, cluster, folder)
        for name in (HOME, ELSEWHERE):
            await stage.api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
        await cluster.deployment("web", 10, policy(spot_percentage=70, min_on_demand=1))
        await cluster.ready("web", 10)
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def pod(asked: Asked) -> AsyncIterator[str]:
    """The pod that Spotmix is found by."""
    await make_pod(asked.stage.api, HOME, "spotmix-0", {"api": asked.port}, LEADER)
    path = f"/api/v1/namespaces/{HOME}/pods/spotmix-0"
    yield "spotmix-0"
    await asked.stage.api.request("DELETE", path, body={"gracePeriodSeconds": 0})


async def test_without_a_pod_it_is_computed_here(asked: Asked) -> None:
    for command in (
        ("status", "-A"),
        ("explain", "deploy/web", "-n", asked.cluster.namespace),
        ("drift", "plan", "-A"),
    ):
        ran = await asked(*command)
        assert (ran.code, ran.err) == (0, f"{HERE}there is no Spotmix in the cluster\n")
    assert (await asked("status", "-A", "--local")).err == ""
    ran = await asked("watch", "-A")
    assert (ran.code, ran.out, ran.err) == (1, "", "spotmix: there is no Spotmix in the cluster\n")


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize("tunnelled", [False, True])
async def test_a_service_says_what_would_be_computed_and_more(asked: Asked, *, tunnelled: bool) -> None:
    where = () if tunnelled else ("--server", asked.server)
    namespace = ("-n", asked.cluster.namespace)
    name = await asked.a_pod()
    for command in (("status",), ("explain", "deploy/web"), ("explain", f"pod/{name}"), ("drift", "plan")):
        told = await asked(*command, *namespace, "-o", "json", *where)
        here = await asked(*command, *namespace, "-o", "json", "--local")
        assert (told.err, here.err) == ("", "")
        said, computed = told.json, here.json
        decisions = said.pop("decisions", None)
        said.pop("drift", None)
        for each in (said, computed):
            each.pop("at", None)
        # Only a replica knows what it has seen of schedulers and autoscalers.
        assert bool(said.pop("enforcement", None)) is (command[0] != "drift")
        assert not computed.pop("enforcement", None)
        assert said == computed
        if command[0] == "explain":
            assert {each["workload"] for each in decisions} == {"web"}
            assert decisions[0]["number"] > 0
    for selector, shown in (("spotmix.io/enabled=true", ["deployment/web"]), ("!spotmix.io/enabled", [])):
        for ways in (where, ("--local",)):
            ran = await asked("status", *namespace, "-l", selector, "-o", "name", *ways)
            assert (ran.code, ran.err, [line for line in ran.out.splitlines() if "web" in line.lower()]) == (
                0,
                "",
                shown,
            )
    text = (await asked("explain", f"pod/{name}", *namespace, *where)).out
    assert text.split("Last decisions\n")[1].splitlines()[1].split()[1] == name


@pytest.mark.usefixtures("pod")
async def test_what_the_service_does_not_know_is_an_error(asked: Asked) -> None:
    ran = await asked("explain", "pod/none", "-n", asked.cluster.namespace)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("spotmix: there is no Pod")
    ran = await asked("status", "-A", "--server", "127.0.0.1:1")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert ran.err.startswith("spotmix: 127.0.0.1:1: ")


async def _decided(watching: Running, count: int) -> list[Any]:
    return [json.loads(await watching.line()) for _ in range(count)]


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize("tunnelled", [False, True])
async def test_decisions_are_shown_as_they_are_made(asked: Asked, *, tunnelled: bool) -> None:
    where = () if tunnelled else ("--server", asked.server)
    app = "tunnelled" if tunnelled else "direct"
    async with asked.watching("-o", "json", "--last", "3", *where) as watching:
        assert [each["namespace"] for each in await _decided(watching, 3)] == [asked.cluster.namespace] * 3
        await asked.cluster.deployment(app, 4, policy(spot_percentage=50))
        seen = await _decided(watching, 4)
        assert {each["workload"] for each in seen} == {app}
        assert sorted(each["given"] for each in seen) == ["on-demand", "on-demand", "spot", "spot"]
        ended = await watching.interrupt()
    assert (ended.code, ended.err) == (130, "")
    async with asked.watching(f"deploy/{app}", "--class", "spot", "--last", "10", *where) as watching:
        lines = [await watching.line() for _ in range(2)]
        await watching.interrupt()
    assert all(f"Deployment/{app}" in line and " seat " in line and "\x1b" not in line for line in lines)


@pytest.mark.usefixtures("pod")
@pytest.mark.parametrize("tunnelled", [False, True])
async def test_a_service_that_goes_is_followed_when_it_is_back(asked: Asked, *, tunnelled: bool) -> None:
    where = () if tunnelled else ("--server", asked.server)
    app = "after-tunnelled" if tunnelled else "after"
    async with asked.watching("-o", "json", "--last", "1", *where) as watching:
        await _decided(watching, 1)
        await asked.stage.spotmix.stop()
        assert (await watching.note()).startswith("spotmix: lost the service, trying again: ")
        await asked.stage.spotmix.start()
        assert await watching.note() == "spotmix: following again"
        await asked.cluster.deployment(app, 1, policy(spot_percentage=50))
        assert (await _decided(watching, 1))[0]["workload"] == app
        ended = await watching.interrupt()
    assert (ended.code, ended.err) == (130, "")


@pytest.mark.usefixtures("pod")
async def test_a_cut_tunnel_loses_no_decision(asked: Asked) -> None:
    async with asked.watching("-o", "json", "--last", "1") as watching:
        await _decided(watching, 1)
        await asked.stage.plane.apiserver.restart(kill=True)
        assert (await watching.note()).startswith("spotmix: lost the service, trying again: ")
        await asked.cluster.deployment("after-cut", 3, policy(spot_percentage=50))
        seen = await _decided(watching, 3)
        assert len({each["number"] for each in seen}) == 3
        assert {each["workload"] for each in seen} == {"after-cut"}
        await watching.interrupt()


async def test_who_may_not_forward_is_told_the_right_and_computes_here(asked: Asked, pod: str) -> None:
    rules = [{"apiGroups": [group], "resources": names, "verbs": ["list"]} for group, names in LISTED.items()]
    await bind(Objects(asked.stage.api), "looker", rules, {"kind": "User", "name": "looker"})
    kubeconfig = asked.stage.plane.write_kubeconfig("looker", path=asked.folder / "looker")
    ran = await asked("status", "-A", kubeconfig=kubeconfig)
    assert ran.code == 0
    assert "Deployment/web" in ran.out
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith(f"{HERE}pod {HOME}/{pod}: GET /api/v1/namespaces/{HOME}/pods/{pod}/portforward: 403")
    assert ran.err.endswith("a port-forward needs the rights to get and create pods/portforward\n")


async def test_who_acts_as_somebody_else_has_their_rights_alone(asked: Asked, pod: str) -> None:
    """Also in the tunnel: an admin who acts as somebody who may look, and not forward, gets no further than they."""
    rules = [{"apiGroups": [group], "resources": names, "verbs": ["list"]} for group, names in LISTED.items()]
    await bind(Objects(asked.stage.api), "watchers", rules, {"kind": "Group", "name": "watchers"})
    tree = yaml.safe_load(asked.admin.read_text())
    tree["users"][0]["user"] |= {"as": "eve", "as-groups": ["watchers"], "as-user-extra": {"acme.com/why": ["a test"]}}
    acting = asked.folder / "acting"
    acting.write_text(yaml.safe_dump(tree))
    forward = f"/api/v1/namespaces/{HOME}/pods/{pod}/portforward"
    for where in (("--as", "eve", "--as-group", "watchers"), ("--kubeconfig", str(acting))):
        ran = await asked("status", "-A", *where)
        assert ran.code == 0
        assert "Deployment/web" in ran.out
        assert ran.err.startswith(f"{HERE}pod {HOME}/{pod}: GET {forward}: 403")
        assert 'User "eve" cannot' in ran.err
    refused = await asked("status", "-A", "--as", "eve")
    assert (refused.code, refused.out) == (1, "")
    assert 'User "eve" cannot list resource "pods"' in refused.err
    account = f"system:serviceaccount:{HOME}:default"
    assert f'User "{account}" cannot' in (await asked("status", "-A", "--as", account)).err
    assert (await asked("status", "-A")).err == ""


async def test_a_pod_that_nobody_listens_in(asked: Asked) -> None:
    await make_pod(asked.stage.api, HOME, "spotmix-0", {"api": 1}, LEADER)
    path = f"/api/v1/namespaces/{HOME}/pods/spotmix-0"
    ran = await asked("status", "-A")
    assert ran.code == 0
    # The error of the runtime may come too late.
    said = ("error forwarding port 1", "it was closed at once")
    assert ran.err.startswith(tuple(f"{HERE}pod {HOME}/spotmix-0: port 1 of pod {HOME}/spotmix-0: {s}" for s in said))
    condition = {"type": "Ready", "status": "False"}
    status = {"status": {"phase": "Running", "conditions": [condition]}}
    await asked.stage.api.request("PATCH", f"{path}/status", body=status, content_type=MERGE_PATCH)
    assert (await asked("status", "-A")).err == f"{HERE}no pod of Spotmix is ready in the cluster\n"
    await asked.stage.api.request("DELETE", path, body={"gracePeriodSeconds": 0})


async def test_tokens_go_to_a_namespace_that_was_named(asked: Asked, tmp_path: Path) -> None:
    """A second Spotmix, which asks for tokens and speaks TLS, in a namespace that anybody could have made."""
    authority = Authority("authority")
    pair = authority.issue(tmp_path, "service", ("127.0.0.1",))
    flags = ("--api-auth", "kubernetes", "--api-tls-cert", str(pair.cert), "--api-tls-key", str(pair.key))
    second = SpotmixServe(asked.stage.plane, *flags, name="spotmix-1")
    await second.start()
    path = f"/api/v1/namespaces/{ELSEWHERE}/pods/spotmix-1"
    try:
        port = int(second.api_target.rpartition(":")[2])
        await make_pod(asked.stage.api, ELSEWHERE, "spotmix-1", {"api": port})
        kubeconfig = await _token_kubeconfig(asked, tmp_path)
        refused = await asked("status", "-A", "-o", "json", kubeconfig=kubeconfig)
        assert refused.err == (
            f"{HERE}pod {ELSEWHERE}/spotmix-1 asks for a token, and anybody may have labelled it; if it is Spotmix, "
            f"give --server-namespace {ELSEWHERE}\n"
        )
        named = ("--server-namespace", ELSEWHERE)
        told = await asked("status", "-A", "-o", "json", *named, kubeconfig=kubeconfig)
        assert told.err == ""
        assert told.json["workloads"] == refused.json["workloads"]
        forbidden = await asked("drift", "plan", "-A", *named, kubeconfig=kubeconfig)
        assert forbidden.err.startswith(f"{HERE}pod {ELSEWHERE}/spotmix-1: PERMISSION_DENIED: ")
        address = ("--server", second.api_target, "--server-ca", str(authority.write(tmp_path / "ca.pem")))
        assert (await asked("status", "-A", "-o", "json", *address, kubeconfig=kubeconfig)).json == told.json | {
            "at": pytest.approx(told.json["at"], abs=60)
        }
        ran = await asked("status", "-A", *address)
        assert (ran.code, ran.out) == (1, "")
        assert "the kubeconfig has none; give one with --server-token-file" in ran.err
    finally:
        await asked.stage.api.request("DELETE", path, body={"gracePeriodSeconds": 0})
        await second.stop()


async def _token_kubeconfig(asked: Asked, folder: Path) -> Path:
    """A kubeconfig with the token of an account that may look, forward ports, and list workloads of Spotmix."""
    account = "teller"
    rules = [{"apiGroups": [group], "resources": names, "verbs": ["list"]} for group, names in LISTED.items()]
    rules.append({"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]})
    rules.append({"apiGroups": ["placement.spotmix.io"], "resources": ["workloads"], "verbs": ["list"]})
    subject = {"kind": "ServiceAccount", "name": account, "namespace": ELSEWHERE}
    await bind(Objects(asked.stage.api), account, rules, subject)
    accounts = f"/api/v1/namespaces/{ELSEWHERE}/serviceaccounts"
    await asked.stage.api.request("POST", accounts, body={"metadata": {"name": account}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await asked.stage.api.request("POST", f"{accounts}/{account}/token", body=request)
    tree = yaml.safe_load(asked.admin.read_text())
    tree["users"][0]["user"] = {"token": json.loads(answer)["status"]["token"]}
    path = folder / "teller"
    path.write_text(yaml.safe_dump(tree))
    return path
