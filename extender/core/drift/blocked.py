"""What keeps pods where they do not belong, as their owner is told: when it has lasted, and with what to do."""

from collections.abc import Iterable, Mapping

from extender.core.drift.moves import Stay
from extender.core.model.reasons import Reason

FIXES: Mapping[Reason, str] = {
    Reason.SINGLETON: "run two replicas, or set drift.moveSingletons",
    Reason.SIZE_UNKNOWN: "nothing: pods that come are placed right",
    Reason.CIRCUIT_OPEN: "put right what kept replacements away, then edit the policy",
    Reason.HELD_UP: "look at that pod's finalizers and its node",
    Reason.PENDING: "see what keeps it from starting",
    Reason.PROTECTED: "remove the annotation, if it is not meant",
    Reason.DRAINED: "drain the node, or uncordon it",
    Reason.NODE_NOT_READY: "look after the node",
    Reason.BUDGET: "have it allow a disruption; minAvailable equal to the replicas never does",
    Reason.BUDGET_STALE: "look at kube-controller-manager",
    Reason.UNMODELLED: "nothing: docs/reference/room.md lists what is counted",
    Reason.NO_NODE: "add nodes of that class: autoscalers add none for a pod that runs",
    Reason.NOT_ADMITTED: "tolerate the taints, loosen the selector, or ask for fewer pods on that class",
    Reason.NO_ROOM: "add nodes of that class, or make room",
    Reason.VOLUME: "add nodes of that class in the volume's zone",
    Reason.HOST_PORT: "add nodes of that class, or do without the host port",
    Reason.AFFINITY: "add nodes of that class in further domains, or make the terms preferred ones",
    Reason.SPREAD: "add nodes of that class in the emptier domains, or raise maxSkew",
    Reason.STAY_POOL_FULL: "add nodes of another instance type or zone, or raise max-per-pool",
    Reason.STAY_LIMIT_REACHED: "raise that limit, or scale something down that holds the class",
    Reason.PLACEHOLDER_REFUSED: "see the autoscaler's Events and limits; it is asked again, later each time",
    Reason.PLACEHOLDER_DENIED: "let Spotmix make pods of its PriorityClass in its namespace, within quotas",
    Reason.REFUSED: "put right what it says",
}
"""What a person does about a reason to stay that does not pass by itself."""

PASSING = frozenset(
    (
        *(Reason.STALE, Reason.MEMORY, Reason.NODES_NOT_READY, Reason.CLUSTER_BUDGET, Reason.NO_SEAT),
        *(Reason.RUNS_TO_COMPLETION, Reason.ROLLOUT, Reason.UNAVAILABLE, Reason.IN_FLIGHT, Reason.WINDOW),
        *(Reason.HOURLY_BUDGET, Reason.BACK_OFF, Reason.YOUNG, Reason.DWELL, Reason.LATER, Reason.AWAITS_NODE),
    )
)
"""Reasons that pass by themselves: no news before they have lasted `LASTING` times as long as others."""

LASTING = 6.0

TOLD_AT_ONCE = frozenset((Reason.POLICY_FAULT, Reason.FAULT, Reason.BUDGETS, Reason.PROTECTION_MALFORMED))
"""Reasons that have an Event of their own."""


def most_telling(stays: Iterable[Stay]) -> Stay | None:
    """The stay to tell of: one that a person can do something about, else one that passes; None of those told anyway.

    Among equals the first in the order of `Reason`, so that it is the same at every look.
    """
    told = [stay for stay in stays if stay.reason not in TOLD_AT_ONCE]
    return min(told, key=lambda stay: (stay.reason in PASSING, _ORDER[stay.reason], stay.detail), default=None)


def text_of(stay: Stay) -> str:
    """What its owner is told."""
    where = (
        f"A pod on {stay.source} belongs on {stay.destination} and is not moved"
        if stay.destination
        else f"A pod on {stay.source} is one too many there and is not moved"
    )
    detail = f" ({stay.detail})" if stay.detail else ""
    fix = FIXES.get(stay.reason, "nothing, unless it lasts: `spotmix drift plan` shows how it stands")
    return f"{where}: {stay.reason.text}{detail}; {fix}"


_ORDER = {reason: number for number, reason in enumerate(Reason)}
