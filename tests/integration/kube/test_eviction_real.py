"""The Eviction API of a real API server: what its answers look like, and what an eviction does to a pod."""

import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from support.doubles import World
from support.patience import eventually

from extender.core.drift.actions import Evict
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.last_look import last_look
from extender.core.drift.moves import Move, WorkloadRef
from extender.core.model.classes import ClassRules
from extender.core.model.errors import ApiError
from extender.core.model.objects import Pod, PodId
from extender.core.model.reasons import Reason
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.kube.driftstore import DriftStore
from extender.kube.eviction import Evictor
from extender.kube.reflector import Health
from extender.runtime.drift import Context
from extender.runtime.drift.mover import Mover
from extender.sandbox import ControlPlane, SimNode, create_nodes
from extender.wire.objects_v1 import Decoders

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
GRACE = 25


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def client(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        # Nobody runs its pods: one that is evicted stays, terminating.
        await create_nodes(client, [SimNode("quiet")])
        yield client
        await client.request("DELETE", BUDGETS)
        await client.request("DELETE", PODS, params={"gracePeriodSeconds": "0"})
        await client.request("DELETE", "/api/v1/nodes/quiet")


async def get(client: ApiClient, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await client.request("GET", path))
    return found


async def ready_pod(client: ApiClient, name: str, app: str, **annotations: str) -> PodId:
    """A Ready pod."""
    container = {"name": "main", "image": "sim"}
    body = {
        "metadata": {"name": name, "labels": {"app": app}, "annotations": annotations},
        "spec": {"nodeName": "quiet", "terminationGracePeriodSeconds": GRACE, "containers": [container]},
    }
    made = json.loads(await client.request("POST", PODS, body=body))
    condition = {"type": "Ready", "status": "True"}
    status = {"status": {"phase": "Running", "conditions": [condition]}}
    await client.request("PATCH", f"{PODS}/{name}/status", body=status, content_type=MERGE_PATCH)
    return PodId("default", name, made["metadata"]["uid"])


async def budget(client: ApiClient, name: str, app: str, least: int, *, current: bool = True) -> None:
    """A PodDisruptionBudget, once its status is current."""
    spec = {"selector": {"matchLabels": {"app": app}}, "minAvailable": least}
    await client.request("POST", BUDGETS, body={"metadata": {"name": name}, "spec": spec})

    async def healthy() -> int:
        return int((await get(client, f"{BUDGETS}/{name}"))["status"].get("currentHealthy", 0))

    if current:
        await eventually(healthy, bool, f"PodDisruptionBudget {name} is current")


async def allowed(client: ApiClient, name: str) -> tuple[int, bool]:
    """Disruptions that a budget allows, and whether any was granted."""
    status = (await get(client, f"{BUDGETS}/{name}"))["status"]
    return status["disruptionsAllowed"], bool(status.get("disruptedPods"))


async def terminates(client: ApiClient, name: str) -> bool:
    return "deletionTimestamp" in (await get(client, f"{PODS}/{name}"))["metadata"]


async def test_statement_24_a_pod_ends_with_its_own_grace_period(client: ApiClient) -> None:
    pod = await ready_pod(client, "graceful", "graceful")
    assert await Evictor(client).evict(pod) == Outcome(Answer.EVICTED, 201)
    metadata = (await get(client, f"{PODS}/graceful"))["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == GRACE


async def test_statement_28_a_dry_run_changes_nothing(client: ApiClient) -> None:
    pods = [await ready_pod(client, f"dry-{n}", "dry") for n in range(2)]
    await budget(client, "dry", "dry", 1)
    assert await allowed(client, "dry") == (1, False)
    assert await Evictor(client).evict(pods[0], dry_run=True) == Outcome(Answer.EVICTED, 201)
    assert not await terminates(client, "dry-0")
    assert await allowed(client, "dry") == (1, False)
    # And yet the budget is heeded.
    assert (await Evictor(client).evict(pods[0])).answer is Answer.EVICTED
    blocked = await Evictor(client).evict(pods[1], dry_run=True)
    assert (blocked.answer, blocked.status) == (Answer.BUDGET, 429)
    assert not await terminates(client, "dry-1")


async def test_statement_10_an_exhausted_budget(client: ApiClient) -> None:
    pod = await ready_pod(client, "kept", "kept")
    await budget(client, "kept", "kept", 1)
    outcome = await Evictor(client).evict(pod)
    assert (outcome.answer, outcome.status, outcome.retry_after) == (Answer.BUDGET, 429, None)
    assert "The disruption budget kept needs 1 healthy pods and has 1 currently" in outcome.text
    assert not await terminates(client, "kept")


async def test_statement_11_two_budgets(client: ApiClient) -> None:
    pod = await ready_pod(client, "twice", "twice")
    for name in ("one", "two"):
        await budget(client, name, "twice", 0)
    outcome = await Evictor(client).evict(pod)
    assert (outcome.answer, outcome.status) == (Answer.BUDGETS, 500)
    assert not await terminates(client, "twice")


async def test_statement_12_a_budget_that_nobody_has_looked_at(plane: ControlPlane, client: ApiClient) -> None:
    pod = await ready_pod(client, "early", "early")
    await plane.controller_manager.stop()
    try:
        await budget(client, "early", "early", 0, current=False)
        outcome = await Evictor(client).evict(pod)
    finally:
        await plane.controller_manager.start()
    assert (outcome.answer, outcome.status, outcome.retry_after) == (Answer.LATER, 429, 10.0)
    assert not await terminates(client, "early")


async def test_statement_21_a_pod_made_anew_under_its_name_is_another(client: ApiClient) -> None:
    pod = await ready_pod(client, "again", "again")
    await client.request("DELETE", f"{PODS}/again", params={"gracePeriodSeconds": "0"})
    assert (await Evictor(client).evict(pod)).answer is Answer.GONE
    again = await ready_pod(client, "again", "again")
    outcome = await Evictor(client).evict(pod)
    assert (outcome.answer, outcome.status) == (Answer.CHANGED, 409)
    assert not await terminates(client, "again")
    assert (await Evictor(client).evict(again)).answer is Answer.EVICTED


async def test_statement_13_who_may_not_evict(plane: ControlPlane, client: ApiClient) -> None:
    pod = await ready_pod(client, "safe", "safe")
    async with await plane.connect("nobody") as powerless:
        outcome = await Evictor(powerless).evict(pod)
    assert (outcome.answer, outcome.status) == (Answer.FORBIDDEN, 403)
    assert not await terminates(client, "safe")


@pytest.mark.parametrize(
    ("annotations", "result"),
    [
        ({}, "started"),
        ({"spotmix.io/do-not-disrupt": "true"}, "changed"),
        ({"karpenter.sh/do-not-disrupt": "perhaps"}, "changed"),
    ],
)
async def test_statement_22_a_pod_is_read_again_before_it_is_moved(
    client: ApiClient, annotations: dict[str, str], result: str
) -> None:
    """An annotation that came after the plan keeps it."""
    world = World()
    workload = world.workload(world.deployment("web", 2, spot_percentage=50))
    graces: list[float] = []

    def confirm(evict: Evict, found: Pod, grace: float) -> str:
        fault = last_look(world.state, evict.move, found, time.time(), dry=evict.dry)
        if not fault:
            graces.append(grace)
        return fault

    async def save() -> None:
        pass

    read_pod = Decoders(ClassRules(), ("spotmix.io",)).make("pods", "v1", "Pod").one
    context = Context(client, read_pod, dict[str, Health], lambda: True, lambda *_: None)
    mover = Mover(context, confirm, save)
    name = "-".join(("planned", *annotations.values()))
    pod = await ready_pod(client, name, "planned", **annotations)
    subject = WorkloadRef(workload.uid, workload.kind, "default", workload.name, "r")
    move = Move(pod, "quiet", subject, "on-demand", "spot", "", Reason.SURPLUS)
    outcome = await mover.attempt(Evict(move))
    assert outcome.result() == result
    assert graces == ([GRACE] if result == "started" else [])
    assert await terminates(client, name) == (result == "started")
    assert (await mover.attempt(Evict(move))).result() == "changed"


async def test_what_a_former_leader_still_writes_is_refused(client: ApiClient) -> None:
    former, successor = (DriftStore(client, "default", "fenced") for _ in range(2))
    read = partial(get, client, "/api/v1/namespaces/default/configmaps/fenced")
    assert await former.take_over("first") == {}
    await former.write({"a": "1", "b": "2"})
    assert await successor.take_over("second") == {"a": "1", "b": "2"}
    with pytest.raises(ApiError, match="taken over by 'second'"):
        await former.write({"a": "3"})
    await successor.write({"b": None})
    assert (await read())["data"] == {"a": "1"}
    # Whatever a person does to it, we go on.
    await client.request(
        "PATCH",
        "/api/v1/namespaces/default/configmaps/fenced",
        body={"metadata": {"labels": {"seen": "yes"}}},
        content_type=MERGE_PATCH,
    )
    await successor.write({"c": "4"})
    assert (await read())["data"] == {"a": "1", "c": "4"}
