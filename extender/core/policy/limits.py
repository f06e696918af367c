"""Limits: what the pods of a namespace may hold of a capacity class, by what they request.

They are written in ClusterPlacementPolicies, and hold in every namespace that such a policy selects, for all pods that
Spotmix places there, whichever policy speaks for their workloads.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from extender.core.model.objects import Requests
from extender.core.model.policies import PlacementPolicy
from extender.core.model.quantity import parse_quantity

PODS = "pods"
"""The resource of which each pod is one."""

_BINARY = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


class Limit(Struct, frozen=True, gc=False):
    """The most of a resource that the pods of one namespace may hold on nodes of a class.

    `most` is in millicores for cpu, else in units. `policy` is the title of the policy that says so, `uid` its UID and
    `field` where. One that is not `enforced` is only told of.
    """

    policy: str
    uid: str
    field: str
    capacity_class: str
    resource: str
    most: int
    enforced: bool = True

    def told(self, used: int, namespace: str) -> str:
        """Who limits what, and how much of it is used in a namespace, for people."""
        return f"limit of {self.policy}: {self.use(used, namespace)}"

    def use(self, used: int, namespace: str) -> str:
        """How much of it is used in a namespace, for people."""
        amounts = f"{shown(self.resource, used)} of {shown(self.resource, self.most)}"
        return f"{self.capacity_class} {self.resource} {amounts} used in namespace {namespace}"


def limits_of(policy: PlacementPolicy) -> tuple[Limit, ...]:
    """The limits of a policy; those with faults, see `limit_faults`, are left out."""
    return tuple(limit for _, limit in _read(policy) if isinstance(limit, Limit))


def limit_faults(policy: PlacementPolicy) -> Iterator[str]:
    """What is wrong with limits, as sentences that name field, value and fix."""
    return (f"{field} {fault}" for field, fault in _read(policy) if isinstance(fault, str))


def _read(policy: PlacementPolicy) -> Iterator[tuple[str, Limit | str]]:
    for index, wish in enumerate(policy.spec.limits):
        field = f"spec.limits[{index}]"
        if policy.namespace:
            yield field, "is of no use in a PlacementPolicy; write it in a ClusterPlacementPolicy"
            continue
        if not (wish.capacity_class and wish.resource):
            yield field, "names no class or no resource; write both, such as class: on-demand, resource: cpu"
            continue
        try:
            most = parse_quantity(wish.most, 1000 if wish.resource == "cpu" else 1)
        except ValueError as error:
            yield f"{field}.max", f"is no quantity: {error}"
            continue
        if most < 0:
            yield f"{field}.max", f"is {wish.most}; write a quantity of 0 or more"
            continue
        enforced = policy.spec.mode != "Audit"
        yield field, Limit(policy.title, policy.uid, field, wish.capacity_class, wish.resource, most, enforced)


def amount_of(requests: Requests, resource: str) -> int:
    """What a pod with these requests holds of a resource, in the unit of `Limit.most`."""
    if resource == "cpu":
        return requests.cpu
    if resource == "memory":
        return requests.memory
    if resource == "ephemeral-storage":
        return requests.ephemeral
    if resource == PODS:
        return 1
    return next((amount for name, amount in requests.extended if name == resource), 0)


def strictest(limits: Iterable[Limit]) -> dict[str, tuple[Limit, ...]]:
    """The limits that hold, by class: of several on one resource the one that allows least, then the first."""
    least: dict[tuple[str, str], Limit] = {}
    for limit in limits:
        key = (limit.capacity_class, limit.resource)
        if limit.enforced and (key not in least or limit.most < least[key].most):
            least[key] = limit
    found: dict[str, tuple[Limit, ...]] = {}
    for (capacity_class, _), limit in least.items():
        found[capacity_class] = (*found.get(capacity_class, ()), limit)
    return found


def shown(resource: str, amount: int) -> str:
    """An amount as people write it: `2`, `1500m`, `64Gi`."""
    if resource == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if resource in ("memory", "ephemeral-storage"):
        return next((f"{amount // unit}{name}" for name, unit in _BINARY if amount and not amount % unit), str(amount))
    return str(amount)
