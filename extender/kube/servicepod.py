"""Finds the pod of a running Spotmix that its API can be asked at: by labels, so wherever it is installed."""

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError, ServiceError
from extender.kube.ownpod import LEADER_LABEL
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi

SELECTOR = "app.kubernetes.io/part-of=spotmix,app.kubernetes.io/component=server"
HOME = "spotmix-system"
"""Where Spotmix is installed unless somebody chose otherwise."""

PORT = "api"
"""Name of the API's port in the pod."""


class ServicePod(Struct, frozen=True):
    """A pod that answers.

    Attributes:
        namespace: of the pod.
        name: of the pod.
        port: its API listens on.
        leads: whether its label says that it makes the decisions.
    """

    namespace: str
    name: str
    port: int
    leads: bool

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.name}"


class _Metadata(Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    labels: dict[str, str] = {}
    deletion_timestamp: str | None = None


class _Port(Struct, frozen=True, rename="camel"):
    container_port: int
    name: str = ""


class _Container(Struct, frozen=True):
    ports: list[_Port] | None = None


class _Spec(Struct, frozen=True):
    containers: list[_Container] = []


class _Condition(Struct, frozen=True):
    type: str
    status: str


class _Status(Struct, frozen=True):
    phase: str = ""
    conditions: list[_Condition] | None = None


class _Pod(Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def runs(self) -> bool:
        ready = any(each.type == "Ready" and each.status == "True" for each in self.status.conditions or ())
        return ready and self.status.phase == "Running" and self.metadata.deletion_timestamp is None

    @property
    def port(self) -> int:
        """0 where the API is not served."""
        ports = (port for container in self.spec.containers for port in container.ports or ())
        return next((port.container_port for port in ports if port.name == PORT), 0)

    @property
    def leads(self) -> bool:
        return self.metadata.labels.get(LEADER_LABEL) == "true"


class _Pods(Struct, frozen=True):
    items: list[_Pod] | None = None


async def find_service_pod(api: KubeApi, namespace: str = "") -> ServicePod:
    """The pod to ask: ready, the leader if there is one.

    Args:
        api: the API client.
        namespace: the only one to look in; empty for all, `HOME` first.

    Raises:
        ServiceError: there is none; the text says what there is.
        ApiError: pods may not be listed, or the API server is away.
    """
    pods = await _list(api, namespace)
    where = f"in namespace {namespace}" if namespace else "in the cluster"
    if not pods:
        raise ServiceError(f"there is no Spotmix {where}")
    running = [pod for pod in pods if pod.runs]
    if not running:
        raise ServiceError(f"no pod of Spotmix is ready {where}")
    serving = [pod for pod in running if pod.port]
    if not serving:
        raise ServiceError(f"no pod of Spotmix serves the API {where}: none has a port named {PORT}")
    chosen = min(serving, key=lambda pod: (pod.metadata.namespace != HOME, not pod.leads, pod.metadata.name))
    return ServicePod(chosen.metadata.namespace, chosen.metadata.name, chosen.port, chosen.leads)


async def _list(api: KubeApi, namespace: str) -> list[_Pod]:
    try:
        return await _list_in(api, namespace)
    except ApiError as error:
        if error.status != 403 or namespace:
            raise
        # Whoever may not list pods everywhere may yet do so where Spotmix usually is.
        return await _list_in(api, HOME)


async def _list_in(api: KubeApi, namespace: str) -> list[_Pod]:
    path = api_path("", "v1", "pods", namespace=namespace or None)
    body = await api.request("GET", path, params={"labelSelector": SELECTOR})
    try:
        return msgspec.json.decode(body, type=_Pods).items or []
    except msgspec.DecodeError as error:
        raise ApiError(f"GET {path}: the list of pods does not decode: {error}", reason="Decode") from error
