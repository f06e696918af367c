"""What `kubectl get ... -A -o json` prints of a small cluster."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

Thing = dict[str, Any]
CREATED = "2026-05-01T10:00:00Z"


class Kubectl:
    """Collects objects; `text` is the list of them."""

    def __init__(self) -> None:
        self.items: list[Thing] = []
        self._numbers = itertools.count()

    @property
    def text(self) -> str:
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": self.items})

    def add(self, kind: str, name: str, api_version: str = "apps/v1", **fields: Any) -> Thing:
        """Add an object: `owner` is another one, `labels` and `annotations` are metadata, the rest goes in as it is."""
        owner = fields.pop("owner", None)
        metadata: Thing = {
            "name": name,
            "uid": f"{kind.lower()}-{name}",
            "creationTimestamp": fields.pop("created", CREATED),
            "labels": fields.pop("labels", {}),
            "annotations": fields.pop("annotations", {}),
        }
        if kind not in ("Node", "Namespace", "PersistentVolume"):
            metadata["namespace"] = fields.pop("namespace", "shop")
        if owner is not None:
            metadata["ownerReferences"] = [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                }
            ]
        if "deleted" in fields:
            metadata["deletionTimestamp"] = fields.pop("deleted")
        thing = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
        self.items.append(thing)
        return thing

    def nodes(self, count: int, capacity_class: str, zone: str = "a", taints: Sequence[Mapping[str, str]] = ()) -> None:
        """Add nodes of 4 cores and 16 GiB."""
        for _ in range(count):
            labels = {
                "karpenter.sh/capacity-type": capacity_class,
                "node.kubernetes.io/instance-type": "m6.xlarge",
                "topology.kubernetes.io/zone": zone,
            }
            allocatable = {"cpu": "4", "memory": "16Gi", "pods": "110"}
            name = f"n{next(self._numbers)}"
            labels["kubernetes.io/hostname"] = name
            spec = {"taints": list(taints)} if taints else {}
            self.add("Node", name, "v1", labels=labels, spec=spec, status={"allocatable": allocatable})

    def pod(self, name: str, owner: Thing | None = None, node: str = "", cpu: str = "500m", **fields: Any) -> Thing:
        """Add a pod, running on a node if that is given."""
        spec: Thing = {"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]}
        status: Thing = {"phase": "Pending"}
        if node:
            spec["nodeName"] = node
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return self.add(
            "Pod", name, "v1", owner=owner, spec={**spec, **fields.pop("spec", {})}, status=status, **fields
        )

    def deployment(self, name: str, on: Sequence[str], **fields: Any) -> Thing:
        """Add a Deployment with an old and a current ReplicaSet, and a pod on each of these nodes."""
        top = self.add("Deployment", name, spec={"replicas": len(on)}, **fields)
        self.add("ReplicaSet", f"{name}-old", owner=top, spec={"replicas": 0})
        current = self.add("ReplicaSet", f"{name}-new", owner=top, spec={"replicas": len(on)})
        for number, node in enumerate(on):
            self.pod(f"{name}-{number}", current, node, labels={"app": name, "pod-template-hash": "new"})
        return top
