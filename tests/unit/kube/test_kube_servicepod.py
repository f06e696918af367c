"""Which pod is asked, of those that there are."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from extender.core.model.errors import ApiError, ServiceError
from extender.kube.servicepod import SELECTOR, ServicePod, find_service_pod


def make(name: str, namespace: str = "spotmix-system", **fields: Any) -> dict[str, Any]:
    """A pod that answers, but for `phase`, `ready`, `leads`, `ports` and `deletionTimestamp`."""
    ports = fields.pop("ports", {"extender": 8888, "api": 9444})
    labels = {"spotmix.io/leader": "true"} if fields.pop("leads", False) else {}
    status = {
        "phase": fields.pop("phase", "Running"),
        "conditions": [{"type": "Ready", "status": "True" if fields.pop("ready", True) else "False"}],
    }
    listed = [{"name": port, "containerPort": number} for port, number in ports.items()]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, **fields},
        "spec": {"containers": [{"name": "sidecar"}, {"name": "spotmix", "ports": listed}]},
        "status": status,
    }


class Pods:
    """An API that lists pods, where it is allowed."""

    def __init__(self, *pods: Mapping[str, Any], forbidden: tuple[str, ...] = ()) -> None:
        self._pods = pods
        self._forbidden = forbidden
        self.paths: list[str] = []

    async def request(self, method: str, path: str, *, params: Mapping[str, str] | None = None, **_: Any) -> bytes:
        assert (method, params) == ("GET", {"labelSelector": SELECTOR})
        self.paths.append(path)
        if path in self._forbidden:
            raise ApiError("403 Forbidden", status=403)
        return json.dumps({"items": [pod for pod in self._pods if self._within(pod, path)]}).encode()

    @staticmethod
    def _within(pod: Mapping[str, Any], path: str) -> bool:
        return path in ("/api/v1/pods", f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods")


async def test_the_leader_is_asked() -> None:
    pods = Pods(make("a"), make("b", leads=True))
    assert await find_service_pod(pods) == ServicePod("spotmix-system", "b", 9444, leads=True)


async def test_where_there_are_two_installations_the_usual_one_is_asked() -> None:
    pods = Pods(make("a", "else", leads=True), make("b"))
    assert str(await find_service_pod(pods)) == "pod spotmix-system/b"
    assert str(await find_service_pod(pods, "else")) == "pod else/a"
    assert pods.paths == ["/api/v1/pods", "/api/v1/namespaces/else/pods"]


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (None, "there is no Spotmix in the cluster"),
        (make("a", ready=False), "no pod of Spotmix is ready in the cluster"),
        (make("a", phase="Pending"), "no pod of Spotmix is ready in the cluster"),
        (make("a", deletionTimestamp="2026-05-01T10:00:00Z"), "no pod of Spotmix is ready in the cluster"),
        (
            make("a", ports={"metrics": 8080}),
            "no pod of Spotmix serves the API in the cluster: none has a port named api",
        ),
    ],
)
async def test_there_is_none_to_ask(pod: dict[str, Any] | None, text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await find_service_pod(Pods(*([pod] if pod else [])))
    assert str(caught.value) == text


async def test_whoever_may_not_look_everywhere_is_shown_the_usual_place() -> None:
    pods = Pods(make("a"), forbidden=("/api/v1/pods",))
    assert (await find_service_pod(pods)).name == "a"
    with pytest.raises(ServiceError, match="no Spotmix in namespace else"):
        await find_service_pod(pods, "else")
    with pytest.raises(ApiError, match="403"):
        await find_service_pod(Pods(forbidden=("/api/v1/pods", "/api/v1/namespaces/spotmix-system/pods")))


async def test_a_list_that_does_not_decode() -> None:
    class Odd(Pods):
        async def request(self, *_: Any, **__: Any) -> bytes:
            return b"[]"

    with pytest.raises(ApiError, match="does not decode"):
        await find_service_pod(Odd())
