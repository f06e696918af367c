"""What the drift loop asks beside nodes, pods and owners: disruption budgets, volumes, and pods by their labels."""

from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from extender.core.model.objects import AttachLimits, Budget, Claim, Volume
from extender.core.state.records import PodLabels, PodRecord

K = TypeVar("K")
V = TypeVar("V", Claim, Volume, AttachLimits)
Pair = tuple[str, str]


class Index(Generic[K, V]):
    """Objects by key, taken off by UID."""

    def __init__(self) -> None:
        self.by_key: dict[K, V] = {}
        self._keys: dict[str, K] = {}

    def put(self, key: K, thing: V) -> None:
        """Add an object, or replace the one of this key."""
        old = self.by_key.get(key)
        if old is not None and old.uid != thing.uid:
            del self._keys[old.uid]
        self.by_key[key] = thing
        self._keys[thing.uid] = key

    def remove(self, uid: str) -> None:
        """Remove an object, if it is there."""
        key = self._keys.pop(uid, None)
        if key is not None:
            del self.by_key[key]

    def uids(self) -> list[str]:
        """The UIDs of all objects."""
        return list(self._keys)


class _Place(Struct, frozen=True, gc=False):
    """Where a budget is kept: its namespace, and the label that its pods have for certain, if one."""

    budget: Budget
    pair: Pair | None


class BudgetIndex:
    """PodDisruptionBudgets, found by a label of the pods they select: a namespace may have thousands."""

    def __init__(self) -> None:
        self._by_uid: dict[str, _Place] = {}
        self._by_pair: dict[str, dict[Pair | None, dict[str, Budget]]] = {}

    def put(self, budget: Budget) -> None:
        """Add a budget, or replace it."""
        old = self._by_uid.get(budget.uid)
        if old is not None and old.budget.selector == budget.selector:
            pair = old.pair
        else:
            self.remove(budget.uid)
            pair = self._choose(budget)
        self._by_uid[budget.uid] = _Place(budget, pair)
        self._by_pair.setdefault(budget.namespace, {}).setdefault(pair, {})[budget.uid] = budget

    def _choose(self, budget: Budget) -> Pair | None:
        """The label that the fewest other budgets are found by."""
        if budget.selector is None or not budget.selector.labels:
            return None
        shelves = self._by_pair.get(budget.namespace, {})
        return min(budget.selector.labels, key=lambda pair: len(shelves.get(pair, ())))

    def remove(self, uid: str) -> None:
        """Remove a budget, if it is there."""
        place = self._by_uid.pop(uid, None)
        if place is None:
            return
        shelves = self._by_pair[place.budget.namespace]
        del shelves[place.pair][uid]
        if not shelves[place.pair]:
            del shelves[place.pair]
            if not shelves:
                del self._by_pair[place.budget.namespace]

    def uids(self) -> list[str]:
        """The UIDs of all budgets."""
        return list(self._by_uid)

    def of(self, namespace: str, labels: Mapping[str, str]) -> list[Budget]:
        """The budgets that select pods with these labels, by name.

        A null selector selects none, an empty one all (`getPodDisruptionBudgets` in
        `pkg/registry/core/pod/storage/eviction.go`).
        """
        shelves = self._by_pair.get(namespace)
        if shelves is None:
            return []
        found = [
            budget
            for pair in (None, *labels.items())
            for budget in shelves.get(pair, _NO_BUDGETS).values()
            if budget.selector is not None and budget.selector.matches(labels)
        ]
        return sorted(found, key=lambda budget: budget.name) if len(found) > 1 else found


_NO_BUDGETS: dict[str, Budget] = {}


class PodsByLabels:
    """Pods by namespace and labels.

    Labels that are one object make one group. Equal labels that are not may make several: each is right for itself.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[int, PodLabels]] = {}

    def of(self, namespace: str) -> Collection[PodLabels]:
        """The groups of a namespace."""
        return self._groups.get(namespace, _NO_GROUPS).values()

    def move(self, record: PodRecord, labels: Mapping[str, str]) -> bool:
        """Let a pod have these labels; say whether it had others."""
        old = record.labels
        if old is not None:
            if old.labels is labels or old.labels == labels:
                return False
            self.remove(record)
        groups = self._groups.get(record.namespace)
        if groups is None:
            groups = self._groups[record.namespace] = {}
        group = groups.get(id(labels))
        if group is None:
            # The group keeps its labels alive, and with them their identity.
            group = groups[id(labels)] = PodLabels(record.namespace, labels, [])
        group.pods.append(record)
        record.labels = group
        return old is not None

    def remove(self, record: PodRecord) -> None:
        """Let a pod have no labels any more: it is gone."""
        group, record.labels = record.labels, None
        if group is None:
            return
        group.pods.remove(record)
        if not group.pods:
            groups = self._groups[group.namespace]
            del groups[id(group.labels)]
            if not groups:
                del self._groups[group.namespace]


_NO_GROUPS: dict[int, PodLabels] = {}
