"""Finds nodes for the pods that wait or are made under a supposed change.

A pod's class is that of its seat, as `decide` chooses it, and room is reckoned as in the drift loop's plans: what a pod
takes is deducted before the next one is placed. The state is only read.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from extender.core.capacity.room import Room
from extender.core.drift.arrivals import Arrivals
from extender.core.drift.history import History
from extender.core.drift.replacement import Replacements
from extender.core.model.reasons import Reason, Refusal
from extender.core.policy.ordinals import seat_of_ordinal
from extender.core.policy.policy import Policy
from extender.core.policy.stand_ins import stand_ins
from extender.core.state.counting import OpenSeats
from extender.core.state.records import NodeRecord, PodRecord, tally
from extender.core.state.state import ClusterState
from extender.core.whatif.change import SupposedController
from extender.core.whatif.fleets import SupposedFleet, count_together
from extender.core.whatif.outlook import Bystanders
from extender.core.whatif.pods import STEP, FutureRevision, PodForecast

LOOKS = 2_000_000
"""How many nodes may be looked at in vain before the search gives up, all revisions together: some seconds' work."""


class Placement(Struct, eq=False):
    """Every pod on its node, or pending.

    Attributes:
        futures: how the revisions of each workload came to stand, by the workload's UID.
        room: what is left.
        bystanders: pods on lost nodes whose workload was not looked at.
        fleets: those of workloads that are counted together.
    """

    futures: dict[str, list[FutureRevision]]
    room: Room
    bystanders: Bystanders
    fleets: Sequence[SupposedFleet]


def place_pods(
    state: ClusterState,
    touched: Mapping[str, Sequence[SupposedController]],
    lost: Mapping[str, NodeRecord],
    now: float,
) -> Generator[None, None, Placement]:
    """Tell which pods stay, leave or are made, and find nodes for those without one; pause after every few pods.

    Args:
        state: the cluster.
        touched: the controllers of each workload to look at, by the workload's UID, in the order of their turns.
        lost: the nodes that are gone, by name.
        now: seconds since the epoch.
    """
    forecast = PodForecast(state, lost, now)
    room = Room(state, forecast.leaving, now, lost=lost, looks=LOOKS)
    futures: dict[str, list[FutureRevision]] = {}
    for number, (uid, controllers) in enumerate(touched.items()):
        futures[uid] = [forecast.revision(controller, controllers) for controller in controllers]
        if number % STEP == STEP - 1:
            yield
    yield
    bystanders, gone = yield from forecast.bystanders(touched)
    every = [future for each in futures.values() for future in each]
    fleets = count_together(state, [*every, *bystanders])
    # What leaves gives its room back; what others take that wait for a node already is deducted.
    for pod, node in forecast.left:
        room.stock.leave(pod, node)
    revisions = {
        controller.revision
        for controllers in touched.values()
        for controller in controllers
        if controller.revision is not None
    }
    Arrivals(state, History(), room).deduct(without=revisions)
    yield
    room.expect(len(every) + len(bystanders))
    yield from _Placing(state, room).seat([*every, *bystanders])
    pending = sum(
        (Counter({reason: n for (reason, _), n in future.pending.items()}) for future in bystanders), Counter()
    )
    placed = sum(sum(future.actual.values()) for future in bystanders)
    return Placement(futures, room, Bystanders(placed, dict(pending), gone), fleets)


class _Placing:
    def __init__(self, state: ClusterState, room: Room) -> None:
        self._state, self._room = state, room
        self._replacements = Replacements(state)

    def seat(self, futures: Sequence[FutureRevision]) -> Generator[None, None, None]:
        """Find nodes: first for the pods that wait, by age, then for the new ones in turns; last for those that fall
        back after a time.
        """
        later: list[tuple[FutureRevision, PodRecord, str, Refusal]] = []
        for number, (future, pod) in enumerate(_in_turn(futures)):
            self._place(future, pod, later)
            if number % STEP == STEP - 1:
                yield
        for number, (future, pod, wanted, refusal) in enumerate(later):
            tally(future.held, wanted, -1)
            self._stand_in(future, pod, wanted, refusal)
            if number % STEP == STEP - 1:
                yield

    def _place(
        self, future: FutureRevision, pod: PodRecord, later: list[tuple[FutureRevision, PodRecord, str, Refusal]]
    ) -> None:
        policy = future.policy
        if policy is None:
            self._anywhere(future, pod)
            return
        wanted = self._wanted(future, policy, pod)
        found = self._room.find(pod, wanted, future.group, dwell=False)
        if isinstance(found, NodeRecord):
            self._take(future, pod, found, wanted)
        elif (policy.fallback_after or future.written) and stand_ins(policy, wanted):
            tally(future.held, wanted, 1)
            later.append((future, pod, wanted, found))
        else:
            self._stand_in(future, pod, wanted, found)

    def _wanted(self, future: FutureRevision, policy: Policy, pod: PodRecord) -> str:
        """The class of a pod's seat, as `decide` chooses it."""
        owner = future.controller.owner
        revision = future.controller.revision
        if pod.counted:
            # It is written on the pod.
            tally(future.held, pod.counted, -1)
            return pod.counted
        reserved = revision.reservations.get(pod.uid) if revision is not None else None
        if reserved is not None:
            tally(future.held, reserved.capacity_class, -1)
        own_seat = seat_of_ordinal(owner, pod.name) if future.counted is None else None
        if own_seat is not None:
            return policy.seats.class_at(own_seat)
        kept = reserved.capacity_class if reserved is not None and not reserved.stand_in else ""
        seats = future.counted or OpenSeats(policy.seats, future.held, owner.replicas)
        return seats.choose(kept)

    def _stand_in(self, future: FutureRevision, pod: PodRecord, wanted: str, refusal: Refusal) -> None:
        for other in stand_ins(future.policy, wanted) if future.policy is not None else ():
            like = self._replacements.of(pod, other)
            found = self._room.find(like, other, future.group, dwell=False)
            if isinstance(found, NodeRecord):
                future.stand_ins += 1
                self._take(future, like, found, other)
                return
        tally(future.held, wanted, 1)
        future.pending[refusal.reason, wanted] += 1

    def _anywhere(self, future: FutureRevision, pod: PodRecord) -> None:
        """Nothing steers the pod: it goes where most is to spare."""
        found = [self._room.find(pod, name) for name in sorted(self._state.placeable)]
        nodes = [node for node in found if isinstance(node, NodeRecord)]
        if nodes:
            node = max(nodes, key=lambda node: (self._room.stock.spare_cpu(node), node.name))
            self._take(future, pod, node, node.facts.capacity_class if node.facts is not None else "")
            return
        reasons = [refusal.reason for refusal in found if isinstance(refusal, Refusal)]
        # That of the class that came furthest says most.
        future.pending[max(reasons, key=_telling, default=Reason.NO_NODE), ""] += 1

    def _take(self, future: FutureRevision, pod: PodRecord, node: NodeRecord, capacity_class: str) -> None:
        self._room.occupy(pod, node, future.revision if future.group is not None else None)
        pod.node, pod.counted = node, capacity_class
        tally(future.held, capacity_class, 1)
        future.revision.pods.add(pod)
        tally(future.revision.filled, capacity_class, 1)


_TELLING = (Reason.NO_NODE, Reason.NOT_ADMITTED, Reason.NO_ROOM)


def _telling(reason: Reason) -> int:
    return _TELLING.index(reason) if reason in _TELLING else len(_TELLING)


def _in_turn(futures: Iterable[FutureRevision]) -> Iterator[tuple[FutureRevision, PodRecord]]:
    """The pods of all futures: those that are there already by age, then the new ones, of every future one."""
    old: list[tuple[float, str, FutureRevision]] = []
    left: list[FutureRevision] = []
    for future in futures:
        if future.waiting:
            left.append(future)
            waited = islice(future.waiting, len(future.waiting) - future.made)
            old += [(pod.created, pod.uid, future) for pod in waited]
    for _, _, future in sorted(old, key=lambda each: each[:2]):
        yield future, future.waiting.popleft()
    while left:
        for future in left:
            if future.waiting:
                yield future, future.waiting.popleft()
        left = [future for future in left if future.waiting]
