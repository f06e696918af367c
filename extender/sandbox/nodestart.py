"""What a kubelet and a network plugin do on a machine that has come by itself, as an autoscaler launches them.

Its Node becomes Ready, and taints go that were to keep pods away until then.
"""

from collections.abc import Collection
from typing import Any

from msgspec import Struct

from extender.kube.paths import api_path
from extender.sandbox.podstatus import SandboxMetadata

STARTUP_TAINTS = (
    "node.kubernetes.io/not-ready",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.cilium.io/agent-not-ready",
)
"""Keys of taints that are on new nodes of common clusters until all that they need runs."""

# Karpenter's own. It puts the pool's startup taints on the node when it takes this one away.
_UNREGISTERED = "karpenter.sh/unregistered"
_READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated"}


class _NodeTaint(Struct, frozen=True, omit_defaults=True, rename="camel"):
    key: str
    effect: str
    value: str = ""
    time_added: str = ""


class _NodeSpec(Struct, frozen=True):
    taints: tuple[_NodeTaint, ...] = ()


class _NodeCondition(Struct, frozen=True):
    type: str = ""


class _NodeStatus(Struct, frozen=True):
    conditions: tuple[_NodeCondition, ...] = ()


class SandboxNode(Struct, frozen=True):
    """What of a Node says how far it has started."""

    metadata: SandboxMetadata = SandboxMetadata()
    spec: _NodeSpec = _NodeSpec()
    status: _NodeStatus = _NodeStatus()

    def path(self, subresource: str | None = None) -> str:
        """Return the path of the node in the API, or of a subresource of it."""
        return api_path("", "v1", "nodes", name=self.metadata.name, subresource=subresource)

    def ready_patch(self) -> dict[str, Any] | None:
        """The strategic merge patch of its status that makes it Ready; None when it says already whether it is."""
        if any(condition.type == "Ready" for condition in self.status.conditions):
            return None
        return {"metadata": {"uid": self.metadata.uid}, "status": {"conditions": [_READY]}}

    def taint_patch(self, keys: Collection[str]) -> dict[str, Any] | None:
        """The merge patch that takes taints away, unless the node is changed meanwhile; None when there are none."""
        taints = self.spec.taints
        kept = [taint for taint in taints if taint.key not in keys]
        if len(kept) == len(taints) or any(taint.key == _UNREGISTERED for taint in taints):
            return None
        version = {"uid": self.metadata.uid, "resourceVersion": self.metadata.resource_version}
        return {"metadata": version, "spec": {"taints": kept}}
