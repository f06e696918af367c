"""Whether what is known of the cluster is current enough to evict pods by it."""

from collections.abc import Iterable, Mapping

from extender.core.drift.actions import Freshness
from extender.kube.client import WATCH_IDLE_TIMEOUT
from extender.kube.reflector import Health
from extender.kube.resources import BUDGETS, BUILT_IN, CLAIMS, CSI_NODES, VOLUMES

STALE_AFTER = WATCH_IDLE_TIMEOUT + 10.0
"""A quiet resource has a bookmark about every minute; a watch without a byte for that long was dead (seconds)."""

REQUIRED = frozenset(resource.key for resource in (*BUILT_IN, BUDGETS))
"""Resources that everything depends on."""

OPTIONAL = frozenset((CLAIMS.key, VOLUMES.key, CSI_NODES.key))
"""Resources that may never be listed, but not be out of date: a pod whose claims are not known stays where it is."""


def freshness(health: Mapping[str, Health], now: float) -> Freshness:
    """How well the cluster is followed; arguments as `faults` takes them."""
    stale = faults(health, now)
    return Freshness(stale, current=not holds_up_all(stale))


def faults(health: Mapping[str, Health], now: float) -> dict[str, str]:
    """The resources that are not followed well, and why, by key.

    Args:
        health: of each resource.
        now: monotonic seconds.
    """
    found = ((key, fault_of(each, now)) for key, each in health.items() if each.synced or key not in OPTIONAL)
    return {key: fault for key, fault in found if fault}


def holds_up_all(stale: Iterable[str]) -> bool:
    """Whether nothing can be moved while these resources (keys) are not followed well.

    A kind of somebody else's holds up its own workloads alone.
    """
    return not (REQUIRED | OPTIONAL).isdisjoint(stale)


def fault_of(health: Health, now: float) -> str:
    """What is wrong with how a resource is followed; empty when nothing is."""
    if not health.synced:
        return f"not listed yet: {health.last_error}" if health.last_error else "not listed yet"
    if health.last_error:
        return health.last_error
    if health.last_contact is None or now - health.last_contact > STALE_AFTER:
        return f"not heard of for more than {STALE_AFTER:.0f} s"
    return ""
