"""What /metrics reads off the state at each scrape."""

from collections.abc import Iterable, Mapping

from extender.core.reasons import OF_DECISIONS
from extender.core.state import ClusterState
from extender.kube.informers import ClusterFeed
from extender.telemetry.metrics import Reading


def readings(
    feed: ClusterFeed, state: ClusterState, leads: bool, certificates: Mapping[str, float | None], now: float
) -> Iterable[Reading]:
    """Gauges of the caches and the state.

    Args:
        feed: what is followed.
        state: the cluster.
        leads: whether this replica leads.
        certificates: when each serving certificate ends, in seconds since the epoch.
        now: monotonic seconds.
    """
    yield "spotmix_leader", "1 while this replica holds the lease, or needs none", (), {(): float(leads)}
    yield (
        "spotmix_certificate_expiry_timestamp_seconds",
        "When the serving certificate ends, in seconds since the epoch",
        ("certificate",),
        {(name,): end for name, end in certificates.items() if end is not None},
    )
    health = feed.health()
    resource = ("resource",)
    yield (
        "spotmix_cache_synced",
        "1 when the resource has been listed",
        resource,
        {(key,): float(h.synced) for key, h in health.items()},
    )
    yield (
        "spotmix_cache_staleness_seconds",
        "Seconds since the resource was last heard of",
        resource,
        {(key,): now - h.last_contact for key, h in health.items() if h.last_contact is not None},
    )
    for name, text in (
        ("failures", "Failed lists and watches"),
        ("relists", "Lists after the first one"),
        ("events", "Objects taken from lists and watches"),
        ("undecodable", "Objects that did not decode"),
    ):
        yield (
            f"spotmix_cache_{name}",
            text,
            resource,
            {(key,): getattr(h, name) for key, h in health.items()},
        )
    waiting: dict[tuple[str, ...], float] = {
        (str(r),): 0.0 for r in OF_DECISIONS if r.name.startswith(("WAIT", "POOL"))
    }
    for entry in state.waiting.all():
        waiting[(str(entry.reason),)] = waiting.get((str(entry.reason),), 0.0) + 1
    yield "spotmix_pods_waiting", "Pods that filter rejected and that wait", ("reason",), waiting
    yield (
        "spotmix_reservations",
        "Seats held for pods not seen bound yet",
        (),
        {(): float(state.reserved)},
    )
    yield (
        "spotmix_workloads",
        "Workloads under a policy",
        (),
        {(): float(len(state.workloads.by_uid))},
    )
    yield "spotmix_pods", "Pods known", (), {(): float(len(state.pods))}
    yield (
        "spotmix_nodes_placeable",
        "Nodes that are not going away",
        ("capacity_class",),
        {(name,): float(len(nodes)) for name, nodes in state.placeable.items()},
    )
