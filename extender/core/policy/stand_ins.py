"""Which class may stand in for another whose nodes have no room."""

from collections.abc import Sequence

from extender.core.policy.policy import Policy


def stand_ins(policy: Policy, wanted: str) -> Sequence[str]:
    """Classes that may stand in for a class, the first to try first: those of `fallback_to`, with `any` all others."""
    if policy.when_unsatisfiable == "wait":
        return ()
    if policy.when_unsatisfiable == "fallback":
        return tuple(name for name in policy.fallback_to if name != wanted)
    return tuple(name for name in policy.seats.classes if name != wanted)


def may_run_on(policy: Policy, capacity_class: str) -> bool:
    """Say whether pods of a workload can come to run on a class: it has seats, or stands in for one that has."""
    seats = policy.seats
    return seats.seat_of(capacity_class, 1) is not None or any(
        capacity_class in stand_ins(policy, other) for other in seats.classes
    )
