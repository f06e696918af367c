"""What an Event is about: a reference to an object."""

from typing import Self

from msgspec import Struct

from extender.core.model.objects import PodId
from extender.core.policy.workload import Workload
from extender.core.state.records import NodeRecord


class Regarding(Struct, frozen=True, gc=False):
    """An object that an Event is about; `namespace` is empty for a cluster-scoped one."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """A workload."""
        return cls(workload.kind, workload.api_version, workload.namespace, workload.name, workload.uid)

    @classmethod
    def pod(cls, pod: PodId) -> Self:
        """A pod."""
        return cls("Pod", "v1", pod.namespace, pod.name, pod.uid)

    @classmethod
    def node(cls, node: NodeRecord) -> Self:
        """A node."""
        return cls("Node", "v1", "", node.name, node.facts.uid if node.facts is not None else "")

    @property
    def reference(self) -> dict[str, str]:
        """A `core/v1` ObjectReference."""
        found = {
            "kind": self.kind,
            "apiVersion": self.api_version,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }
        return {name: value for name, value in found.items() if value}
