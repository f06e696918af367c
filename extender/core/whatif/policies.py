"""What policy objects would change if they were there: whom each would speak for, and whom it would lose to another.

An object takes the place of its namesake; one that is new is the youngest. The state is read alone.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from extender.core.answers.replicas import standing_of
from extender.core.model.objects import Owner
from extender.core.model.policies import PlacementPolicy
from extender.core.policy.matching import Matching
from extender.core.policy.objects import PolicyObject
from extender.core.policy.owners import NEVER_MANAGED
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Workloads
from extender.core.state.state import ClusterState
from extender.core.whatif.outlook import LostWorkload, PolicyForecast

OWNERS = 100
"""Owners that are looked at between two pauses: each is matched twice."""
SHOWN = 20
"""Workloads that a policy loses and that are named."""


class _Tally:
    """Counts workloads of a policy object."""

    def __init__(self, policy: PlacementPolicy, *, replaces: bool) -> None:
        self.policy = policy
        self.replaces = replaces
        self.before = self.after = self.lost = 0
        self.losses: list[LostWorkload] = []

    def lose(self, owner: Owner, winner: PolicyObject) -> None:
        """The object matches a workload, and another speaks for that."""
        self.lost += 1
        if len(self.losses) < SHOWN:
            self.losses.append(LostWorkload(owner.kind, owner.namespace, owner.name, winner.policy.title))


class SupposedPolicies:
    """Policy objects that are supposed to be there.

    Args:
        state: the cluster.
        policies: the objects; those without a `uid` are as they are written.
        now: when they are made (seconds since the epoch).

    Attributes:
        known: owners and namespaces as they are, under these objects.
        touched: UIDs of the workloads for which others speak then, or the same with another word.
    """

    def __init__(self, state: ClusterState, policies: Sequence[PlacementPolicy], now: float) -> None:
        self._state = state
        before = (
            {each.policy.title: each.policy for each in state.workloads.objects.by_uid.values()} if policies else {}
        )
        self._tallies: dict[str, _Tally] = {}
        for policy in policies:
            old = before.get(policy.title)
            uid, created = (old.uid, old.created) if old is not None else (f"supposed {policy.title}", now)
            there = replace(policy, uid=uid, created=created)
            self._tallies[uid] = _Tally(there, replaces=old is not None)
        objects = state.workloads.objects.supposing([each.policy for each in self._tallies.values()])
        self.known: Workloads = state.workloads.supposing(objects)
        self.touched: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._tallies)

    def workload(self, uid: str) -> Workload | None:
        """A workload as it is judged then; None when it is not managed then."""
        owner = self.known.owners.get(uid)
        judged, before = self.known.judged(owner) if owner is not None else None, self._state.workloads.by_uid.get(uid)
        if judged is not None and before is not None and not judged.parsed.valid:
            judged.last_valid = before.last_valid
        return judged

    def look(self) -> Generator[None, None, None]:
        """Find whom the objects touch."""
        now_there = self._state.workloads
        for number, owner in enumerate(self._owners()):
            before, after = now_there.matching(owner), self.known.matching(owner)
            if not self._are_among(before) and not self._are_among(after):
                continue
            self._count(owner, before, after)
            if [each.layer for each in before.speaking] != [each.layer for each in after.speaking]:
                self.touched[owner.uid] = None
            if number % OWNERS == OWNERS - 1:
                yield

    def _are_among(self, matching: Matching) -> bool:
        return any(each.policy.uid in self._tallies for each in (*matching.own, *matching.cluster))

    def _owners(self) -> Iterator[Owner]:
        """Whoever the objects may be for: of their namespaces, or of all."""
        known = self._state.workloads
        namespaces = dict.fromkeys(each.policy.namespace for each in self._tallies.values())
        for namespace in [""] if "" in namespaces else namespaces:
            for owner in known.in_namespace(namespace):
                managed = owner.kind not in NEVER_MANAGED and known.outside(owner.namespace) is None
                if managed and known.holder(owner) is owner:
                    yield owner

    def _count(self, owner: Owner, before: Matching, after: Matching) -> None:
        was, will = self._state.workloads.by_uid.get(owner.uid), self.workload(owner.uid)
        if was is not None and standing_of(self._state, was) is not None:
            for each in self._among(before.speaking):
                each.before += 1
        if will is None or standing_of(self._state, will) is None:
            return
        for each in self._among(after.speaking):
            each.after += 1
        for level in (after.own, after.cluster):
            for each in self._among(level[1:]):
                each.lose(owner, level[0])

    def _among(self, things: Iterable[PolicyObject]) -> Iterator[_Tally]:
        return (self._tallies[each.policy.uid] for each in things if each.policy.uid in self._tallies)

    @property
    def titles(self) -> Collection[str]:
        """What people call the objects."""
        return {tally.policy.title for tally in self._tallies.values()}

    def notes(self) -> Iterator[str]:
        """What of the objects is not forecast."""
        for tally in self._tallies.values():
            spec, title = tally.policy.spec, tally.policy.title
            if spec.count == "Runs":
                yield f"{title}: spec.count=Runs is left out of the split here: each workload is counted alone"
            if spec.limits:
                yield f"{title}: spec.limits are left out here: no pod is kept off its class for them"

    def forecasts(self) -> tuple[PolicyForecast, ...]:
        """What becomes of each object, once `look` has been through."""
        things: Mapping[str, PolicyObject] = self.known.objects.by_uid
        return tuple(
            PolicyForecast(
                tally.policy.kind,
                tally.policy.namespace,
                tally.policy.name,
                tally.replaces,
                things[uid].acts,
                tally.before,
                tally.after,
                tally.lost,
                tuple(tally.losses),
                (*things[uid].unbuilt, *(problem.text for problem in things[uid].problems)),
            )
            for uid, tally in self._tallies.items()
        )
