"""Pods too many of a class, and the seats that want one."""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.policy.seats import Seats, filled_up
from extender.core.state.records import PodRecord


class Excess(Struct, frozen=True, eq=False):
    """`count` of `pods`, which are all of class `source`, are too many; a StatefulSet's pod is one of its own.

    `destination` is the class that a pod's ordinal asks for, or a floor, empty where the drift's `wanting` says.
    """

    source: str
    pods: tuple[PodRecord, ...]
    count: int
    destination: str = ""


def destinations(wanting: Mapping[str, int], excess: Excess) -> list[str]:
    """The classes that want a pod of an excess, the one that wants most first; `wanting` is by class."""
    if excess.destination:
        return [excess.destination]
    names = [name for name, count in wanting.items() if count > 0]
    return sorted(names, key=lambda name: (-wanting[name], name))


def wanting_of(
    seats: Seats, target: Mapping[str, int], seated: Mapping[str, int], reserved: Mapping[str, int], replicas: int
) -> dict[str, int]:
    """The seats left over for moves: what is reserved is on its way, and replicas still missing fill the first seats
    that are free.
    """
    held = dict(seated)
    for name, count in reserved.items():
        held[name] = held.get(name, 0) + count
    held = filled_up(seats, held, replicas, replicas - sum(held.values()))
    return {name: count - held.get(name, 0) for name, count in target.items() if count > held.get(name, 0)}
