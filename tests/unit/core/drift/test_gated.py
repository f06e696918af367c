"""Pods of Jobs stay gated until there is room for them, or are let go with the class that stands in."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, keys, make_node, make_owner, make_pod
from support.drifting import DriftWorld

from extender.core.drift.gated import STALE, RoomForGated
from extender.core.drift.placeholder import Ask, Clear, Drop, Ended, Ending, Made, NotMade
from extender.core.drift.placeholders import COMES, Placeholders
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import OwnerRef, Requests
from extender.core.placement.gates import GateController

GATE = "spotmix.io/placement"
WAIT = 180.0


class Jobs:
    """Gates of a Job's pods, with placeholders."""

    def __init__(self, placeholders: int = 3) -> None:
        self.world = DriftWorld()
        self.placeholders = Placeholders(self.world.state, DriftRules(placeholders=placeholders))
        self.placeholders.take_over(self.world.now)
        self.placeholders.due(self.world.now)
        self.placeholders.done(Clear(), True, self.world.now)
        self.gates = GateController(self.world.state)
        self.gates.prover = RoomForGated(self.world.state, self.placeholders)

    def job(self, *names: str, **policy: Any) -> OwnerRef:
        """A Job with so many gated pods, all of which want spot unless the policy says otherwise."""
        given = {"spot_percentage": 100, "enforcement": "affinity", "fallback_after": f"{WAIT:.0f}s", **policy}
        owner = make_owner("Job", "job", len(names), labels=ENABLED, annotations=keys(**given))
        self.world.up(owner)
        for number, name in enumerate(names):
            created = self.world.now + number
            self.world.up(
                make_pod(name, owner.ref, gates=(GATE,), scheduler=None, created=created, requests=Requests(cpu=500))
            )
        return owner.ref

    def node(self, name: str, cpu: int, capacity_class: str = "spot") -> None:
        mark = ("karpenter.sh/capacity-type", capacity_class)
        room = Requests(cpu=cpu, memory=1 << 40)
        self.world.up(make_node(name, capacity_class, allocatable=room, labels=dict([mark]), marks=(mark,)))

    def classes(self, seconds: float = 0.25) -> dict[str, str]:
        """What is written some seconds later."""
        self.world.now += seconds
        return {release.pod.name: release.capacity_class for release in self.gates.due(self.world.now)}

    def asks(self) -> list[Ask]:
        return [action for action in self.placeholders.due(self.world.now) if isinstance(action, Ask)]

    def drops(self, seconds: float = 0.25) -> list[str]:
        """The placeholders that are deleted some seconds later."""
        self.world.now += seconds
        return [action.uid for action in self.placeholders.due(self.world.now) if isinstance(action, Drop)]

    def end(self, ask: Ask) -> None:
        """A placeholder is deleted."""
        self.world.gone("pods", f"uid-{ask.name}")
        self.placeholders.done(Drop(ask.name, f"uid-{ask.name}"), True, self.world.now)
        self.placeholders.due(self.world.now)

    def run(self, ask: Ask, node: str, *, pending: bool = False, scheduler: str | None = "") -> None:
        """A placeholder is made, and runs on a node, or is about to."""
        uid = f"uid-{ask.name}"
        self.placeholders.done(ask, Made(uid), self.world.now)
        pod = make_pod(uid, None, node, name=ask.name, namespace="spotmix", requests=ask.requests, pending=pending)
        self.world.up(replace(pod, scheduler=scheduler))


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


def test_room_that_is_there_is_given_once(jobs: Jobs) -> None:
    jobs.node("spot-0", 1000)
    jobs.job("a", "b", "c")
    assert jobs.classes() == {"a": "spot", "b": "spot"}
    # They are not seen to be let go yet, and hold their room all the same.
    assert jobs.classes() == {}
    assert [ask.wish.pod.name for ask in jobs.asks()] == ["c"]


def test_without_room_they_wait_gated_behind_placeholders(jobs: Jobs) -> None:
    jobs.job("a", "b", "c", "d")
    assert jobs.classes() == {}
    asks = jobs.asks()
    assert [ask.wish.pod.name for ask in asks] == ["a", "b", "c"]
    jobs.node("new", 500)
    jobs.run(asks[0], "new")
    for ask in asks[1:]:
        jobs.placeholders.done(ask, Made(f"uid-{ask.name}"), jobs.world.now)
    jobs.placeholders.due(jobs.world.now)
    # A scheduler might choose it as a victim while it is deleted here: so it is gone before any pod is let go. It is
    # for one alone: others wait behind theirs.
    assert jobs.classes() == {}
    assert jobs.drops() == [f"uid-{asks[0].name}"]
    assert jobs.classes() == {}
    jobs.end(asks[0])
    # Its room is for one alone.
    assert jobs.classes() == {"a": "spot"}
    assert jobs.classes() == {}


def making_way(jobs: Jobs) -> Ask:
    """A Job's only pod waits until its placeholder is gone."""
    jobs.job("a")
    assert jobs.classes() == {}
    (ask,) = jobs.asks()
    jobs.node("new", 500)
    jobs.run(ask, "new")
    jobs.placeholders.due(jobs.world.now)
    assert jobs.classes() == {}
    return ask


def test_room_that_another_took_meanwhile_is_asked_for_again(jobs: Jobs) -> None:
    ask = making_way(jobs)
    jobs.world.up(make_pod("another", None, "new", requests=Requests(cpu=500)))
    jobs.end(ask)
    assert jobs.classes() == {}
    jobs.world.now += COMES
    assert [ask.wish.pod.name for ask in jobs.asks()] == ["a"]


def test_a_node_that_goes_with_its_placeholder_is_no_room(jobs: Jobs) -> None:
    ask = making_way(jobs)
    jobs.world.gone("nodes", "uid-new")
    jobs.end(ask)
    assert jobs.classes() == {}
    jobs.world.now += COMES
    assert [ask.wish.pod.name for ask in jobs.asks()] == ["a"]


def test_a_placeholder_that_does_not_go_holds_no_pod_for_long(jobs: Jobs) -> None:
    making_way(jobs)
    assert jobs.classes(STALE) == {"a": "spot"}


def test_whose_class_changes_meanwhile_waits_as_long_as_any_other(jobs: Jobs) -> None:
    """The placeholder of its class before may never go."""
    making_way(jobs)
    given = {"spot_percentage": 0, "enforcement": "affinity", "when_unsatisfiable": "any"}
    policy = keys(**given, fallback_after=f"{WAIT:.0f}s")
    jobs.world.up(make_owner("Job", "job", 1, labels=ENABLED, annotations=policy))
    assert jobs.classes() == {}
    assert jobs.classes(WAIT - 1.0) == {}
    assert jobs.classes(2.0) == {"a": "spot"}


def test_who_waits_behind_a_placeholder_is_not_let_go_to_where_that_is_about_to_be(jobs: Jobs) -> None:
    """It would meet it there: the scheduler makes one give way while it is deleted here."""
    jobs.job("a", "b", "c")
    assert jobs.classes() == {}
    asks = jobs.asks()
    for ask in asks:
        # Nothing is known yet of a scheduler that has placed no pod.
        jobs.run(ask, "", pending=True, scheduler="new-here")
    jobs.node("new", 1900)
    assert jobs.classes() == {}
    assert jobs.drops() == []
    for ask in asks:
        jobs.run(ask, "new")
    jobs.placeholders.due(jobs.world.now)
    assert jobs.classes() == {}
    assert len(jobs.drops()) == len(asks)
    for ask in asks:
        jobs.end(ask)
    assert jobs.classes() == {"a": "spot", "b": "spot", "c": "spot"}


def test_a_class_that_is_refused_is_stood_in_for_at_once(jobs: Jobs) -> None:
    jobs.job("a", "b")
    assert jobs.classes() == {}
    ask, *_ = jobs.asks()
    jobs.placeholders.done(ask, NotMade("denied", "no"), jobs.world.now)
    ended = [each for each in jobs.placeholders.due(jobs.world.now) if isinstance(each, Ended)]
    assert [each.ending for each in ended] == [Ending.DENIED]
    assert jobs.classes() == {"a": "on-demand", "b": "on-demand"}


@pytest.mark.parametrize("placeholders", [0, 3])
def test_what_takes_too_long_is_stood_in_for(placeholders: int) -> None:
    jobs = Jobs(placeholders)
    jobs.job("a")
    assert jobs.classes() == {}
    assert jobs.classes(WAIT - 1.0) == {}
    assert jobs.classes(2.0) == {"a": "on-demand"}
    assert jobs.asks() == []


def test_while_nodes_come_for_others_like_it_its_turn_comes(jobs: Jobs) -> None:
    jobs = Jobs(1)
    owner = jobs.job("a", "b")
    assert jobs.classes() == {}
    (ask,) = jobs.asks()
    jobs.world.now += WAIT - 1.0
    jobs.node("new", 500)
    jobs.run(ask, "new")
    jobs.placeholders.due(jobs.world.now)
    assert jobs.classes() == {}
    jobs.end(ask)
    (name,) = jobs.classes()
    jobs.world.up(make_pod(name, owner, "new", written="spot", requests=Requests(cpu=500)))
    assert jobs.classes(WAIT - 10.0) == {}
    assert list(jobs.classes(20.0).values()) == ["on-demand"]


def test_a_placeholder_that_is_about_to_run_is_waited_for(jobs: Jobs) -> None:
    jobs.job("a")
    assert jobs.classes() == {}
    (ask,) = jobs.asks()
    jobs.node("new", 500)
    jobs.run(ask, "new", pending=True)
    assert jobs.classes(WAIT + 1.0) == {}
    jobs.run(ask, "new")
    assert jobs.classes() == {}
    jobs.end(ask)
    assert jobs.classes() == {"a": "spot"}


@pytest.mark.parametrize(
    ("policy", "written"),
    [({"when_unsatisfiable": "wait"}, "spot"), ({"spot_percentage": 0}, "on-demand"), ({"mode": "audit"}, "")],
)
def test_where_nothing_may_stand_in_it_is_written_at_once(jobs: Jobs, policy: dict[str, Any], written: str) -> None:
    jobs.job("a", **policy)
    assert jobs.classes() == {"a": written}
    assert jobs.asks() == []


def test_other_kinds_are_written_at_once(jobs: Jobs) -> None:
    owner = jobs.world.deployment("web", 1, spot_percentage=100, enforcement="affinity")
    jobs.world.up(make_pod("a", owner, gates=(GATE,), scheduler=None))
    assert jobs.classes() == {"a": "spot"}


def test_seats_of_those_that_wait_are_held(jobs: Jobs) -> None:
    jobs.job("a", "b", "c", "d", spot_percentage=50)
    assert jobs.classes() == {"a": "on-demand", "c": "on-demand"}
    assert [ask.wish.pod.name for ask in jobs.asks()] == ["b", "d"]
