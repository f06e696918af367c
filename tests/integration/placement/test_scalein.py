"""Scale-in on the real controllers lands exactly on the target of every size, without an eviction."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from support.audit import Audit
from support.cluster import Cluster, pod_template, policy
from support.patience import eventually, stretched
from support.stage import Stage, open_stage

from extender.core.model.eventreasons import EventReason
from extender.core.policy.policy import Layer, parse_policy
from extender.core.scalein.costs import cost_of, seat_in
from extender.kube.patches import SEAT_FIELD_MANAGER
from extender.wire.kube_v1 import DELETION_COST

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

HASH = "pod-template-hash"
SIZES = (20, 13, 7, 2)
WANTED = policy(spot_percentage=65, min_on_demand=3)
SPOTMIX = "spotmix"
# Who may end pods: the controllers, and the test itself with its kubelets.
OTHERS = {"system:kube-controller-manager", "admin"}


class ScaleIns:
    """A stage whose API server keeps account of who ends pods, and of what Spotmix does."""

    def __init__(self, stage: Stage, audit: Audit) -> None:
        self.stage = stage
        self._audit = audit

    def costs_sent(self, cluster: Cluster, app: str) -> Counter[str]:
        """How often a cost was sent to each pod."""
        return Counter(
            event["objectRef"]["name"]
            for event in self._audit.events(f"fieldManager={SEAT_FIELD_MANAGER}")
            if event["objectRef"]["namespace"] == cluster.namespace and event["objectRef"]["name"].startswith(f"{app}-")
        )

    def check_ends(self) -> None:
        """Every pod was ended by a controller, none by an eviction."""
        asked = self._audit.events('"resource":"pods"')
        assert any(event["user"]["username"] == SPOTMIX for event in asked), "it is told what Spotmix does"
        assert not [event for event in asked if event["objectRef"].get("subresource") == "eviction"]
        ends = {event["user"]["username"] for event in asked if event["verb"] in {"delete", "deletecollection"}}
        assert ends <= OTHERS


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scaleins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScaleIns]:
    audit = Audit(tmp_path_factory.mktemp("audit"), SPOTMIX)
    async with open_stage(flags=("--scale-in-settle", f"{stretched(0.5):.2f}s"), apiserver_flags=audit.flags) as stage:
        yield ScaleIns(stage, audit)


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(scaleins: ScaleIns) -> AsyncIterator[Cluster]:
    async with scaleins.stage.namespace() as namespace:
        yield namespace
    scaleins.check_ends()


def target(annotations: Mapping[str, str], replicas: int) -> dict[str, int]:
    parsed = parse_policy([Layer("the test", annotations)], ("spotmix.io",))
    assert parsed.valid
    return {name: count for name, count in parsed.policy.seats.target(replicas).items() if count}


def costs(pods: Iterable[dict[str, Any]]) -> dict[str, str | None]:
    return {p["metadata"]["name"]: p["metadata"].get("annotations", {}).get(DELETION_COST) for p in pods}


async def scale(cluster: Cluster, kind: str, app: str, replicas: int, annotations: Mapping[str, str] = WANTED) -> None:
    """Scale; once the replicas are that many and ready, the split is the target."""
    await cluster.scale(kind, app, replicas)
    await cluster.ready(app, replicas)
    assert await cluster.split(app) == target(annotations, replicas)


def stateful(app: str, replicas: int) -> dict[str, Any]:
    return {
        "replicas": replicas,
        "serviceName": app,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": app}},
        "template": pod_template({"app": app}),
    }


@pytest.mark.parametrize(
    "annotations",
    [WANTED, policy(spot_percentage=90, max_spot=6), policy(spot_percentage=50, on_demand_base=4)],
    ids=["floor", "max-spot", "base"],
)
async def test_a_deployment_lands_on_the_target_of_every_size(
    scaleins: ScaleIns, cluster: Cluster, annotations: dict[str, str]
) -> None:
    await cluster.deployment("web", SIZES[0], annotations)
    await cluster.ready("web", SIZES[0])
    assert await cluster.split("web") == target(annotations, SIZES[0])
    await cluster.seated("web", range(1, SIZES[0] + 1))
    for replicas in SIZES[1:]:
        await scale(cluster, "Deployment", "web", replicas, annotations)
    sent = scaleins.costs_sent(cluster, "web")
    assert len(sent) == SIZES[0]
    assert set(sent.values()) == {1}, "who stays keeps the seat, and is not written again"


async def test_a_statefulset_does(scaleins: ScaleIns, cluster: Cluster) -> None:
    await cluster.create("StatefulSet", "db", stateful("db", SIZES[0]), WANTED)
    await cluster.ready("db", SIZES[0])
    assert await cluster.split("db") == target(WANTED, SIZES[0])
    for replicas in SIZES[1:]:
        await scale(cluster, "StatefulSet", "db", replicas)
    assert not scaleins.costs_sent(cluster, "db"), "the ordinal is the seat"


async def test_a_random_walk_is_exact_at_every_step(scaleins: ScaleIns, cluster: Cluster) -> None:
    random = Random(65)  # noqa: S311 - a walk, not a secret
    walk = [random.randint(2, 24) for _ in range(30)]
    await cluster.deployment("web", 10, WANTED)
    await cluster.create("StatefulSet", "db", stateful("db", 10), WANTED)
    made, before = 10, 10
    for replicas in walk:
        await cluster.ready("web", before)
        await cluster.seated("web", range(1, before + 1))
        await asyncio.gather(
            scale(cluster, "Deployment", "web", replicas), scale(cluster, "StatefulSet", "db", replicas)
        )
        made += max(0, replicas - before)
        before = replicas
    await cluster.seated("web", range(1, before + 1))
    sent = scaleins.costs_sent(cluster, "web")
    assert (len(sent), set(sent.values())) == (made, {1}), "each pod is written once"


async def test_scale_in_within_a_rollout(cluster: Cluster) -> None:
    await cluster.deployment(
        "web",
        20,
        WANTED,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 4, "maxUnavailable": 0}},
    )
    await cluster.ready("web", 20)
    await cluster.seated("web", range(1, 21))
    (old,) = {pod["metadata"]["labels"][HASH] for pod in await cluster.pods("web")}
    template = pod_template({"app": "web", "version": "2"})
    await cluster.patch("Deployment", "web", {"spec": {"template": template}})

    async def sizes() -> dict[bool, int]:
        return Counter(pod["metadata"]["labels"][HASH] == old for pod in await cluster.pods("web"))

    await eventually(sizes, lambda seen: seen.get(False, 0) >= 6, "the rollout to be under way")
    await cluster.patch("Deployment", "web", {"spec": {"paused": True}})

    async def revisions() -> dict[str, list[str]]:
        """The seats of both revisions, once they are as large as their ReplicaSets."""
        found: dict[str, list[str]] = {}
        for pod in await cluster.pods("web"):
            found.setdefault(pod["metadata"]["labels"][HASH], []).append(str(costs([pod]).popitem()[1]))
        return found

    def at_rest(found: dict[str, list[str]]) -> bool:
        return all(
            sorted(seat_in(cost) or 0 for cost in held) == list(range(1, len(held) + 1)) for held in found.values()
        )

    await eventually(revisions, at_rest, "both revisions seated")
    both = len(await cluster.pods("web"))
    await cluster.scale("Deployment", "web", 12)

    async def live() -> int:
        return len(await cluster.pods("web"))

    # In proportion: the surge stays on top.
    await eventually(live, lambda count: count <= both - 8, "the scale-in")
    by_revision = await cluster.split("web", by=lambda pod: pod["metadata"]["labels"][HASH])
    shares: dict[str, dict[str, int]] = {}
    for (revision, where), count in by_revision.items():
        shares.setdefault(revision, {})[where] = count
    assert len(shares) == 2
    for split in shares.values():
        assert split == target(WANTED, sum(split.values())), "each revision is exact alone"
    await cluster.patch("Deployment", "web", {"spec": {"paused": False}})
    await eventually(sizes, lambda seen: dict(seen) == {False: 12}, "the rollout's end")
    await cluster.expect("web", on_demand=5, spot=7)


async def test_an_edited_policy_is_reached_by_scale_in(scaleins: ScaleIns, cluster: Cluster) -> None:
    await cluster.deployment("web", 20, WANTED)
    await cluster.ready("web", 20)
    await cluster.seated("web", range(1, 21))
    edited = policy(spot_percentage=30, min_on_demand=3)
    await cluster.annotate("Deployment", "web", edited)
    # 13 spot pods and 7 on-demand ones, each on the first seats of its class.
    spot = [-(-rank * 100 // 30) for rank in range(1, 14)]
    on_demand = [seat for seat in range(1, 20) if seat not in spot][:7]
    await cluster.seated("web", spot + on_demand)
    assert await cluster.split("web") == {"spot": 13, "on-demand": 7}
    for replicas in (10, 5, 1):
        await scale(cluster, "Deployment", "web", replicas, edited)
    assert set(scaleins.costs_sent(cluster, "web").values()) <= {1, 2}


async def test_a_users_own_costs_stay_and_are_told_of(scaleins: ScaleIns, cluster: Cluster) -> None:
    foreign = 'spotmix_deletion_costs_total{outcome="foreign"}'
    before = scaleins.stage.metric(foreign) or 0
    await cluster.deployment("web", 10, WANTED)
    await cluster.ready("web", 10)
    await cluster.seated("web", range(1, 11))
    by_seat = {seat_in(cost): name for name, cost in costs(await cluster.pods("web")).items()}
    # Kept for good; given up; and by chance what Spotmix itself could have written, on a seat that is to change.
    own = {by_seat[10]: "2147483647", by_seat[9]: "-5", by_seat[8]: str(cost_of(4_000))}
    for name, cost in own.items():
        path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}"
        body = {"metadata": {"annotations": {DELETION_COST: cost}}}
        await cluster.api.request(
            "PATCH", path, params={"fieldManager": "owner"}, body=body, content_type="application/merge-patch+json"
        )
    notes = await eventually(partial(cluster.events, EventReason.FOREIGN_COST.value), bool, "an Event")
    assert [(note["regarding"]["kind"], note["regarding"]["name"]) for note in notes] == [("Deployment", "web")]

    async def refused() -> float:
        return (scaleins.stage.metric(foreign) or 0) - before

    await eventually(refused, lambda count: count == 1, "one cost to be refused")
    for replicas in (9, 6, 3):
        await cluster.scale("Deployment", "web", replicas)
        await cluster.ready("web", replicas)
        wanted, split = target(WANTED, replicas), await cluster.split("web")
        # Two of ten leave out of turn.
        assert abs(wanted["on-demand"] - split["on-demand"]) <= 2
        left = costs(await cluster.pods("web"))
        assert by_seat[9] not in left
        assert left[by_seat[10]] == own[by_seat[10]]
        assert own.items() >= {(name, cost) for name, cost in left.items() if name in own}
    sent = scaleins.costs_sent(cluster, "web")
    assert sent[by_seat[10]] == sent[by_seat[9]] == 1
    assert sent[by_seat[8]] == 2, "one of its own, and the one that was refused"
    assert await refused() == 1
    assert len(await cluster.events(EventReason.FOREIGN_COST.value)) == 1


async def test_a_workload_that_opts_out_gets_its_costs_back(cluster: Cluster) -> None:
    await cluster.deployment("web", 4, WANTED)
    await cluster.ready("web", 4)
    await cluster.seated("web", range(1, 5))
    name = (await cluster.pods("web"))[0]["metadata"]["name"]
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}"
    body = {"metadata": {"annotations": {DELETION_COST: str(cost_of(50))}}}
    await cluster.api.request(
        "PATCH", path, params={"fieldManager": "owner"}, body=body, content_type="application/merge-patch+json"
    )
    await cluster.patch("Deployment", "web", {"metadata": {"labels": {"spotmix.io/enabled": "false"}}})

    async def left() -> dict[str, str]:
        return {name: cost for name, cost in costs(await cluster.pods("web")).items() if cost is not None}

    await eventually(left, lambda seen: seen == {name: str(cost_of(50))}, "only the user's own cost is left")
