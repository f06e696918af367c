"""What pods ask of nodes and what nodes offer: quantities as partial Structs, and as the core's `Requests`.

Quantities may be numbers: the API server's own output never has any, what passes through other people's hands may.
"""

from msgspec import Raw, Struct
from msgspec.json import Decoder

from extender.core.model.objects import Requests
from extender.core.model.quantity import parse_quantity
from extender.wire.interning import Interned

Quantities = dict[str, str | int | float]
_ABSENT = Raw()
_NONE = Requests()
_ZERO: dict[str, int] = {}


class Resources(Struct, frozen=True, gc=False):
    """`resources`."""

    requests: Quantities | None = None


class ContainerPort(
    Struct,
    frozen=True,
    gc=False,
    rename={"host_port": "hostPort", "container_port": "containerPort", "host_ip": "hostIP"},
):
    """`ports[]` of a container."""

    host_port: int | None = None
    container_port: int = 0
    protocol: str | None = None
    host_ip: str | None = None


class Container(Struct, frozen=True, rename="camel", gc=False):
    """A container or init container. Its `resources` stay raw: many pods have the same."""

    resources: Raw = _ABSENT
    restart_policy: str | None = None
    ports: list[ContainerPort] | None = None

    @property
    def sidecar(self) -> bool:
        """Whether an init container of this kind runs on beside the containers (KEP-753)."""
        return self.restart_policy == "Always"


class PodSpec(Struct, frozen=True, rename="camel", gc=False):
    """What a pod asks for. `resources` at pod level override the sum of its containers (KEP-2837)."""

    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    overhead: Raw = _ABSENT
    resources: Raw = _ABSENT


_Asked = tuple[bytes, ...]
"""The `resources` of each container."""

_Key = _Asked | tuple[_Asked, tuple[tuple[bytes, bool], ...], bytes, bytes]
"""Those of a pod that has nothing else; else containers, init containers (which are sidecars), overhead, pod level."""

_resources = Decoder(Resources | None)
_quantities = Decoder(Quantities | None)
_of_pods: Interned[_Key, Requests] = Interned()
_equal: Interned[Requests, Requests] = Interned(10_000)


def pod_requests(spec: PodSpec) -> Requests:
    """What a pod asks for, as the scheduler counts it; equal requests are one object.

    It is worked out once for all pods that say it in the same bytes.

    Raises:
        ValueError: a quantity is none.
    """
    containers = tuple([bytes(container.resources) for container in spec.containers or ()])
    inits, overhead, own = spec.init_containers, spec.overhead, spec.resources
    if not inits and overhead is own is _ABSENT:
        # Most pods.
        return _of_pods.get(containers) or _of_pods.put(containers, _sum(containers, (), b"", b""))
    befores = tuple((bytes(container.resources), container.sidecar) for container in inits or ())
    parts = (containers, befores, bytes(overhead), bytes(own))
    return _of_pods.get(parts) or _of_pods.put(parts, _sum(*parts))


def _sum(containers: _Asked, inits: tuple[tuple[bytes, bool], ...], overhead: bytes, own: bytes) -> Requests:
    """The greater of the sum of containers and sidecars, and of each init container with the sidecars started before
    it, plus overhead; pod-level requests override.

    Source: `k8s.io/component-helpers/resource/helpers.go`, `PodRequests`.
    """
    total: dict[str, int] = {}
    for resources in containers:
        _add(total, _asked(resources))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for resources, sidecar in inits:
        asked = _asked(resources)
        if sidecar:
            _add(total, asked)
            _add(sidecars, asked)
            moment = dict(sidecars)
        else:
            moment = dict(sidecars)
            _add(moment, asked)
        for name, amount in moment.items():
            peak[name] = max(peak.get(name, 0), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, 0), amount)
    total.update(_asked(own))
    _add(total, amounts(_quantities.decode(overhead) if overhead else None))
    return to_requests(total)


def _asked(raw: bytes) -> dict[str, int]:
    """The `requests` of a `resources`."""
    resources = _resources.decode(raw) if raw else None
    return amounts(resources.requests) if resources is not None else _ZERO


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def amounts(quantities: Quantities | None) -> dict[str, int]:
    """Resource name to amount: millicores for cpu, else units.

    Raises:
        ValueError: a quantity is none.
    """
    if not quantities:
        return _ZERO
    return {name: parse_quantity(str(q), 1000 if name == "cpu" else 1) for name, q in quantities.items()}


def to_requests(total: dict[str, int]) -> Requests:
    """Amounts as `Requests`; equal ones are one object: a cluster's pods ask for few different things."""
    if not total:
        return _NONE
    extended = tuple(
        sorted(
            (name, amount)
            for name, amount in total.items()
            if name not in ("cpu", "memory", "ephemeral-storage", "pods") and amount
        )
    )
    requests = Requests(total.get("cpu", 0), total.get("memory", 0), total.get("ephemeral-storage", 0), extended)
    return _equal.get(requests) or _equal.put(requests, requests)
