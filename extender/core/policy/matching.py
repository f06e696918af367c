"""Which policy objects speak for a workload, and for which workloads each of them speaks.

At each of two levels, the workload's namespace and the cluster, one object speaks: of those that match the one of the
highest priority, then the oldest. The others say nothing for that workload, so that nobody has to put a policy together
from several by hand; what the one does not say is looked for at the next level.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from extender.core.model.objects import EMPTY
from extender.core.model.policies import PlacementPolicy
from extender.core.model.selectors import LabelSelector
from extender.core.policy.limits import Limit
from extender.core.policy.objects import PolicyObject, policy_object
from extender.core.policy.workload import OnDemandAfter


class Matching(Struct, frozen=True):
    """The objects that match a workload, by level; the first of each speaks."""

    own: tuple[PolicyObject, ...] = ()
    cluster: tuple[PolicyObject, ...] = ()

    @property
    def speaking(self) -> tuple[PolicyObject, ...]:
        """Those that speak for it, the more specific first."""
        return self.own[:1] + self.cluster[:1]

    @property
    def runs(self) -> str:
        """The UID of the object whose ratio is over runs; empty where none is. What a ratio is over goes with it."""
        for each in self.speaking:
            spec = each.policy.spec
            if spec.classes or spec.count != "Workload":
                return each.policy.uid if spec.count == "Runs" else ""
        return ""

    @property
    def on_demand_after(self) -> OnDemandAfter | None:
        """From how many lost pods on a Job goes on on-demand; None for never."""
        for each in self.speaking:
            count = each.policy.spec.on_demand_after
            if count is not None:
                return OnDemandAfter(each.policy.uid, count)
        return None


NOTHING = Matching()

LOSERS = 16
"""Objects that match a workload at a level without speaking for it, the first in rank, that are told so.

Each of them keeps the workload: a thousand objects that all match each of five thousand workloads would fill gigabytes.
"""


class _Level:
    """Policy objects of one namespace, or of the cluster, found by the rarest label that they ask for.

    Most policies of a namespace ask for one label that all of them share, and one of their own.
    """

    def __init__(self, things: Iterable[PolicyObject]) -> None:
        acting = list(things)
        common = Counter(pair for each in acting for pair in each.policy.selector.labels)
        self._by_label: dict[tuple[str, str] | None, list[PolicyObject]] = {}
        for each in acting:
            for pair in _asked(each.policy.selector, common):
                self._by_label.setdefault(pair, []).append(each)

    def matching(self, chain: Sequence[Mapping[str, str]]) -> list[PolicyObject]:
        """Those that select a workload by these labels of it and of what is above it, the first in rank first."""
        pairs = {pair for labels in chain for pair in labels.items()}
        known = self._by_label
        # One that asks for any of several values may be found by two of them.
        candidates = {each.policy.uid: each for pair in (None, *pairs) for each in known.get(pair, ())}
        found = [each for each in candidates.values() if any(each.policy.selector.matches(labels) for labels in chain)]
        return sorted(found, key=lambda each: each.policy.rank)


def _asked(selector: LabelSelector, common: Mapping[tuple[str, str], int]) -> Iterable[tuple[str, str] | None]:
    """Labels of which whoever is selected has one; None alone where a selector asks for none.

    Args:
        selector: of a policy.
        common: how many policies ask for each label.
    """
    if selector.labels:
        return (min(selector.labels, key=common.__getitem__),)
    values = (each for each in selector.expressions if each.operator == "In")
    first = next(values, None)
    return (None,) if first is None else ((first.key, value) for value in first.values)


class PolicyObjects:
    """All policy objects.

    Args:
        prefixes: those of our keys, without the slash.
        classes: those that nodes can be of; None takes any.

    Attributes:
        by_uid: each of them.
    """

    def __init__(self, prefixes: Sequence[str], classes: Collection[str] | None = None) -> None:
        self._prefixes, self._classes = prefixes, classes
        self.by_uid: dict[str, PolicyObject] = {}
        self._in_namespace: dict[str, dict[str, PolicyObject]] = {}
        self._levels: dict[str, _Level] = {}

    def put(self, policy: PlacementPolicy) -> bool:
        """Take in a policy; say whether it says anything else than before."""
        old = self.by_uid.get(policy.uid)
        if old is not None and old.policy.same_but_status(policy):
            self._keep(PolicyObject(policy, old.layer, old.unbuilt, old.problems, old.limits))
            return False
        self._keep(policy_object(policy, self._prefixes, self._classes))
        self._levels.pop(policy.namespace, None)
        return True

    def go_by(self, classes: Collection[str]) -> None:
        """Read all of them anew, as nodes can be of these classes from now on."""
        self._classes = classes
        for thing in list(self.by_uid.values()):
            self._keep(policy_object(thing.policy, self._prefixes, classes))
        self._levels.clear()

    def _keep(self, thing: PolicyObject) -> None:
        policy = thing.policy
        self.by_uid[policy.uid] = thing
        self._in_namespace.setdefault(policy.namespace, {})[policy.uid] = thing

    def in_namespace(self, namespace: str) -> Collection[str]:
        """The UIDs of those of a namespace."""
        return self._in_namespace.get(namespace, {}).keys()

    def remove(self, uid: str) -> PolicyObject | None:
        """Forget a policy; what it was."""
        old = self.by_uid.pop(uid, None)
        if old is not None:
            self._levels.pop(old.policy.namespace, None)
            there = self._in_namespace[old.policy.namespace]
            del there[uid]
            if not there:
                del self._in_namespace[old.policy.namespace]
        return old

    def supposing(self, policies: Iterable[PlacementPolicy]) -> "PolicyObjects":
        """These objects and others, or the same with another word, for whoever tries them out."""
        other = PolicyObjects(self._prefixes, self._classes)
        other.by_uid, other._levels = dict(self.by_uid), dict(self._levels)
        other._in_namespace = {namespace: dict(there) for namespace, there in self._in_namespace.items()}
        for policy in policies:
            other.put(policy)
        return other

    def _level(self, namespace: str) -> _Level | None:
        there = self._in_namespace.get(namespace)
        if there is None:
            return None
        level = self._levels.get(namespace)
        if level is None:
            level = self._levels[namespace] = _Level(each for each in there.values() if each.speaks)
        return level

    def limits(self, namespace_labels: Mapping[str, str] | None) -> tuple[Limit, ...]:
        """The limits that a namespace has by its labels, None while these are not known: those of all policies."""
        wide, labels = self._in_namespace.get("", {}), EMPTY if namespace_labels is None else namespace_labels
        limiting = (each for each in wide.values() if each.limits and each.policy.namespaces.matches(labels))
        return tuple(limit for each in sorted(limiting, key=lambda each: each.policy.rank) for limit in each.limits)

    @property
    def limiting(self) -> bool:
        """Whether any of them has limits."""
        return any(each.limits for each in self._in_namespace.get("", {}).values())

    def matching(
        self, namespace: str, namespace_labels: Mapping[str, str] | None, labels: Iterable[Mapping[str, str]]
    ) -> Matching:
        """Those that match a workload.

        Args:
            namespace: of the workload.
            namespace_labels: all labels of that; None while it is not known.
            labels: all labels of the workload and of each object above it.
        """
        own, wide = self._level(namespace), self._level("")
        if own is None and wide is None:
            return NOTHING
        chain, spaces = list(labels), EMPTY if namespace_labels is None else namespace_labels
        mine = own.matching(chain) if own is not None else ()
        others = wide.matching(chain) if wide is not None else ()
        of_cluster = tuple(each for each in others if each.policy.namespaces.matches(spaces))
        return Matching(tuple(mine), of_cluster) if mine or of_cluster else NOTHING


class Assignments:
    """Which workloads each policy object speaks for.

    Attributes:
        of_workload: UIDs of the objects that speak for a workload, by its UID.
        workloads: UIDs of the workloads that each object speaks for, by its UID.
        lost: UIDs of workloads that an object matches without speaking for them, with the UID of the one that does; see
            `LOSERS`.
        changed: objects whose workloads are others than before. Who tells of them takes them out.
        moved: workloads that others speak for than before, or whose policy or size is another; likewise.
    """

    def __init__(self) -> None:
        self.of_workload: dict[str, tuple[str, ...]] = {}
        self.workloads: dict[str, dict[str, None]] = {}
        self.lost: dict[str, dict[str, str]] = {}
        self.changed: set[str] = set()
        self.moved: set[str] = set()
        self._losers: dict[str, tuple[tuple[str, str], ...]] = {}

    def assign(self, workload: str, matching: Matching) -> None:
        """These match a workload (UID); none where it is gone, or not managed."""
        speaking = tuple(each.policy.uid for each in matching.speaking)
        losers = tuple(
            (each.policy.uid, level[0].policy.uid)
            for level in (matching.own, matching.cluster)
            for each in level[1 : 1 + LOSERS]
        )
        before, lost = self.of_workload.get(workload, ()), self._losers.get(workload, ())
        if (speaking, losers) == (before, lost):
            return
        self._take_out(workload, before, lost)
        if speaking:
            self.of_workload[workload] = speaking
        if losers:
            self._losers[workload] = losers
        for uid in speaking:
            self.workloads.setdefault(uid, {})[workload] = None
        for uid, winner in losers:
            self.lost.setdefault(uid, {})[workload] = winner
        self.changed.update((*before, *speaking, *(uid for uid, _ in (*lost, *losers))))
        self.moved.add(workload)

    def touch(self, workload: str) -> None:
        """The policy or the size of a workload (UID) is another, which its pods, if it has any, need not tell."""
        if workload in self.of_workload:
            self.moved.add(workload)

    def _take_out(self, workload: str, speaking: Iterable[str], losers: Iterable[tuple[str, str]]) -> None:
        self.of_workload.pop(workload, None)
        self._losers.pop(workload, None)
        for uid in speaking:
            _drop(self.workloads, uid, workload)
        for uid, _ in losers:
            _drop(self.lost, uid, workload)


def _drop(of: dict[str, dict[str, None]] | dict[str, dict[str, str]], policy: str, workload: str) -> None:
    known = of[policy]
    del known[workload]
    if not known:
        del of[policy]
