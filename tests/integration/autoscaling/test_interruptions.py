"""Interruptions that others tell of, and cluster-autoscaler's expander, which goes by them."""

import asyncio
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from support.certificates import Authority
from support.cluster import Cluster, policy
from support.expander import asking, groups, kubernetes, request
from support.interruptions import about, counted, heard, post_notice
from support.patience import eventually, stretched
from support.stage import Stage, metric_lines, open_stage

from extender.sandbox import SimNode, node_pool
from extender.sandbox.nodes import SPOT_NOTICE, add_taint
from extender.sandbox.ports import LOOPBACK, free_port

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

ZONES = ("a", "b", "c")
DISRUPTED = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}
SPOT = policy(spot_percentage=100)


def nodes() -> list[SimNode]:
    return node_pool(6, capacity_class="spot", zones=ZONES) + node_pool(1, capacity_class="on-demand", zones=("a",))


class Asked:
    """The stage, and how its expander is asked."""

    def __init__(self, stage: Stage, port: int, ca: bytes) -> None:
        self.stage, self.api = stage, stage.api
        self._address = (LOOPBACK, port)
        self._credentials = grpc.ssl_channel_credentials(ca)

    async def best(self, asked: Any) -> list[str]:
        async with asking(self._address, self._credentials) as client:
            return groups(await client.BestOptions(asked))

    def as_protobuf(self, path: str) -> bytes:
        """An object as cluster-autoscaler sends it: as the API server encodes it."""
        credentials = self.stage.plane._credentials
        context = ssl.create_default_context(cafile=str(credentials.ca_path))
        context.load_cert_chain(credentials.probe)
        asked = urllib.request.Request(  # noqa: S310 - https on loopback
            self.stage.plane.url + path, headers={"Accept": "application/vnd.kubernetes.protobuf"}
        )
        with urllib.request.urlopen(asked, context=context, timeout=stretched(10)) as answer:  # noqa: S310 - likewise
            return bytes(kubernetes.Unknown.FromString(answer.read()[4:]).raw)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    folder: Path = tmp_path_factory.mktemp("expander")
    authority, port = Authority("expanders"), free_port()
    ca = authority.write(folder / "ca.pem").read_bytes()
    pair = authority.issue(folder, "expander", (LOOPBACK,))
    flags = {"enabled": "true", "addr": f"{LOOPBACK}:{port}", "tls-cert": str(pair.cert), "tls-key": str(pair.key)}
    async with open_stage(nodes(), [f"--expander-{name}={value}" for name, value in flags.items()]) as stage:
        yield Asked(stage, port, ca)


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(asked: Asked) -> AsyncIterator[Cluster]:
    async with asked.stage.namespace() as namespace:
        yield namespace


async def test_groups_are_ranked_for_real_pods_and_nodes(asked: Asked, cluster: Cluster) -> None:
    await cluster.deployment("web", 3, SPOT)
    await cluster.expect("web", spot=3, on_demand=0)
    pods = await cluster.pods("web")
    waits = asked.as_protobuf(f"/api/v1/namespaces/{cluster.namespace}/pods/{pods[0]['metadata']['name']}")
    found = {node["metadata"]["name"]: node["metadata"]["labels"] for node in await cluster.nodes()}
    zone_of = {name: labels["topology.kubernetes.io/zone"] for name, labels in found.items()}
    held = {zone: sum(zone_of[pod["spec"]["nodeName"]] == zone for pod in pods) for zone in ZONES}
    template = {zone_of[name]: name for name in found if name.startswith("spot")}
    sent = {zone: asked.as_protobuf(f"/api/v1/nodes/{name}") for zone, name in template.items()}
    best = await asked.best(request({zone: [waits] for zone in ZONES}, sent))
    assert best == [zone for zone in ZONES if held[zone] == min(held.values())]


async def test_each_node_counts_once_whoever_tells_and_for_longer_than_the_process(
    asked: Asked, cluster: Cluster
) -> None:
    spot: dict[str, list[dict[str, Any]]] = {zone: [] for zone in ZONES}
    for node in await cluster.nodes():
        if node["metadata"]["name"].startswith("spot"):
            spot[node["metadata"]["labels"]["topology.kubernetes.io/zone"]].append(node)
    templates = {zone: asked.as_protobuf(f"/api/v1/nodes/{some[0]['metadata']['name']}") for zone, some in spot.items()}
    groups_asked = request({zone: [] for zone in ZONES}, templates)
    assert await asked.best(groups_asked) == ["a", "b", "c"]
    # A tenant's own Events, and one about a node that is given back on purpose, as Karpenter ends its instance.
    forged = {**about(spot["c"][0]), "namespace": cluster.namespace}
    await post_notice(asked.api, "SpotInterrupted", "karpenter", forged, cluster.namespace)
    await add_taint(
        asked.api, spot["c"][1]["metadata"]["name"], {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}
    )
    await eventually(lambda: going_away(asked), lambda count: count == 1, "the taint is known")
    await post_notice(asked.api, "InstanceTerminating", "karpenter", about(spot["c"][1]))
    # Karpenter, then the node goes as Karpenter takes it away.
    first = spot["a"][0]["metadata"]["name"]
    await post_notice(asked.api, "SpotInterrupted", "karpenter", about(spot["a"][0]))
    await post_notice(asked.api, "SpotRebalanceRecommendation", "karpenter", about(spot["a"][0]))
    await eventually(
        lambda: asyncio.to_thread(counted, asked.stage), lambda seen: seen == {"a": 1.0}, "the node is counted"
    )
    await add_taint(asked.api, first, DISRUPTED)
    await asked.api.request("DELETE", f"/api/v1/nodes/{first}")
    # The handler, which says no UID, and taints.
    second = spot["b"][0]["metadata"]["name"]
    nameless = {"kind": "Node", "apiVersion": "v1", "namespace": "default", "name": second}
    await post_notice(asked.api, "SpotInterruption", "aws-node-termination-handler", nameless)
    await add_taint(asked.api, second, SPOT_NOTICE)
    both = {"a": 1.0, "b": 1.0}
    await eventually(lambda: asyncio.to_thread(counted, asked.stage), lambda seen: seen == both, "both are counted")
    await asked.api.request("DELETE", f"/api/v1/nodes/{second}")
    assert await asked.best(groups_asked) == ["c"]

    async def stored() -> str:
        path = "/api/v1/namespaces/default/configmaps/spotmix-drift"
        text: str = json.loads(await asked.api.request("GET", path)).get("data", {}).get("interruptions", "")
        return text

    await eventually(stored, lambda text: text.count('"node"') == 2, "they are stored")
    await asked.stage.spotmix.stop(kill=True)
    await asked.stage.spotmix.start()
    await eventually(lambda: asked.best(groups_asked), lambda best: best == ["c"], "they are known again")
    # The Events are told once more, and count no more.
    for reason in ("SpotInterrupted", "SpotInterruption", "InstanceTerminating"):
        await eventually(partial(heard, asked.stage, reason), bool, f"{reason} is heard again")
    assert await asyncio.to_thread(counted, asked.stage) == {}


async def going_away(asked: Asked) -> float:
    lines = await asyncio.to_thread(metric_lines, asked.stage.spotmix)
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("spotmix_pool_nodes_going_away{"))
