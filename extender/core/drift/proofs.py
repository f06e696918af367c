"""Proof of room where no node that is there has any: a placeholder of ours runs where a replacement is to go."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct

from extender.core.drift.moves import Place, Wish
from extender.core.model.reasons import Reason, Refusal
from extender.core.state.closures import Demand
from extender.core.state.records import PodRecord

Shut = tuple[str, Demand]
"""A capacity class that cannot be had for what pods ask for."""


class Proofs(Struct, frozen=True):
    """What placeholders there are.

    `held` are those that run, on a Ready node of their class, and that nobody has taken yet. `steady` are the nodes, by
    name, on which placeholders have run: they need no dwell. `uids` are all placeholders. `asked` are the places for
    which one is asked, and `refused` says why none is asked for now.
    """

    held: Mapping[Place, tuple[PodRecord, ...]] = {}
    steady: AbstractSet[str] = frozenset()
    uids: AbstractSet[str] = frozenset()
    asked: AbstractSet[Place] = frozenset()
    refused: Mapping[Shut, Refusal] = {}

    def outlook(self, place: Place, demand: Demand) -> Refusal | None:
        """What becomes of a pod for which there is no room; None where nothing is known."""
        if place in self.asked:
            return Refusal(Reason.AWAITS_NODE)
        return self.refused.get((place[1], demand))


NO_PROOFS = Proofs()


def by_place(wishes: Iterable[Wish]) -> dict[Place, list[Wish]]:
    """Wishes by where they go to."""
    found: dict[Place, list[Wish]] = {}
    for wish in wishes:
        found.setdefault(wish.place, []).append(wish)
    return found
