"""What /metrics reads off the caches and the state at each scrape."""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from extender import __version__
from extender.core.answers.limits import limit_uses
from extender.core.answers.replicas import CLASSES, unnamed_classes
from extender.core.model.reasons import REJECTS, Reason
from extender.core.placement.enforcement import enforced_in_all
from extender.core.placement.gates import gate_name
from extender.core.state.records import place_of_pool
from extender.core.state.state import ClusterState
from extender.kube.reflector import Health
from extender.telemetry import catalogue as families
from extender.telemetry.readings import Reading

Values = dict[tuple[str, ...], float]

LIMIT_SERIES = 500
"""Limits that have series, the first by the names of their policies."""

_COUNTS = (
    (families.CACHE_FAILURES, "failures"),
    (families.CACHE_RELISTS, "relists"),
    (families.CACHE_REWATCHES, "rewatches"),
    (families.CACHE_EVENTS, "events"),
    (families.CACHE_UNDECODABLE, "undecodable"),
)
_NODE_SUMS = (families.ALLOCATABLE_CPU, families.REQUESTED_CPU, families.ALLOCATABLE_MEMORY, families.REQUESTED_MEMORY)


def process_readings(leads: bool, certificates: Mapping[str, float | None], longest: float = 0.0) -> Iterator[Reading]:
    """Of the process.

    Args:
        leads: whether this replica leads.
        certificates: when each serving certificate ends, in seconds since the epoch.
        longest: how long one step of work has held up the event loop of late, in seconds.
    """
    yield Reading(families.BUILD_INFO, {(__version__, platform.python_version()): 1})
    yield Reading(families.LEADER, {(): leads})
    yield Reading(families.LOOP_HELD_UP, {(): longest})
    ends: Values = {(name,): end for name, end in certificates.items() if end is not None}
    yield Reading(families.CERTIFICATE_EXPIRY, ends)


def cache_readings(health: Mapping[str, Health], now: float) -> Iterator[Reading]:
    """Of what is followed, by resource key; `now` in monotonic seconds."""
    yield Reading(families.CACHE_SYNCED, {(key,): h.synced for key, h in health.items()})
    heard: Values = {(key,): now - h.last_contact for key, h in health.items() if h.last_contact is not None}
    yield Reading(families.CACHE_STALENESS, heard)
    for family, attribute in _COUNTS:
        yield Reading(family, {(key,): getattr(h, attribute) for key, h in health.items()})


def state_readings(state: ClusterState, gated: float = 0.0) -> Iterator[Reading]:
    """Of the cluster, but for its workloads.

    Args:
        state: the cluster.
        gated: how long the pod has waited for us alone that has waited longest (seconds).
    """
    waiting: Counter[tuple[str, ...]] = Counter({(str(reason),): 0 for reason in (*REJECTS, Reason.OWNER_UNKNOWN)})
    waiting.update((str(entry.reason),) for entry in state.waiting.all())
    yield Reading(families.PODS_WAITING, waiting)
    gate = gate_name(state.workloads.rules.prefixes)
    ours = sum(record.gates == (gate,) for record in state.gated.values())
    others = sum(len(record.gates) > 1 and gate in record.gates for record in state.gated.values())
    yield Reading(families.PODS_GATED, {("spotmix",): ours, ("others",): others})
    closed: Counter[tuple[str, ...]] = Counter({(name,): 0 for name in CLASSES})
    closed.update((each.capacity_class,) for each in state.autoscaling.closures.all())
    yield Reading(families.CLASSES_CLOSED, closed)
    yield Reading(families.GATED_LONGEST, {(): gated})
    yield from _limit_readings(state)
    reserved: Counter[tuple[str, ...]] = Counter({(name,): 0 for name in CLASSES})
    reserved.update((name,) for name in state.reserved_classes())
    yield Reading(families.RESERVATIONS, reserved)
    yield Reading(families.PROVISIONAL, {(): len(state.provisional)})
    modes: Values = {(each.scheduler, each.enforcement, str(each.reason)): 1.0 for each in enforced_in_all(state)}
    yield Reading(families.ENFORCEMENT, modes)
    yield Reading(families.PODS, {(): len(state.pods)})
    yield from _node_readings(state)


def _limit_readings(state: ClusterState) -> Iterable[Reading]:
    most: Values = {}
    used: Values = {}
    reached: Values = {}
    for use in limit_uses(state)[:LIMIT_SERIES]:
        limit = use.limit
        unit = 1000.0 if limit.resource == "cpu" else 1.0
        key = (limit.policy.partition(" ")[2], limit.capacity_class, limit.resource)
        most[key], used[key], reached[key] = limit.most / unit, use.most / unit, len(use.reached)
    yield Reading(families.LIMIT_MOST, most)
    yield Reading(families.LIMIT_USED, used)
    yield Reading(families.LIMIT_REACHED, reached)


def _node_readings(state: ClusterState) -> Iterable[Reading]:
    nodes: Counter[tuple[str, ...]] = Counter({(name,): 0 for name in CLASSES})
    sums: dict[tuple[str, ...], list[float]] = {(name,): [0.0] * len(_NODE_SUMS) for name in CLASSES}
    pools: Counter[tuple[str, ...]] = Counter()
    going_away: Counter[tuple[str, ...]] = Counter()
    interruptions: Values = {}
    for lost, count in state.interruptions.counts.items():
        place = place_of_pool(lost)
        interruptions[place] = interruptions.get(place, 0) + count
    doubtful = 0
    for record in state.nodes.values():
        facts = record.facts
        if facts is None:
            continue
        doubtful += bool(facts.doubt)
        key, pool = (facts.capacity_class,), (facts.capacity_class, *record.place)
        nodes[key] += 1
        pools[pool] += 1
        going_away[pool] += bool(facts.going_away)
        if facts.interruptible:
            interruptions.setdefault(record.place, 0)
        offered = facts.allocatable
        mine = sums.setdefault(key, [0.0] * len(_NODE_SUMS))
        mine[:] = (
            mine[0] + offered.cpu / 1000,
            mine[1] + record.cpu / 1000,
            mine[2] + offered.memory,
            mine[3] + record.memory,
        )
    yield Reading(families.NODES, nodes)
    yield Reading(families.NODES_DOUBTFUL, {(): doubtful})
    yield Reading(families.NODES_UNNAMED, {(): sum(len(state.placeable[name]) for name in unnamed_classes(state))})
    for index, family in enumerate(_NODE_SUMS):
        yield Reading(family, {key: mine[index] for key, mine in sums.items()})
    yield Reading(families.POOL_NODES, pools)
    yield Reading(families.POOL_GOING_AWAY, going_away)
    yield Reading(families.POOL_INTERRUPTIONS, interruptions)
