"""The scheduler and the eviction API of a real control plane say of pods, nodes and budgets what we say of them.

No controller manager runs: the status of everything is what the test has written.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from support.doubles import World
from support.patience import eventually
from support.sameness import Case, Guarded, cases, guarded

from extender.core.capacity.room import Room
from extender.core.drift.eviction import Answer
from extender.core.drift.history import History
from extender.core.drift.ledger import Ledger
from extender.core.drift.rules import DriftRules
from extender.core.model.classes import ClassRules
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.state.events import Listed
from extender.kube.client import MERGE_PATCH, ApiClient
from extender.kube.eviction import Evictor
from extender.kube.resources import DRIFT_ONLY, NODES, PODS
from extender.sandbox import ControlPlane, SimNode, bulk, create_nodes
from extender.wire.objects_v1 import Decoders

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="module")]

FITS, EVICTIONS, SEED = 252, 120, 20_260_101
CORE, IN_NAMESPACE = "/api/v1", "/api/v1/namespaces/default"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
DECODERS = Decoders(ClassRules(), ("spotmix.io",))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane(with_scheduler=False, with_controller_manager=False) as plane:
        yield plane


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def api(plane: ControlPlane) -> AsyncIterator[ApiClient]:
    async with await plane.connect() as client:
        yield client


async def create(api: ApiClient, path: str, bodies: Sequence[Any]) -> None:
    await bulk(bodies, lambda body: api.request("POST", path, body=body))


async def write_status(api: ApiClient, path: str, statuses: Sequence[tuple[str, Any]]) -> None:
    async def write(each: tuple[str, Any]) -> None:
        name, status = each
        await api.request("PATCH", f"{path}/{name}/status", body={"status": status}, content_type=MERGE_PATCH)

    await bulk(statuses, write)


async def seen(api: ApiClient) -> World:
    """The cluster as we know it by its lists."""
    world = World()
    for resource in (NODES, PODS, *DRIFT_ONLY):
        decoder = DECODERS.make(resource.key, resource.api_version, resource.kind)
        page = decoder.page(await api.request("GET", resource.path))
        world.up(*page.objects)
        world.state.apply(Listed(resource.key, frozenset(each.uid for each in page.objects)), world.now)
    return world


async def build(api: ApiClient, made: Sequence[Case]) -> None:
    heavy = {"metadata": {"name": "heavy"}, "handler": "x", "overhead": {"podFixed": {"cpu": "500m"}}}
    await api.request("POST", "/apis/node.k8s.io/v1/runtimeclasses", body=heavy)
    await create(api, f"{CORE}/nodes", [case.node for case in made])
    await create(api, f"{CORE}/persistentvolumes", [volume for case in made for volume in case.volumes])
    claims = [claim for case in made for claim in case.claims]
    await create(api, f"{IN_NAMESPACE}/persistentvolumeclaims", claims)
    bound = [each["metadata"]["name"] for each in claims if "volumeName" in each["spec"]]
    await write_status(api, f"{IN_NAMESPACE}/persistentvolumeclaims", [(name, {"phase": "Bound"}) for name in bound])
    await create(api, "/apis/storage.k8s.io/v1/csinodes", [case.csi_node for case in made if case.csi_node])
    await create(api, f"{IN_NAMESPACE}/pods", [pod for case in made for pod in (*case.residents, case.pod)])
    statuses = [status for case in made for status in case.statuses.items()]
    await write_status(api, f"{IN_NAMESPACE}/pods", statuses)


async def answers(api: ApiClient) -> dict[str, tuple[bool, str]]:
    """Whether the scheduler placed each pod that it was asked about, and what it says else."""
    pods = json.loads(await api.request("GET", f"{IN_NAMESPACE}/pods"))["items"]
    found = {}
    for pod in pods:
        condition = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"), None)
        if pod["metadata"]["name"].endswith("-p") and condition is not None:
            found[pod["metadata"]["name"]] = (condition["status"] == "True", condition.get("message", ""))
    return found


async def test_the_scheduler_says_what_we_say_of_room(plane: ControlPlane, api: ApiClient) -> None:
    made = cases(FITS, SEED)
    await build(api, made)
    world = await seen(api)
    room = Room(world.state, frozenset(), world.now)
    pods = {pod.name: pod for pod in world.state.pods.values()}
    ours = {}
    for case in made:
        pod = pods[f"{case.name}-p"]
        if not pod.constraints.unmodelled:
            ours[pod.name] = room.fits(pod, world.state.nodes[case.name])
    # It knows everything from the first.
    await plane.scheduler.start()

    async def unanswered() -> set[str]:
        return ours.keys() - (await answers(api)).keys()

    await eventually(unanswered, lambda names: not names, "each pod that is counted in full has an answer")
    theirs = await answers(api)
    differ = {name: (said, *theirs[name]) for name, said in ours.items() if said != theirs[name][0]}
    # Versions count pods that are being resized differently; what is said of room there is right for all of them.
    resized = {f"{case.name}-p" for case in made if any("containerStatuses" in each for each in case.statuses.values())}
    assert {name: both for name, both in differ.items() if both[0] or name not in resized} == {}
    assert len(differ) < len(resized) / 2
    # It is no comparison unless both answers are common.
    assert len(ours) > FITS * 0.9
    assert len(ours) / 4 < sum(ours.values()) < len(ours) * 3 / 4


async def test_the_eviction_api_says_what_we_say_of_budgets(api: ApiClient) -> None:
    made = guarded(EVICTIONS, SEED)
    await create_nodes(api, [SimNode("quiet", pods=1000)])
    await create(api, f"{IN_NAMESPACE}/pods", [each.pod for each in made])
    await create(api, BUDGETS, [spec for each in made for spec, _ in each.budgets])
    await write_status(api, f"{IN_NAMESPACE}/pods", [(each.pod["metadata"]["name"], each.status) for each in made])
    statuses = [(spec["metadata"]["name"], status) for each in made for spec, status in each.budgets]
    await write_status(api, BUDGETS, statuses)
    world = await seen(api)
    ledger = Ledger(world.state, History(), DriftRules(), world.now)
    pods = {pod.name: pod for pod in world.state.pods.values()}
    listed = json.loads(await api.request("GET", f"{IN_NAMESPACE}/pods"))["items"]
    uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in listed}
    evictor, theirs, reasons = Evictor(api), {}, {}

    async def ask(each: Guarded) -> None:
        name = each.pod["metadata"]["name"]
        theirs[name] = await evictor.evict(PodId("default", name, uids[name]), dry_run=True)

    await bulk(made, ask)
    for name in theirs:
        # One that has ended is none to us.
        refusal = ledger.budget_refusal(pods[name]) if name in pods else None
        reasons[name] = refusal.reason if refusal is not None else None
    differ = {name for name, said in theirs.items() if (reasons[name] is None) != (said.answer is Answer.EVICTED)}
    assert {name: (reasons[name], theirs[name]) for name in differ} == {}
    assert {Reason.BUDGET, Reason.BUDGET_STALE, Reason.BUDGETS, None} == set(reasons.values())
    assert theirs["e-0"].answer is Answer.FORBIDDEN
