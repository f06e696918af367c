"""The gate is taken off every pod until none comes any more, in time, whatever the API server says."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from unit.kube.fake_api import VirtualTime

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.kube.ungating import QUIET, Ungating

GATE, CLASS = "spotmix.io/placement", "spotmix.io/class"
HOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/spotmix"
PAGE = 2


def pod(name: str, *gates: str, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": f"uid-{name}"}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"metadata": metadata, "spec": {"schedulingGates": [{"name": gate} for gate in gates]} if gates else {}}


def ids(*names: str) -> tuple[PodId, ...]:
    return tuple(PodId("shop", name, f"uid-{name}") for name in names)


class GatedServer:
    """Pods without a node, in pages of two; `before` runs at each list, `faults` are by method, the first first."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = {each["metadata"]["name"]: each for each in pods}
        self.faults: dict[str, list[ApiError]] = {}
        self.never: dict[str, ApiError] = {}
        self.hooks = {HOOK}
        self.before: Callable[[], None] = lambda: None
        self.lists = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",  # noqa: ARG002 - as of the port
    ) -> bytes:
        if faults := self.faults.get(method):
            raise faults.pop(0)
        if method == "GET":
            return self._list(params or {})
        if method == "DELETE":
            if path not in self.hooks:
                raise ApiError("not found", status=404)
            self.hooks.remove(path)
            return b"{}"
        name = path.rpartition("/")[2]
        if name in self.never:
            raise self.never[name]
        if name not in self.pods:
            raise ApiError("not found", status=404)
        assert isinstance(body, Mapping)
        assert set(body["spec"]) == {"schedulingGates"}
        assert body["metadata"] == {"annotations": {}, "uid": f"uid-{name}"}
        gone = {each["name"] for each in body["spec"]["schedulingGates"] if each["$patch"] == "delete"}
        spec = self.pods[name]["spec"]
        spec["schedulingGates"] = [gate for gate in spec["schedulingGates"] if gate["name"] not in gone]
        return b"{}"

    def _list(self, params: Mapping[str, str]) -> bytes:
        assert params["fieldSelector"] == "spec.nodeName="
        start = int(params.get("continue", "0"))
        if not start:
            self.lists += 1
            self.before()
        found = list(self.pods.values())
        metadata = {"continue": str(start + PAGE)} if start + PAGE < len(found) else {}
        return json.dumps({"metadata": metadata, "items": found[start : start + PAGE]}).encode()

    def gates(self) -> dict[str, list[str]]:
        return {
            name: [gate["name"] for gate in each["spec"].get("schedulingGates", ())] for name, each in self.pods.items()
        }


def ungating(server: GatedServer, time: VirtualTime) -> Ungating:
    return Ungating(server, GATE, CLASS, time.timing())


async def test_every_pod_of_every_page_is_let_go_and_others_are_left_alone(time: VirtualTime) -> None:
    server = GatedServer(
        pod("c", GATE),
        pod("a", "example.org/other", GATE),
        pod("plain"),
        pod("b", "example.org/other"),
        pod("decided", annotations={CLASS: "spot"}),
        pod("d", GATE),
    )
    seen = await ungating(server, time).look()
    assert (seen.gated, seen.decided) == (ids("a", "c", "d"), 1)
    began = time.now
    done = await ungating(server, time).release(60)
    assert (done.released, done.left, done.settled, done.decided) == (ids("a", "c", "d"), {}, True, 1)
    assert server.gates() == {
        "c": [],
        "a": ["example.org/other"],
        "plain": [],
        "b": ["example.org/other"],
        "decided": [],
        "d": [],
    }
    assert QUIET <= time.now - began < 2 * QUIET


async def test_pods_that_come_meanwhile_are_let_go_too(time: VirtualTime) -> None:
    server = GatedServer()

    def come() -> None:
        if server.lists < 40:
            server.pods[f"web-{server.lists:02d}"] = pod(f"web-{server.lists:02d}", GATE)

    server.before = come
    done = await ungating(server, time).release(600)
    assert (len(done.released), done.settled) == (39, True)
    assert not any(server.gates().values())


async def test_it_ends_in_time_though_pods_come_for_ever(time: VirtualTime) -> None:
    server, began = GatedServer(), time.now

    def come() -> None:
        server.pods[f"web-{server.lists}"] = pod(f"web-{server.lists}", GATE)

    server.before = come
    done = await ungating(server, time).release(30)
    assert not done.settled
    assert 30 <= time.now - began < 32


@pytest.mark.parametrize("status", [403, 422])
async def test_one_pod_that_cannot_be_changed_keeps_no_other(time: VirtualTime, status: int) -> None:
    server = GatedServer(pod("a", GATE), pod("b", GATE))
    server.never["a"] = ApiError("no", status=status)
    done = await ungating(server, time).release(60)
    assert (done.released, set(done.left), done.settled) == (ids("b"), set(ids("a")), True)


async def test_an_api_server_that_is_away_is_waited_for(time: VirtualTime) -> None:
    server = GatedServer(pod("a", GATE))
    server.faults = {
        "GET": [ApiError("away"), ApiError("slow down", status=429), ApiError("expired", status=410)],
        "PATCH": [ApiError("away"), ApiError("trouble", status=500)],
    }
    done = await ungating(server, time).release(60)
    assert (done.released, done.left, done.settled) == (ids("a"), {}, True)


async def test_who_may_not_list_is_told_at_once(time: VirtualTime) -> None:
    server = GatedServer(pod("a", GATE))
    server.faults = {"GET": [ApiError("may not", status=403)]}
    with pytest.raises(ApiError, match="may not"):
        await ungating(server, time).release(60)


async def test_the_webhook_is_taken_away_once(time: VirtualTime) -> None:
    server = GatedServer()
    assert await ungating(server, time).unhook("spotmix")
    assert not await ungating(server, time).unhook("spotmix")
    server.faults = {"DELETE": [ApiError("may not", status=403)]}
    with pytest.raises(ApiError, match="may not"):
        await ungating(server, time).unhook("spotmix")
