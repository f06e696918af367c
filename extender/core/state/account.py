"""The limits of one namespace, what its pods hold of each capacity class, and which of them wait until that is less."""

from collections.abc import Iterable, Mapping
from itertools import islice

from msgspec import Struct

from extender.core.model.objects import Requests
from extender.core.policy.limits import Limit, amount_of, strictest
from extender.core.state.records import PodRecord
from extender.core.state.waiting import Waiting

LOOKED = 200
"""Waiting pods of a namespace that are looked at in one go, when it may hold more again."""

_NOTHING: Mapping[tuple[str, str], int] = {}


class Holding(Struct, frozen=True, gc=False):
    """What one pod holds."""

    capacity_class: str
    requests: Requests


class Account:
    """The limits of one namespace, and what is held there.

    Args:
        limits: all that there are, of several policies.

    Attributes:
        limits: as given.
        holdings: by pod, which is a UID or a key for one that is to come (`records.replacing`).
        line: the pods that wait until they may hold more, by UID; who was tried of late comes last.
    """

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self.holdings: dict[str, Holding] = {}
        self.line: dict[str, Waiting] = {}
        self._strictest = strictest(limits)
        self._used: dict[tuple[str, str], int] = {(each.capacity_class, each.resource): 0 for each in limits}
        self._promised: dict[str, Holding] = {}
        self._owed = dict.fromkeys(self._used, 0)

    def used(self, limit: Limit) -> int:
        """How much is held of what a limit of the namespace is about."""
        return self._used[limit.capacity_class, limit.resource]

    def is_reached(self, limit: Limit) -> bool:
        """Whether nothing is left of what a limit of the namespace allows, or too little for a pod that waits."""
        if self.used(limit) >= limit.most:
            return True
        return limit in self.limited(limit.capacity_class) and any(
            limit.capacity_class in waiting.limited for waiting in self.line.values()
        )

    def limited(self, capacity_class: str) -> tuple[Limit, ...]:
        """The limits that hold for a class."""
        return self._strictest.get(capacity_class, ())

    def hold(self, pod: str, holding: Holding | None) -> bool:
        """A pod holds this from now on, None for nothing; say whether that is less of something than before."""
        old = self.holdings.get(pod)
        if old == holding:
            return False
        if old is not None:
            self._add(self._used, old, -1)
            del self.holdings[pod]
        if holding is not None:
            self._add(self._used, holding, +1)
            self.holdings[pod] = holding
        return old is not None

    @staticmethod
    def _add(sums: dict[tuple[str, str], int], holding: Holding, sign: int) -> None:
        for capacity_class, resource in sums:
            if capacity_class == holding.capacity_class:
                sums[capacity_class, resource] += sign * amount_of(holding.requests, resource)

    def reached(
        self,
        capacity_class: str,
        requests: Requests,
        own: Iterable[str] = (),
        more: Mapping[tuple[str, str], int] = _NOTHING,
    ) -> Limit | None:
        """The limit that keeps a pod with these requests from a class; None where it may go there.

        Args:
            capacity_class: the class.
            requests: of the pod. It is kept from nothing of which it requests none.
            own: pods, as of `holdings`, in whose place it would hold that.
            more: what is held beside, by class and resource.
        """
        for limit in self._strictest.get(capacity_class, ()):
            asked = amount_of(requests, limit.resource)
            if not asked:
                continue
            key = (capacity_class, limit.resource)
            held = self._used[key] + self._owed[key] + more.get(key, 0)
            for each in own:
                held -= sum(
                    amount_of(mine.requests, limit.resource)
                    for mine in (self.holdings.get(each), self._promised.get(each))
                    if mine is not None and mine.capacity_class == capacity_class
                )
            if held + asked > limit.most:
                return limit
        return None

    def admissible(self, pods: Mapping[str, PodRecord]) -> list[Waiting]:
        """The waiting pods that there is enough for by now, one beside the other.

        It is promised to them, and they go to the end of the line: whoever is tried again comes later than a pod that
        is new, which would take it.

        Args:
            pods: all pods, by UID.
        """
        found: list[Waiting] = []
        for waiting in list(islice(self.line.values(), LOOKED)):
            record = pods.get(waiting.pod)
            for name in waiting.limited if record is not None and waiting.pod not in self._promised else ():
                if record is not None and self.reached(name, record.requests) is None:
                    self.promise(waiting.pod, Holding(name, record.requests))
                    found.append(waiting)
                    self.line[waiting.pod] = self.line.pop(waiting.pod)
                    break
        return found

    def promise(self, pod: str, holding: Holding | None) -> bool:
        """Keep this for a pod that is tried again, None for nothing any more; say whether that frees something."""
        old = self._promised.pop(pod, None)
        if old is not None:
            self._add(self._owed, old, -1)
        if holding is not None:
            self._promised[pod] = holding
            self._add(self._owed, holding, +1)
        return old is not None

    def forget_promises(self) -> None:
        """Who has not come back by now waits for something else."""
        self._promised.clear()
        self._owed = dict.fromkeys(self._used, 0)

    def take(self, taken: dict[tuple[str, str], int], capacity_class: str, requests: Requests) -> None:
        """Add what a pod would hold of a class to what others would, by class and resource."""
        for limit in self.limited(capacity_class):
            key = (capacity_class, limit.resource)
            taken[key] = taken.get(key, 0) + amount_of(requests, limit.resource)
