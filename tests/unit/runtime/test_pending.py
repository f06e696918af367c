"""A pod is deleted exactly as it was seen, while this replica decides, and that is told."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from support.doubles import World, written_pod

from extender.core.model.classes import ClassRules
from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.placement.pending import PendingController, Replace
from extender.kube.recorder import EventRecorder
from extender.runtime.pending import PendingPods
from extender.telemetry.metrics import Metrics
from extender.wire.objects_v1 import Decoders

POD: dict[str, Any] = {
    "metadata": {
        "uid": "p",
        "name": "web-0",
        "namespace": "shop",
        "resourceVersion": "7",
        "annotations": {"spotmix.io/class": "spot"},
    },
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
    },
}


class OnePodApi:
    """Has one pod, and keeps what is sent to delete it."""

    def __init__(self, pod: Mapping[str, Any], refusal: int = 0) -> None:
        self.pod, self.refusal = pod, refusal
        self.deleted: list[Any] = []

    async def request(self, method: str, path: str, **more: Any) -> bytes:
        assert path == "/api/v1/namespaces/shop/pods/web-0"
        if method == "DELETE":
            self.deleted.append(more["body"]["preconditions"])
            if self.refusal:
                raise ApiError("refused", status=self.refusal)
        return json.dumps(self.pod).encode()


async def attempt(api: OnePodApi, *, decides: bool = True) -> tuple[list[str], list[str]]:
    """What the controller is told, and what is reported."""
    world = World()
    owner = world.deployment("web", 1, spot_percentage=100)
    world.up(written_pod("p", owner))
    controller, told, reports = PendingController(world.state, 600.0), list[str](), list[str]()
    controller.done = lambda _action, outcome, _now: told.append(outcome)  # type: ignore[method-assign, assignment]
    recorder = EventRecorder(api, lambda _name, _text: None)
    read = Decoders(ClassRules(), ("spotmix.io",)).make("pods", "v1", "Pod").one
    pending = PendingPods(
        controller, api, read, recorder, Metrics(), lambda: decides, lambda _name, text: reports.append(text)
    )
    action = Replace(PodId("shop", "web-0", "p"), world.workload(owner), "spot", "on-demand", "refused", "none")
    await pending._replace(action)
    return told, reports


async def test_it_is_deleted_as_it_was_seen() -> None:
    api = OnePodApi(POD)
    assert await attempt(api) == (["replaced"], [])
    assert api.deleted == [{"uid": "p", "resourceVersion": "7"}]


@pytest.mark.parametrize("change", [{"spec": {"nodeName": "n"}}, {"status": {"nominatedNodeName": "n"}}])
async def test_one_that_changed_stays(change: dict[str, Any]) -> None:
    api = OnePodApi({**POD, **change})
    assert await attempt(api) == (["changed"], [])
    assert not api.deleted


async def test_who_does_not_decide_deletes_nothing() -> None:
    api = OnePodApi(POD)
    assert await attempt(api, decides=False) == (["changed"], [])
    assert not api.deleted


@pytest.mark.parametrize(
    ("status", "outcome", "reported"), [(409, "changed", 0), (404, "changed", 0), (403, "failed", 1)]
)
async def test_what_the_server_refuses(status: int, outcome: str, reported: int) -> None:
    told, reports = await attempt(OnePodApi(POD, status))
    assert (told, len(reports)) == ([outcome], reported)
