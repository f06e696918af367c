"""Workloads on a sandbox, and what became of them: counted by the node a pod is bound to."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.errors import ApiError
from extender.core.scalein.costs import seat_in
from extender.kube.client import ApiClient
from extender.wire.kube_v1 import DELETION_COST
from support.patience import eventually

_EVENTS = 12
"""How many of the latest Events the text of a failure has."""
ENABLED = {"spotmix.io/enabled": "true"}
RESERVED, TIER = "reserved", "example.org/tier"
"""A class beside spot and on-demand, and the label of its nodes."""

RULES = ClassRules(extra_rules=(ClassRule(TIER, RESERVED, (RESERVED,)),))
PATHS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "ReplicationController": "/api/v1/namespaces/{}/replicationcontrollers",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
}


def policy(**keys: Any) -> dict[str, str]:
    """Annotations: `spot_percentage=70` is `spotmix.io/spot-percentage: "70"`."""
    return {f"spotmix.io/{key.replace('_', '-')}": str(value) for key, value in keys.items()}


def pod_template(labels: Mapping[str, str], cpu: str = "10m", **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "sim", "resources": {"requests": {"cpu": cpu, "memory": "16Mi"}}}
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


class Cluster:
    """One namespace of a sandbox."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    async def create_namespace(
        self, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
    ) -> None:
        metadata = {"name": self.namespace, "labels": labels or {}, "annotations": annotations or {}}
        await self.api.request("POST", "/api/v1/namespaces", body={"metadata": metadata})

    def path(self, kind: str, name: str = "") -> str:
        return PATHS[kind].format(self.namespace) + (f"/{name}" if name else "")

    async def create(
        self,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        owner: Mapping[str, Any] | None = None,
    ) -> None:
        metadata = {
            "name": name,
            "labels": ENABLED if labels is None else labels,
            "annotations": annotations or {},
            "ownerReferences": [owner] if owner else [],
        }
        await self.api.request("POST", self.path(kind), body={"metadata": metadata, "spec": spec})

    async def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.api.request("GET", self.path(kind, name)))
        return found

    async def deployment(
        self,
        name: str,
        replicas: int,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        strategy: Mapping[str, Any] | None = None,
        **pod: Any,
    ) -> None:
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template({"app": name}, **pod),
        }
        if strategy:
            spec["strategy"] = strategy
        await self.create("Deployment", name, spec, annotations, labels)

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        await self.api.request("PATCH", self.path(kind, name), body=patch, content_type="application/merge-patch+json")

    async def scale(self, kind: str, name: str, replicas: int) -> None:
        await self.patch(kind, name, {"spec": {"replicas": replicas}})

    async def annotate(self, kind: str, name: str, annotations: Mapping[str, str | None]) -> None:
        await self.patch(kind, name, {"metadata": {"annotations": annotations}})

    async def pods(self, app: str = "") -> list[dict[str, Any]]:
        """Live pods: not terminating, not ended."""
        params = {"labelSelector": f"app={app}"} if app else {}
        body = await self.api.request("GET", f"/api/v1/namespaces/{self.namespace}/pods", params=params)
        return [
            pod
            for pod in msgspec.json.decode(body)["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]

    async def nodes(self) -> list[dict[str, Any]]:
        body = await self.api.request("GET", "/api/v1/nodes")
        items: list[dict[str, Any]] = msgspec.json.decode(body)["items"]
        return items

    async def classes(self) -> dict[str, str]:
        """Node name to capacity class."""
        return {node["metadata"]["name"]: RULES.class_of(node["metadata"]["labels"]) for node in await self.nodes()}

    async def split(self, app: str, by: Callable[[dict[str, Any]], str] | None = None) -> dict[Any, int]:
        """Live pods by the class of their node; an unbound pod is `pending`. `by` makes the key (by(pod), class)."""
        classes = await self.classes()
        counts: Counter[Any] = Counter()
        for pod in await self.pods(app):
            node = pod["spec"].get("nodeName")
            where = classes.get(node, "gone") if node else "pending"
            counts[(by(pod), where) if by else where] += 1
        return dict(counts)

    async def expect(self, app: str, seconds: float = 60.0, **wanted: int) -> None:
        """Wait until the split is exactly `wanted` (`on_demand` is on-demand), and nothing else."""
        target = {key.replace("_", "-"): count for key, count in wanted.items() if count}
        try:
            await eventually(lambda: self.split(app), lambda seen: seen == target, f"{app} wants {target}", seconds)
        except AssertionError as error:
            for line in await self._what_is_amiss():
                error.add_note(line)
            raise

    async def _what_is_amiss(self) -> list[str]:
        """What live pods wait for, placeholders among them, and what Events tell, the latest last."""
        waiting = [pod for pod in await self.pods() if not is_ready(pod)]
        lines = [f"{pod['metadata']['name']}: {why_waiting(pod)}" for pod in waiting]
        body = await self.api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")
        events = sorted(json.loads(body)["items"], key=_last_seen)[-_EVENTS:]
        return [*lines, *(f"{_last_seen(each)} {each['reason']}: {each.get('note', '')}" for each in events)]

    async def ready(self, app: str, count: int, seconds: float = 60.0) -> None:
        """Wait until exactly `count` pods are live, and all of them Ready."""

        async def states() -> list[bool]:
            return [is_ready(pod) for pod in await self.pods(app)]

        await eventually(states, lambda s: len(s) == count and all(s), f"{app}: {count} ready", seconds)

    async def roll_out(self, name: str, template: Mapping[str, Any], seconds: float = 60.0) -> None:
        """Change a Deployment's pod template and wait until every replica is Ready in the new revision."""
        await self.patch("Deployment", name, {"spec": {"template": template}})

        async def deployment() -> dict[str, Any]:
            return await self.get("Deployment", name)

        def complete(found: Mapping[str, Any]) -> bool:
            status, wanted = found["status"], found["spec"]["replicas"]
            counts = [status.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas")]
            return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3

        await eventually(deployment, complete, f"{name}: the rollout is complete", seconds)

    async def seated(self, app: str, seats: Iterable[int]) -> None:
        """Wait until the deletion costs of the live pods are those of just these seats."""
        wanted = sorted(seats)

        async def held() -> list[int]:
            costs = [pod["metadata"].get("annotations", {}).get(DELETION_COST) for pod in await self.pods(app)]
            return sorted(seat_in(cost) or 0 for cost in costs)

        await eventually(held, lambda seen: seen == wanted, f"{app}: seats {wanted}")

    async def events(self, reason: str) -> list[dict[str, Any]]:
        body = await self.api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")
        return [event for event in json.loads(body)["items"] if event.get("reason") == reason]

    async def delete(self) -> None:
        """Delete the namespace, without waiting for it to be gone."""
        try:
            await self.api.request("DELETE", f"/api/v1/namespaces/{self.namespace}")
        except ApiError as error:
            if error.status != 404:
                raise


def is_ready(pod: Mapping[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def why_waiting(pod: Mapping[str, Any]) -> str:
    """What a pod waits for that is not Ready, as far as its object says."""
    spec, status = pod["spec"], pod["status"]
    where = f"on {spec['nodeName']}" if spec.get("nodeName") else f"nominated for {status.get('nominatedNodeName')}"
    gates = [gate["name"] for gate in spec.get("schedulingGates", ())]
    return f"{where}, gates {gates}, needs {spec.get('nodeSelector')}, conditions {status.get('conditions', [])}"


def _last_seen(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    at: str = series.get("lastObservedTime") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return at


def scheduled_message(pod: Mapping[str, Any]) -> str:
    """The text of a pod's PodScheduled=False condition."""
    conditions: Sequence[Mapping[str, str]] = pod["status"].get("conditions", ())
    return next(
        (c.get("message", "") for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"),
        "",
    )
