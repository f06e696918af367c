"""How many replicas of each class a controller of pods is to have."""

from collections.abc import Mapping

from extender.core.model.objects import Owner
from extender.core.policy.seats import Seats, first_unfilled


def target_of(
    seats: Seats, owner: Owner, filled: Mapping[str, int], coming: Mapping[str, int] | None = None
) -> Mapping[str, int]:
    """The seats of each class.

    A Job in its tail makes no pods in place of those that end well, so that those left are where they are to be. Where
    nobody says how many pods there should be, there are to be as many as there are.

    Args:
        seats: of the policy.
        owner: the controller.
        filled: the pods that hold a seat, by class.
        coming: of a controller whose pods are where they are to be, wherever they are (`Managed.settled`): the seats
            held for others, by class.
    """
    if not owner.tail and coming is None:
        return seats.target(sum(filled.values()) if owner.replicas is None else owner.replicas)
    held = coming or {}
    target = {name: filled.get(name, 0) + held.get(name, 0) for name in (*seats.classes, *filled, *held)}
    for _ in range((owner.replicas or 0) - sum(target.values())):
        _, name = first_unfilled(seats, target, owner.replicas)
        target[name] += 1
    return target
