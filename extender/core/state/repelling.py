"""Pods that keep others off their nodes or zones: by required anti-affinity."""

from collections.abc import Iterator

from msgspec import Struct

from extender.core.model.constraints import PodTerm
from extender.core.state.records import PodRecord

Terms = tuple[PodTerm, ...]


class Repellers(Struct, eq=False, gc=False):
    """Pods of a namespace with the same `terms`."""

    namespace: str
    terms: Terms
    pods: set[PodRecord]


class Repelling:
    """The pods on nodes that have such terms, in groups: the pods of a workload share theirs.

    Terms that are one object make one group. Equal terms that are not may make several: each is right for itself.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[int, Repellers]] = {}
        self._abroad: dict[int, Repellers] = {}

    def __iter__(self) -> Iterator[PodRecord]:
        return (pod for groups in self._groups.values() for group in groups.values() for pod in group.pods)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def towards(self, namespace: str) -> Iterator[Repellers]:
        """The groups whose terms may mean pods of a namespace: its own, and those that name others."""
        yield from self._groups.get(namespace, _NONE).values()
        for group in self._abroad.values():
            if group.namespace != namespace:
                yield group

    def add(self, record: PodRecord) -> None:
        """Add a pod, unless it is there or has no such terms."""
        terms = record.constraints.anti_affinity
        if not terms:
            return
        groups = self._groups.setdefault(record.namespace, {})
        group = groups.get(id(terms))
        if group is None:
            # The group keeps its terms alive, and with them their identity.
            group = groups[id(terms)] = Repellers(record.namespace, terms, set())
            if any(term.namespaces or term.namespace_selector is not None for term in terms):
                self._abroad[id(terms)] = group
        group.pods.add(record)

    def discard(self, record: PodRecord) -> None:
        """Remove a pod if it is there: before its constraints are changed."""
        terms = record.constraints.anti_affinity
        groups = self._groups.get(record.namespace)
        group = groups.get(id(terms)) if groups is not None and terms else None
        if groups is None or group is None:
            return
        group.pods.discard(record)
        if not group.pods:
            del groups[id(terms)]
            self._abroad.pop(id(terms), None)
            if not groups:
                del self._groups[record.namespace]


_NONE: dict[int, Repellers] = {}
