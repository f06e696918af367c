"""Pods as a kubelet sees them, and the status it writes for them."""

import datetime as dt
import re
from typing import Any

from msgspec import Struct

from extender.core.model.errors import SandboxError
from extender.kube.paths import api_path

RUN_FOR = "sandbox.spotmix.io/run-for"
"""Annotation: how long the containers of a pod that is not restarted run before they succeed."""
START_AFTER = "sandbox.spotmix.io/start-after"
"""Annotation: how long this pod takes from binding to Ready, instead of the kubelet's own delay."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")

# A conformant address for every pod; nothing ever connects to it.
_POD_IP = "10.244.0.1"
_HOST_IP = "127.0.0.1"


class SandboxMetadata(Struct, rename="camel", frozen=True):
    """What of `metadata` is used. `deletion_timestamp` is non-empty once the pod is to go."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] | None = None


class SandboxContainer(Struct, frozen=True):
    """What of a container is used."""

    name: str = ""
    image: str = ""


class Spec(Struct, rename="camel", frozen=True):
    """What of `spec` is used."""

    node_name: str = ""
    restart_policy: str = "Always"
    containers: tuple[SandboxContainer, ...] = ()


class Status(Struct, rename="camel", frozen=True):
    """What of `status` is used."""

    phase: str = ""
    start_time: str | None = None


class SandboxPod(Struct, frozen=True):
    """A bound pod."""

    metadata: SandboxMetadata = SandboxMetadata()
    spec: Spec = Spec()
    status: Status = Status()

    def path(self, subresource: str | None = None) -> str:
        """Return the path of the pod in the API, or of a subresource of it."""
        namespace, name = self.metadata.namespace, self.metadata.name
        return api_path("", "v1", "pods", namespace=namespace, name=name, subresource=subresource)

    def finished(self) -> bool:
        """Whether its containers have ended for good."""
        return self.status.phase in ("Succeeded", "Failed")

    def seconds(self, annotation: str) -> float | None:
        """Return a duration annotation (`500ms`, `3s`, `1m30s`) in seconds, or None without it.

        Raises:
            SandboxError: the value is no duration.
        """
        value = (self.metadata.annotations or {}).get(annotation)
        if value is None:
            return None
        parts = _DURATION.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            where = f"pod {self.metadata.namespace}/{self.metadata.name}"
            raise SandboxError(f"{where}: annotation {annotation} is {value!r}, not a duration such as 3s or 1m30s")
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


def running(pod: SandboxPod) -> dict[str, Any]:
    """Return the merge patch that makes a bound pod Running and Ready."""
    now = _now()
    return {
        "status": {
            "phase": "Running",
            "startTime": now,
            "hostIP": _HOST_IP,
            "podIP": _POD_IP,
            "podIPs": [{"ip": _POD_IP}],
            "conditions": _conditions(now, ready=True, reason=None),
            "containerStatuses": [
                _container(each, {"running": {"startedAt": now}}, ready=True) for each in pod.spec.containers
            ],
        }
    }


def ended(pod: SandboxPod, *, exit_code: int) -> dict[str, Any]:
    """Return the merge patch that makes a pod Succeeded (exit code 0) or Failed."""
    now = _now()
    reason = "Completed" if exit_code == 0 else "Error"
    state = {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": pod.status.start_time or now,
            "finishedAt": now,
        }
    }
    return {
        "status": {
            "phase": "Succeeded" if exit_code == 0 else "Failed",
            "conditions": _conditions(now, ready=False, reason=f"SandboxPod{reason}"),
            "containerStatuses": [_container(each, state, ready=False) for each in pod.spec.containers],
        }
    }


def _conditions(now: str, *, ready: bool, reason: str | None) -> list[dict[str, Any]]:
    # A merge patch replaces the list, so the scheduler's own condition is repeated. One request, and no need
    # for the server to merge by key.
    state = "True" if ready else "False"
    told = {"reason": reason} if reason else {}
    return [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
        {"type": "Initialized", "status": "True", "lastTransitionTime": now, **told},
        {"type": "ContainersReady", "status": state, "lastTransitionTime": now, **told},
        {"type": "Ready", "status": state, "lastTransitionTime": now, **told},
    ]


def _container(container: SandboxContainer, state: dict[str, Any], *, ready: bool) -> dict[str, Any]:
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
