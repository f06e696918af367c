"""A drift controller with placeholders, and what the API server and an autoscaler make of them."""

from collections.abc import Sequence
from typing import Any

from extender.core.drift.actions import Cycle, Evict, SaveStore
from extender.core.drift.controller import DriftController
from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Remembered
from extender.core.drift.placeholder import Action, Ask, Clear, Drop, Ended, Made
from extender.core.drift.placeholders import Placeholders
from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Node, OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from support.doubles import make_node, make_pod
from support.drifting import DriftWorld

RULES = DriftRules(min_age=0.0, dwell=300.0, max_unavailable=100, workload_in_flight=100)
EVICTED = Outcome(Answer.EVICTED, 201)
SMALL = Requests(cpu=1900)
ON_DEMAND_ALONE = Constraints(node_terms=((Requirement("karpenter.sh/capacity-type", "NotIn", ("spot",)),),))


def labelled(name: str, capacity_class: str = "spot", **fields: Any) -> Node:
    """A node as a real one shows its class."""
    mark = ("karpenter.sh/capacity-type", capacity_class)
    return make_node(name, capacity_class, labels=dict([mark]), marks=(mark,), **fields)


class PlaceholderScene:
    """A drift controller with placeholders; what they ask for is answered as the test says."""

    def __init__(self, rules: DriftRules = RULES, **options: bool) -> None:
        self.world = DriftWorld(rules)
        self.world.up(labelled("on-demand-0", "on-demand"))
        self.placeholders = Placeholders(self.world.state, rules)
        self.placeholders.take_over(self.world.now)
        self.memory = Remembered(opened=True)
        given = DriftOptions(rules, **{"polled": True, **options})
        self.drift = DriftController(
            self.world.state, self.memory, given, lambda low, _high: low, placeholders=self.placeholders
        )
        for action in self.due():
            assert action == Clear()
            self.placeholders.done(action, True, self.now)

    @property
    def now(self) -> float:
        return self.world.now

    def standing_in(self, name: str = "web", count: int = 7, of: int = 10, **policy: Any) -> OwnerRef:
        """A Deployment that wants `count` on spot, all of whose pods are on an on-demand node by what is written."""
        given = {"spot_percentage": 100 * count // of, "enforcement": "affinity", "max_moves_per_hour": 100, **policy}
        owner = self.world.deployment(name, of, **given)
        self.world.pods(
            owner,
            of,
            "on-demand-0",
            requests=Requests(cpu=500),
            written="on-demand",
            constraints=ON_DEMAND_ALONE,
        )
        return owner

    def due(self) -> Sequence[Action]:
        return self.placeholders.due(self.now)

    def cycle(self, seconds: float = 30.0) -> list[Evict]:
        """The evictions that are due some seconds later."""
        self.world.now += seconds
        found: list[Evict] = []
        while actions := self.drift.due(self.now):
            for action in actions:
                if isinstance(action, Cycle):
                    for workloads in action.slices():
                        self.drift.plan(action, workloads, self.now)
                    self.drift.done(action, None, self.now)
                elif isinstance(action, Evict):
                    found.append(action)
                elif isinstance(action, SaveStore):
                    self.drift.done(action, None, self.now)
        return found

    def spot(self, since: float = 0.0) -> None:
        """A spot node with much room that has been there since then."""
        self.world.up(labelled("spot-0"))
        self.world.state.nodes["spot-0"].steady_since = since

    def asks(self) -> list[Ask]:
        return [action for action in self.due() if isinstance(action, Ask)]

    def drops(self) -> list[str]:
        return [action.name for action in self.due() if isinstance(action, Drop)]

    def make(self, *asks: Ask) -> None:
        """The API server makes them; nobody has placed them yet."""
        for ask in asks:
            self.placeholders.done(ask, Made(f"uid-{ask.name}"), self.now)
            self.world.up(self.pod(ask))

    def pod(self, ask: Ask, node: str = "", **fields: Any) -> Any:
        given = {"namespace": "spotmix", "name": ask.name, "requests": ask.requests, "pending": not node, **fields}
        return make_pod(f"uid-{ask.name}", None, node, **given)

    def run(self, *asks: Ask, node: str = "new", cpu: int = 0) -> None:
        """The autoscaler brings a node for them, just large enough, and they run there."""
        room = Requests(cpu=cpu or sum(ask.requests.cpu for ask in asks), memory=1 << 40)
        self.world.up(labelled(node, asks[0].wish.capacity_class, allocatable=room))
        self.world.state.nodes[node].steady_since = self.now
        self.world.up(*(self.pod(ask, node) for ask in asks))

    def end(self, *names: str) -> list[Ended]:
        """The API server deletes these."""
        for name in names:
            self.world.gone("pods", f"uid-{name}")
            self.placeholders.done(Drop(name, f"uid-{name}"), True, self.now)
        return [action for action in self.due() if isinstance(action, Ended)]

    def reasons(self) -> list[Reason]:
        made = self.world.plan()
        return list(dict.fromkeys(stay.reason for stay in made.stays))
