"""Where pods come to be under a supposed change: which node each that waits or is made gets.

Classes are those of seats, and room is that of the drift loop's plans; all that is taken is deducted. The state is read
alone.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from extender.core.capacity.room import Room
from extender.core.drift.arrivals import Seating
from extender.core.drift.history import History
from extender.core.model.reasons import Reason, Refusal
from extender.core.placement.decide import free_class
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.policy import Policy
from extender.core.policy.stand_ins import stand_ins
from extender.core.state.records import NodeRecord, PodRecord, tally
from extender.core.state.state import ClusterState
from extender.core.whatif.change import Part
from extender.core.whatif.outlook import Bystanders
from extender.core.whatif.pods import STEP, Crew, Muster

LOOKS = 2_000_000
"""Nodes that are looked at in vain at most, shared among the revisions: some seconds."""


class Settled(Struct, eq=False):
    """What came of it: the crews by the UID of their workload, the room left, and pods that nobody manages."""

    crews: dict[str, list[Crew]]
    room: Room
    bystanders: Bystanders


def settle(
    state: ClusterState,
    touched: Mapping[str, Sequence[Part]],
    lost: Mapping[str, NodeRecord],
    now: float,
) -> Generator[None, None, Settled]:
    """Let all come to rest, with a pause after every few pods.

    Args:
        state: the cluster.
        touched: the parts of each workload to look at, by the workload's UID, in the order of their turns.
        lost: the nodes that are gone, by name.
        now: seconds since the epoch.
    """
    muster = Muster(state, lost, now)
    room = Room(state, muster.leaving, now, lost=lost, looks=LOOKS)
    crews: dict[str, list[Crew]] = {}
    for number, (uid, parts) in enumerate(touched.items()):
        crews[uid] = [muster.enlist(part, parts) for part in parts]
        if number % STEP == STEP - 1:
            yield
    yield
    strangers, gone = yield from muster.strangers(touched)
    every = [crew for part in crews.values() for crew in part]
    # What leaves gives its room back; what others take that wait for a node already is deducted.
    for pod, node in muster.left:
        room.stock.leave(pod, node)
    revisions = {part.revision for parts in touched.values() for part in parts if part.revision is not None}
    Seating(state, History(), room).seat(without=revisions)
    yield
    room.expect(len(every) + len(strangers))
    yield from _Placing(state, room).seat([*every, *strangers])
    pending = sum((Counter({reason: n for (reason, _), n in crew.pending.items()}) for crew in strangers), Counter())
    placed = sum(sum(crew.actual.values()) for crew in strangers)
    return Settled(crews, room, Bystanders(placed, dict(pending), gone))


class _Placing:
    def __init__(self, state: ClusterState, room: Room) -> None:
        self._state, self._room = state, room

    def seat(self, crews: Sequence[Crew]) -> Generator[None, None, None]:
        """Find nodes: first for the pods that wait, by age, then for the new ones in turns; last for those that fall
        back after a time.
        """
        later: list[tuple[Crew, PodRecord, str, Refusal]] = []
        for number, (crew, pod) in enumerate(_in_turn(crews)):
            self._place(crew, pod, later)
            if number % STEP == STEP - 1:
                yield
        for number, (crew, pod, wanted, refusal) in enumerate(later):
            tally(crew.held, wanted, -1)
            self._stand_in(crew, pod, wanted, refusal)
            if number % STEP == STEP - 1:
                yield

    def _place(self, crew: Crew, pod: PodRecord, later: list[tuple[Crew, PodRecord, str, Refusal]]) -> None:
        policy = crew.policy
        if policy is None:
            self._anywhere(crew, pod)
            return
        wanted = self._wanted(crew, policy, pod)
        found = self._room.find(pod, wanted, crew.group, dwell=False)
        if isinstance(found, NodeRecord):
            self._take(crew, pod, found, wanted)
        elif policy.fallback_after and stand_ins(policy, wanted):
            tally(crew.held, wanted, 1)
            later.append((crew, pod, wanted, found))
        else:
            self._stand_in(crew, pod, wanted, found)

    def _wanted(self, crew: Crew, policy: Policy, pod: PodRecord) -> str:
        """The class of a pod's seat, as `decide` chooses it."""
        owner = crew.part.owner
        revision = crew.part.revision
        reserved = revision.reservations.get(pod.uid) if revision is not None else None
        if reserved is not None:
            tally(crew.held, reserved.capacity_class, -1)
        own_seat = seat_of_ordinal(owner, pod.name)
        if own_seat is not None:
            return policy.seats.class_at(own_seat)
        kept = reserved.capacity_class if reserved is not None and not reserved.stand_in else ""
        return free_class(policy.seats, crew.held, kept, owner.replicas)

    def _stand_in(self, crew: Crew, pod: PodRecord, wanted: str, refusal: Refusal) -> None:
        for other in stand_ins(crew.policy, wanted) if crew.policy is not None else ():
            found = self._room.find(pod, other, crew.group, dwell=False)
            if isinstance(found, NodeRecord):
                crew.stand_ins += 1
                self._take(crew, pod, found, other)
                return
        tally(crew.held, wanted, 1)
        crew.pending[refusal.reason, wanted] += 1

    def _anywhere(self, crew: Crew, pod: PodRecord) -> None:
        """Nothing steers the pod: it goes where most is to spare."""
        found = [self._room.find(pod, name) for name in sorted(self._state.placeable)]
        nodes = [node for node in found if isinstance(node, NodeRecord)]
        if nodes:
            node = max(nodes, key=lambda node: (self._room.stock.spare_cpu(node), node.name))
            self._take(crew, pod, node, node.facts.capacity_class if node.facts is not None else "")
            return
        reasons = [refusal.reason for refusal in found if isinstance(refusal, Refusal)]
        # That of the class that came furthest says most.
        crew.pending[max(reasons, key=_telling, default=Reason.NO_NODE), ""] += 1

    def _take(self, crew: Crew, pod: PodRecord, node: NodeRecord, capacity_class: str) -> None:
        self._room.take(pod, node, crew.revision if crew.group is not None else None)
        pod.node, pod.counted = node, capacity_class
        tally(crew.held, capacity_class, 1)
        crew.revision.pods.add(pod)
        tally(crew.revision.filled, capacity_class, 1)


_TELLING = (Reason.NO_NODE, Reason.NOT_ADMITTED, Reason.NO_ROOM)


def _telling(reason: Reason) -> int:
    return _TELLING.index(reason) if reason in _TELLING else len(_TELLING)


def _in_turn(crews: Iterable[Crew]) -> Iterator[tuple[Crew, PodRecord]]:
    """The pods of all crews: those that are there already by age, then the new ones, of every crew one."""
    old: list[tuple[float, str, Crew]] = []
    left: list[Crew] = []
    for crew in crews:
        if crew.waiting:
            left.append(crew)
            waited = islice(crew.waiting, len(crew.waiting) - crew.made)
            old += [(pod.created, pod.uid, crew) for pod in waited]
    for _, _, crew in sorted(old, key=lambda each: each[:2]):
        yield crew, crew.waiting.popleft()
    while left:
        for crew in left:
            if crew.waiting:
                yield crew, crew.waiting.popleft()
        left = [crew for crew in left if crew.waiting]
