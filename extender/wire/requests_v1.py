"""What pods ask of nodes and what nodes offer: quantities as partial Structs, and as the core's `Requests`.

Quantities may be numbers: the API server's own output never has any, what passes through other people's hands may.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import Protocol

from msgspec import Raw, Struct
from msgspec.json import Decoder

from extender.core.model.objects import Requests
from extender.core.model.quantity import parse_quantity
from extender.wire.interning import Interned

Quantities = dict[str, str | int | float]
ABSENT = Raw()
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

    name: str = ""
    ports: list[ContainerPort] | None = None
    resources: Raw = ABSENT
    restart_policy: str | None = None
    restart_policy_rules: Raw = ABSENT

    @property
    def sidecar(self) -> bool:
        """Whether an init container of this kind runs on beside the containers (KEP-753)."""
        return self.restart_policy == "Always"


class PodSpec(Struct, frozen=True, rename="camel", gc=False):
    """What a pod asks for: it is `Asks`."""

    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    overhead: Raw = ABSENT
    resources: Raw = ABSENT


class ContainerStatus(Struct, frozen=True, rename="camel", gc=False):
    """What a container has, and was promised: while it is resized that may be more than it asks for (KEP-1287)."""

    name: str = ""
    allocated_resources: Raw = ABSENT
    resources: Raw = ABSENT


class Asks(Protocol):
    """`spec` of a pod, as far as it tells of requests."""

    @property
    def containers(self) -> list[Container] | None:
        """They run at the same time."""
        ...

    @property
    def init_containers(self) -> list[Container] | None:
        """They run before, one after the other, but for sidecars."""
        ...

    @property
    def overhead(self) -> Raw:
        """What the pod takes beside."""
        ...

    @property
    def resources(self) -> Raw:
        """What the pod as a whole asks for: it overrides the sum of its containers (KEP-2837)."""
        ...


class Holds(Protocol):
    """`status` of a pod, as far as it tells what it has and was promised."""

    @property
    def container_statuses(self) -> list[ContainerStatus] | None:
        """Of its containers."""
        ...

    @property
    def init_container_statuses(self) -> list[ContainerStatus] | None:
        """Of its init containers."""
        ...

    @property
    def resources(self) -> Raw:
        """What the pod as a whole has."""
        ...

    @property
    def allocated_resources(self) -> Raw:
        """What the pod as a whole was promised."""
        ...


_Asked = tuple[bytes, ...]
"""The `resources` of each container."""

_Key = tuple[object, ...]
"""Those of a pod that has nothing else; else all that goes into the sum."""

_Given = tuple[bytes, bytes]
"""What is had, as `resources`, and what was promised, as quantities."""
_NOTHING: _Given = (b"", b"")

_resources = Decoder(Resources | None)
_quantities = Decoder(Quantities | None)
_of_pods: Interned[_Key, Requests] = Interned()
_of_running: Interned[_Key, Requests] = Interned()
_equal: Interned[Requests, Requests] = Interned(10_000)


def pod_requests(spec: Asks) -> Requests:
    """What a pod asks for, as the scheduler counts it; equal requests are one object.

    It is worked out once for all pods that say it in the same bytes.

    Raises:
        ValueError: a quantity is none.
    """
    inits, overhead, own = spec.init_containers, spec.overhead, spec.resources
    containers = tuple([bytes(container.resources) for container in spec.containers or ()])
    if not inits and overhead is own is ABSENT:
        # Most pods.
        return _of_pods.get(containers) or _of_pods.put(containers, _sum(containers, (), b"", b""))
    befores = tuple((bytes(container.resources), container.sidecar) for container in inits or ())
    parts = (containers, befores, bytes(overhead), bytes(own))
    return _of_pods.get(parts) or _of_pods.put(parts, _sum(*parts))


def running_requests(spec: Asks, held: Holds, *, infeasible: bool) -> Requests:
    """What a pod takes of its node at the most, as the scheduler counts it: asked for, had or promised.

    Schedulers differ while a pod is resized: up to 1.36 containers are counted one by one, and of init containers
    sidecars alone by what they have; from 1.37 on all of them, and the greatest of three sums. This is never less than
    either, and what each says of a pod that is not being resized.

    Args:
        spec: what it asks for.
        held: what it has.
        infeasible: its node cannot ever give it what it asks for by now, so that this does not count.

    Raises:
        ValueError: a quantity is none.
    """
    statuses, containers = held.container_statuses, spec.containers
    if not statuses or not containers:
        return pod_requests(spec)
    inits, overhead, own = spec.init_containers, spec.overhead, spec.resources
    whole = (bytes(held.resources), bytes(held.allocated_resources)) if held.resources is not ABSENT else _NOTHING
    if len(statuses) == len(containers) == 1 and not inits and overhead is own is ABSENT:
        # Most pods.
        resources, allocated = statuses[0].resources, statuses[0].allocated_resources
        if resources is allocated is ABSENT and whole is _NOTHING:
            return pod_requests(spec)
        asked, given = bytes(containers[0].resources), (bytes(resources), bytes(allocated))
        key = (asked, *given, *whole, infeasible)
        return _of_running.get(key) or _of_running.put(
            key, _sum((asked,), (), b"", b"", _Resize((given,), (), whole, infeasible=infeasible))
        )
    if _says_nothing(statuses) and _says_nothing(held.init_container_statuses or ()) and whole is _NOTHING:
        return pod_requests(spec)
    by_name = {each.name: _given(each) for each in (*statuses, *(held.init_container_statuses or ()))}
    befores = tuple((bytes(container.resources), container.sidecar) for container in inits or ())
    resize = _Resize(
        tuple(by_name.get(container.name, _NOTHING) for container in containers),
        tuple(by_name.get(each.name, _NOTHING) for each in inits or ()),
        whole,
        infeasible=infeasible,
    )
    parts = (tuple(bytes(each.resources) for each in containers), befores, bytes(overhead), bytes(own), resize)
    return _of_running.get(parts) or _of_running.put(parts, _sum(*parts))


def _says_nothing(statuses: Sequence[ContainerStatus]) -> bool:
    """Whether no container says what it has or was promised."""
    return all([each.resources is each.allocated_resources is ABSENT for each in statuses])  # noqa: C419 - faster


def _given(status: ContainerStatus) -> _Given:
    return bytes(status.resources), bytes(status.allocated_resources)


class _Resize(Struct, frozen=True, gc=False):
    """What containers, init containers and the pod as a whole have and were promised."""

    containers: tuple[_Given, ...] = ()
    inits: tuple[_Given, ...] = ()
    pod: _Given = _NOTHING
    infeasible: bool = False

    def effective(self, asked: dict[str, int], given: _Given) -> dict[str, int]:
        """The most of what is asked for, had and promised; nobody gives more once it is infeasible."""
        if given == _NOTHING:
            return asked
        greatest = {} if self.infeasible and given[0] else dict(asked)
        for more in (_asked(given[0]), amounts(_quantities.decode(given[1]) if given[1] else None)):
            for name, amount in more.items():
                greatest[name] = max(greatest.get(name, 0), amount)
        return greatest


_AS_ASKED = _Resize()


def _sum(
    containers: _Asked,
    inits: tuple[tuple[bytes, bool], ...],
    overhead: bytes,
    own: bytes,
    resize: _Resize = _AS_ASKED,
) -> Requests:
    """The greater of the sum of containers and sidecars, and of each init container with the sidecars started before
    it, plus overhead; pod-level requests override.

    Source: `k8s.io/component-helpers/resource/helpers.go`, `PodRequests`.
    """
    total: dict[str, int] = {}
    for resources, given in zip(containers, resize.containers or repeat(_NOTHING), strict=False):
        _add(total, resize.effective(_asked(resources), given))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for (resources, sidecar), given in zip(inits, resize.inits or repeat(_NOTHING), strict=False):
        asked = resize.effective(_asked(resources), given)
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
    asked = {name: amount for name, amount in _asked(own).items() if _of_whole_pods(name)}
    if asked:
        effective = resize.effective(asked, resize.pod)
        total.update({name: effective.get(name, 0) for name in asked})
    elif resize.pod != _NOTHING:
        # Kubelets of 1.37 sum up what the containers have and were promised.
        more = resize.effective(_ZERO, resize.pod)
        total.update({name: max(total.get(name, 0), amount) for name, amount in more.items() if _of_whole_pods(name)})
    _add(total, amounts(_quantities.decode(overhead) if overhead else None))
    return to_requests(total)


def _of_whole_pods(name: str) -> bool:
    """Whether a pod as a whole may ask for it (`IsSupportedPodLevelResource`)."""
    return name in ("cpu", "memory") or name.startswith("hugepages-")


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


def to_requests(total: dict[str, int], *, zeros: bool = False) -> Requests:
    """Amounts as `Requests`; equal ones are one object: a cluster's pods ask for few different things.

    With `zeros` those are kept of which there is nothing: a node that has none left of a resource has had some.
    """
    if not total:
        return _NONE
    extended = tuple(
        sorted(
            (name, amount)
            for name, amount in total.items()
            if name not in ("cpu", "memory", "ephemeral-storage", "pods") and (amount or zeros)
        )
    )
    requests = Requests(total.get("cpu", 0), total.get("memory", 0), total.get("ephemeral-storage", 0), extended)
    return _equal.get(requests) or _equal.put(requests, requests)
