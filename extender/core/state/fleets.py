"""Fleets: workloads whose replicas are counted together, as one policy object says of all that it speaks for.

The sums of a fleet are kept by taking one workload's part out and another in, so that a decision on a pod costs the
same whether a fleet has two workloads or five thousand. Parts are counted anew when somebody asks, of those workloads
to which something happened since.

A workload's part are the pods of its newest revision, and of older ones as many as are left of its replicas: a new pod
takes over the seat of the old one that it replaces, and what a rollout has beyond T pushes nobody.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import Owner
from extender.core.policy.floored import floored, lowest, own_seats
from extender.core.policy.managed import Managed
from extender.core.policy.policy import MODES, Membership, Policy
from extender.core.policy.seats import Seats
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Workloads
from extender.core.state.records import Revision
from extender.core.state.revisions import Revisions

FleetKey = tuple[str, str]
"""The UID of a policy object, and a mode: what is only watched takes no seats from what is placed."""

Controllers = Sequence[tuple[Owner, Revision | None]]
"""Controllers of pods, with their pods if they have any."""


class Part(Struct, frozen=True, eq=False):
    """What one workload adds to its fleet.

    Attributes:
        key: of the fleet.
        membership: as it was when this was counted.
        seats: of the fleet, likewise.
        replicas: T of the workload.
        floor: on-demand replicas that it is to have at least; not more than T.
        filled: pods that hold a seat, by class.
        bound: those of them that are on a node.
        reserved: seats held for pods not seen bound yet, by class.
        newest: the revisions whose pods all count.
        older: those of which a rollout leaves as many as are left of T.
    """

    key: FleetKey
    membership: Membership
    seats: Seats
    replicas: int
    floor: int
    filled: Mapping[str, int]
    bound: Mapping[str, int]
    reserved: Mapping[str, int]
    newest: Sequence[Revision]
    older: Sequence[Revision]

    @property
    def owed(self) -> int:
        """On-demand pods that are missing to the floor."""
        return max(0, self.floor - self.filled.get(ON_DEMAND, 0) - self.reserved.get(ON_DEMAND, 0))


class Fleet(Struct, eq=False):
    """The sums of a fleet; `title` names its policy for people, `parts` are by the UID of the workload.

    `seats` are those that its policy gives, as the workload counted last has them.
    """

    title: str
    seats: Seats
    replicas: int = 0
    floor: int = 0
    owed: int = 0
    filled: dict[str, int] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def target(self) -> dict[str, int]:
        """How many of each class there are to be."""
        return floored(self.seats, self.floor).target(self.replicas)

    @property
    def surplus(self) -> int:
        """Pods on nodes beyond the seats of their class."""
        target = self.target
        return sum(max(0, count - target.get(name, 0)) for name, count in self.bound.items())

    @property
    def missing(self) -> int:
        """Replicas without a pod on a node."""
        return max(0, self.replicas - sum(self.bound.values()))

    @property
    def below_least(self) -> int:
        """Replicas missing to what a class is to have at least by the policy."""
        wanted = self.target.items()
        return sum(max(0, min(count, self.seats.least(name)) - self.bound.get(name, 0)) for name, count in wanted)

    @property
    def text(self) -> str:
        """One line: over what is counted, the seats of each class, and the pods if these are others."""
        return counted_over(self.title, self.target, self.bound, self.replicas)

    def add(self, part: Part, sign: int) -> None:
        """Count a part in (+1), or out (-1)."""
        self.replicas += sign * part.replicas
        self.floor += sign * part.floor
        self.owed += sign * part.owed
        for mine, theirs in (
            (self.filled, part.filled),
            (self.bound, part.bound),
            (self.reserved, part.reserved),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + sign * count


def counted_over(title: str, target: Mapping[str, int], actual: Mapping[str, int], replicas: int) -> str:
    """One line for people, see `Fleet.text`."""
    names = dict.fromkeys((SPOT, ON_DEMAND, *target))
    wanted, there = ("/".join(str(each.get(name, 0)) for name in names) for each in (target, actual))
    return f"counted over {title}: {wanted} of {replicas}" + ("" if wanted == there else f", {there} there")


def key_of(policy: Policy) -> FleetKey | None:
    """The fleet that a policy is of; None where it counts its workload alone."""
    return (policy.fleet.policy, policy.mode) if policy.fleet is not None else None


class Fleets:
    """All fleets.

    Args:
        workloads: with their policies.
        revisions: with their pods; they note here which of them change.
    """

    def __init__(self, workloads: Workloads, revisions: Revisions) -> None:
        self._workloads, self._revisions = workloads, revisions
        self._fleets: dict[FleetKey, Fleet] = {}
        self._key_of: dict[str, FleetKey] = {}
        self._stale: dict[str, None] = {}
        self._changed: dict[FleetKey, None] = {}

    def policy_changed(self, workload: Workload, *, gone: bool) -> None:
        """The policy of a workload is another one, or it has none any more."""
        if gone or workload.policy.fleet is None:
            if workload.uid in self._key_of:
                self._take_out(workload.uid)
            return
        if not self._key_of:
            self._revisions.changes = set()
        self._stale[workload.uid] = None
        self._key_of.setdefault(workload.uid, ("", ""))

    def owner_changed(self, owner: Owner) -> None:
        """The size or the rollout of an owner changed, or it came or went."""
        if self._key_of:
            for uid in (owner.uid, owner.owner.uid if owner.owner is not None else ""):
                if uid in self._key_of:
                    self._stale[uid] = None

    def of(self, managed: Managed) -> Fleet | None:
        """The fleet of a workload; None for one that is counted alone."""
        policy = managed.workload.policy
        if policy.fleet is None:
            return None
        self.freshen()
        uid = managed.workload.uid
        fleet = self._fleets.get((policy.fleet.policy, policy.mode))
        part = fleet.parts.get(uid) if fleet is not None else None
        if part is None or part.membership != policy.fleet:
            # Judged anew by whoever asked, a moment before others are told.
            if self._workloads.by_uid.get(uid) is not managed.workload:
                return None
            self.policy_changed(managed.workload, gone=False)
            self._recount(uid)
            fleet = self._fleets.get((policy.fleet.policy, policy.mode))
        return fleet if fleet is not None and uid in fleet.parts else None

    def of_policy(self, policy: str) -> list[Fleet]:
        """The fleets of a policy object (UID): of those workloads that are placed, and of those that are watched."""
        self.freshen()
        return [self._fleets[policy, mode] for mode in MODES if (policy, mode) in self._fleets]

    def all(self) -> Mapping[FleetKey, Fleet]:
        """Every fleet that has workloads, by what names it."""
        self.freshen()
        return self._fleets

    def take_changed(self) -> list[Fleet]:
        """The fleets whose sums may be others than at the last call."""
        self.freshen()
        changed, self._changed = self._changed, {}
        return [self._fleets[key] for key in changed if key in self._fleets]

    def freshen(self) -> None:
        """Count those anew to which something happened."""
        changes = self._revisions.changes
        while changes:
            revision = changes.pop()
            managed = self._workloads.resolve(revision.namespace, revision.owner)
            if isinstance(managed, Managed) and managed.workload.uid in self._key_of:
                self._stale[managed.workload.uid] = None
        while self._stale:
            uid, _ = self._stale.popitem()
            self._recount(uid)

    # Parts

    def _take_out(self, uid: str) -> None:
        self._stale.pop(uid, None)
        self._withdraw(uid, self._key_of.pop(uid))
        if not self._key_of:
            self._revisions.changes = None

    def _withdraw(self, uid: str, key: FleetKey) -> None:
        fleet = self._fleets.get(key)
        part = fleet.parts.pop(uid, None) if fleet is not None else None
        if fleet is not None and part is not None:
            self._changed[key] = None
            fleet.add(part, -1)
            if not fleet.parts:
                del self._fleets[key]

    def _recount(self, uid: str) -> None:
        self._stale.pop(uid, None)
        self._withdraw(uid, self._key_of[uid])
        workload = self._workloads.by_uid.get(uid)
        key = key_of(workload.policy) if workload is not None else None
        part = self._part(workload) if workload is not None else None
        self._key_of[uid] = key or ("", "")
        if part is not None:
            fleet = self._fleets.get(part.key)
            if fleet is None:
                fleet = self._fleets[part.key] = Fleet(part.membership.title, part.seats)
            self._changed[part.key] = None
            fleet.seats = part.seats
            fleet.parts[uid] = part
            fleet.add(part, +1)

    def _part(self, workload: Workload) -> Part | None:
        policy, top = workload.policy, self._workloads.owners.get(workload.uid)
        if policy.fleet is None or top is None:
            return None
        own, below = self._revisions.by_uid.get(top.uid), self._below(top)
        size = self._size(top, own, below)
        if size is None:
            return None
        revisions = [each for _, each in below if each is not None]
        # Where nobody says how many there should be, none of them is one too many.
        newest, older = revisions, []
        if top.replicas is not None and below:
            newest = revisions[: int(below[0][1] is not None)]
            older = revisions[len(newest) :]
        if own is not None:
            newest = [own, *newest]
        filled, bound, reserved = ByClass(), ByClass(), ByClass()
        for revision in newest:
            filled.add(revision.filled)
            bound.add(revision.bound)
            reserved.add(revision.reserved)
        if older:
            left = size - sum(filled.values()) - sum(reserved.values())
            kept, held = _older(older, own_seats(policy), left)
            filled.add(kept)
            reserved.add(held)
            bound.add(_bound_of(older, kept))
        key = policy.fleet.policy, policy.mode
        floor = min(policy.fleet.floor, size)
        return Part(key, policy.fleet, policy.seats, size, floor, filled, bound, reserved, newest, older)

    def _size(self, top: Owner, own: Revision | None, below: Controllers) -> int | None:
        """T of a workload, whatever its revisions want; None for one that has none, and makes no pods of its own."""
        known = self._workloads
        if own is None and not below:
            children = known.children.get(top.uid, ())
            undivided = children and not any(known.holder(known.owners[uid]) is top for uid in children)
            return None if top.replicas is None or top.kind == "Job" or undivided else top.replicas
        size = 0
        if below and top.replicas is not None:
            # That of a Deployment and of its ReplicaSet come by two watches: the larger one is asked for already.
            size += max(top.replicas, below[0][0].replicas or 0)
        elif below:
            size += sum(owner.replicas or 0 for owner, _ in below)
        if own is not None:
            replicas = known.controller(top).replicas
            size += _live(own) if replicas is None else replicas
        return size

    def _below(self, top: Owner) -> Controllers:
        """The controllers of pods below an owner that speaks for them, the newest first."""
        known, revisions = self._workloads, self._revisions.by_uid
        found: list[tuple[Owner, Revision | None]] = []
        for uid in known.children.get(top.uid, ()):
            owner, revision = known.owners[uid], revisions.get(uid)
            if (revision is not None or owner.replicas) and known.holder(owner) is top:
                found.append((owner, revision))
        return found if len(found) < 2 else sorted(found, key=_age, reverse=True)


class ByClass(dict[str, int]):
    """Counts by class that others are added to."""

    def add(self, counts: Mapping[str, int], sign: int = 1) -> None:
        """Add counts, or take them off (-1)."""
        for name, count in counts.items():
            if count:
                self[name] = self.get(name, 0) + sign * count


def _older(older: Sequence[Revision], seats: Seats, left: int) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Of the pods of older revisions, and of the seats reserved in them, those that count: `left` at most."""
    if left <= 0 or not older:
        return {}, {}
    filled, reserved = ByClass(), ByClass()
    for revision in older:
        filled.add(revision.filled)
        reserved.add(revision.reserved)
    kept = lowest(seats, filled, left)
    return kept, lowest(seats, reserved, left - sum(kept.values()))


def _bound_of(older: Sequence[Revision], kept: Mapping[str, int]) -> dict[str, int]:
    """How many of the pods of older revisions that count are on a node, by class."""
    bound = ByClass()
    for revision in older:
        bound.add(revision.bound)
    return {name: min(count, kept.get(name, 0)) for name, count in bound.items()}


def _age(each: tuple[Owner, Revision | None]) -> tuple[int, float, str]:
    """Sorts the revisions of a workload, the oldest first: one that is rolled back to is the newest again."""
    owner, _ = each
    return owner.revision, owner.created, owner.name


def _live(revision: Revision) -> int:
    return sum(not pod.terminating for pod in revision.pods)
