"""What a namespace may hold of a class: never more by our decisions, all of it used, and who waits is woken."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import World, make_namespace, make_node, make_pod, make_view, selector
from support.examples import examples
from support.limits import counted, limit_policy, used

from extender.core.model.objects import OwnerRef, Pod, Requests
from extender.core.model.reasons import Reason
from extender.core.placement.controller import Annotate, PlacementController
from extender.core.placement.decide import Decision
from extender.core.placement.gatelimits import Kept
from extender.core.placement.gates import GateController
from extender.core.state.closures import SHORTEST
from extender.core.state.events import Gone, Upsert
from extender.core.state.holdings import AGAIN
from extender.core.state.intake import Intake

GATE = "spotmix.io/placement"
HALF = Requests(cpu=500, memory=1 << 30)


def limited(*limits: str) -> World:
    world = World()
    world.up(make_namespace())
    world.up(limit_policy("team", *limits))
    return world


def ask(world: World, owner: OwnerRef, uid: str, requests: Requests = HALF) -> Decision:
    if uid not in world.state.pods:
        world.up(make_pod(uid, owner, requests=requests))
    return world.decide(make_view(uid, owner), list(world.state.nodes))


def test_as_much_as_is_allowed_is_used_and_no_more() -> None:
    world = limited("on-demand cpu 2")
    world.nodes(on_demand=1, spot=1)
    owner = world.deployment("web", 9)
    decisions = [ask(world, owner, f"p{number}") for number in range(9)]
    assert [each.reason for each in decisions] == [Reason.SEAT] * 4 + [Reason.LIMIT_REACHED] * 5
    assert used(world.state) == counted(world.state) == {"on-demand cpu": 2000}
    # What was let go is asked about again, and is not kept from what it holds.
    assert ask(world, owner, "p0").reason is Reason.SEAT
    assert decisions[-1].waiting is not None
    assert decisions[-1].waiting.limited == ("on-demand",)


def test_another_class_stands_in_where_the_policy_lets_it_and_only_within_its_own_limit() -> None:
    world = limited("on-demand cpu 1", "spot pods 1")
    world.nodes(on_demand=1, spot=1)
    owner = world.deployment("web", 9, when_unsatisfiable="any")
    decisions = [ask(world, owner, f"p{number}") for number in range(4)]
    assert [(each.capacity_class, each.reason) for each in decisions] == [
        ("on-demand", Reason.SEAT),
        ("on-demand", Reason.SEAT),
        ("spot", Reason.FALLBACK),
        ("", Reason.LIMIT_REACHED),
    ]
    assert decisions[2].limited == ("on-demand",)
    assert decisions[3].limited == ("on-demand", "spot")


def test_a_stand_in_is_waited_for_as_with_a_class_without_room() -> None:
    world = limited("spot cpu 0")
    world.nodes(on_demand=1, spot=1)
    owner = world.deployment("web", 2, spot_percentage=100, fallback_after="1m")
    first = ask(world, owner, "p0")
    assert (first.reason, first.waiting and first.waiting.wake_at) == (Reason.LIMIT_REACHED, world.now + 60)
    world.now += 60
    assert ask(world, owner, "p0").reason is Reason.FALLBACK


def test_a_pod_that_the_watch_does_not_know_is_asked_about_again_once_it_is() -> None:
    world = limited("on-demand cpu 2")
    nodes = world.nodes(on_demand=1)
    owner = world.deployment("web", 2, when_unsatisfiable="any")
    controller = PlacementController(world.state, 0)
    intake = Intake(world.state, [controller.observe], [controller.observe])
    view = make_view("p", owner)
    assert controller.is_early(view)
    decision = controller.filter(view, controller.owner(view), nodes, world.now)
    assert (decision.reason, controller.due(world.now)) == (Reason.LIMIT_REACHED, [])
    intake.take(Upsert(make_pod("p", owner, requests=HALF)), world.now)
    assert [each for each in controller.due(world.now + 1) if isinstance(each, Annotate)] != []
    assert not controller.is_early(view)
    assert controller.filter(view, controller.owner(view), nodes, world.now).reason is Reason.SEAT


def test_what_frees_wakes_the_first_that_there_is_enough_for() -> None:
    world = limited("on-demand cpu 2")
    world.nodes(on_demand=1)
    owner = world.deployment("web", 9)
    for number in range(4):
        assert ask(world, owner, f"p{number}").nodes
        world.up(make_pod(f"p{number}", owner, "on-demand-0", requests=HALF))
    ask(world, owner, "large", Requests(cpu=1500))
    ask(world, owner, "q0")
    ask(world, owner, "q1")
    world.woken()
    # It holds what it has until it is gone.
    world.up(make_pod("p0", owner, "on-demand-0", requests=HALF, terminating=True))
    assert world.woken() == set()
    world.gone("pods", "p0")
    assert world.woken() == {"q0"}
    # It is kept for it: a pod that is new comes sooner than one that the scheduler has to be asked to try.
    assert ask(world, owner, "new").reason is Reason.LIMIT_REACHED
    assert ask(world, owner, "q0").nodes
    # One that ends frees as well; who was tried in vain gives way to the others.
    world.up(make_pod("p1", owner, "on-demand-0", requests=HALF, ended=True))
    assert world.woken() == {"q1"}
    # What is kept for who does not come back is for others in the end.
    world.now += AGAIN
    world.state.expire(world.now)
    world.gone("pods", "p2")
    assert world.woken() == {"new", "q1"}
    world.state.expire(world.now + AGAIN)
    world.gone("pods", "p3")
    assert "large" in world.woken()


def test_a_limit_that_is_raised_or_gone_wakes() -> None:
    world = limited("on-demand pods 0")
    world.nodes(on_demand=1)
    owner = world.deployment("web", 3)
    assert ask(world, owner, "p0").reason is Reason.LIMIT_REACHED
    world.up(replace(limit_policy("team", "on-demand pods 1"), generation=2))
    assert world.woken() == {"p0"}
    assert ask(world, owner, "p0").nodes
    assert ask(world, owner, "p1").reason is Reason.LIMIT_REACHED
    world.gone("clusterplacementpolicies.spotmix.io", "uid-team")
    assert "p1" in world.woken()
    assert ask(world, owner, "p1").nodes


def test_limits_are_of_the_namespaces_that_are_selected() -> None:
    world = World()
    world.up(make_namespace(), limit_policy("team", "on-demand pods 0", namespaces=selector(team="a")))
    world.nodes(on_demand=1)
    owner = world.deployment("web", 3)
    assert ask(world, owner, "p0").nodes
    world.up(make_namespace(all_labels={"team": "a"}))
    assert used(world.state) == {"on-demand pods": 1}
    assert ask(world, owner, "p1").reason is Reason.LIMIT_REACHED
    world.up(make_namespace(all_labels={"team": "b"}))
    assert world.woken() == {"p1"}


def test_the_strictest_of_several_holds_and_one_in_audit_mode_only_tells() -> None:
    world = limited("on-demand pods 3")
    world.up(limit_policy("narrow", "on-demand pods 1"), limit_policy("told", "on-demand pods 0", mode="Audit"))
    world.nodes(on_demand=1)
    owner = world.deployment("web", 3)
    assert [bool(ask(world, owner, f"p{number}").nodes) for number in range(3)] == [True, False, False]
    account = world.state.holdings.accounts["shop"]
    assert [limit.policy for limit in account.limited("on-demand")] == ["ClusterPlacementPolicy narrow"]


def test_pods_of_nobody_hold_what_they_have_and_who_asks_for_nothing_passes() -> None:
    world = limited("on-demand cpu 1", "on-demand example.com/gpu 1")
    world.nodes(on_demand=1)
    owner = world.deployment("web", 9)
    world.up(make_pod("nobodys", None, "on-demand-0", requests=Requests(cpu=900, extended=(("example.com/gpu", 1),))))
    assert ask(world, owner, "p0").reason is Reason.LIMIT_REACHED
    assert ask(world, owner, "p1", Requests(cpu=100)).nodes
    assert ask(world, owner, "p2", Requests()).nodes
    assert ask(world, owner, "p3", Requests(extended=(("example.com/gpu", 1),))).reason is Reason.LIMIT_REACHED


def test_a_policy_of_limits_alone_opts_nobody_in_and_silences_no_other() -> None:
    world = limited("on-demand pods 1")
    world.up(limit_policy("older", "on-demand pods 9", priority=9))
    owner = world.deployment("web", 3, labels={})
    assert world.state.workloads.resolve("shop", owner) is None


# Gated pods


def test_a_gated_pod_keeps_its_gate_until_there_is_enough() -> None:
    world = limited("on-demand cpu 1")
    world.nodes(on_demand=1, spot=1)
    owner = world.deployment("web", 5)
    gates = GateController(world.state)
    controller = PlacementController(world.state, 0)
    intake = Intake(world.state, [controller.observe, gates.observe], [controller.observe, gates.observe])
    told: list[Kept] = []
    gates.kept = told.append
    for number in range(3):
        intake.take(Upsert(make_pod(f"p{number}", owner, requests=HALF, gates=(GATE,), created=number)), world.now)
    assert [each.pod.name for each in gates.due(world.now)] == ["p0", "p1"]
    assert [each.text for each in told] == [
        "limit of ClusterPlacementPolicy team: on-demand cpu 1 of 1 used in namespace shop"
    ]
    assert used(world.state) == counted(world.state) == {"on-demand cpu": 1000}
    assert gates.next_at > world.now
    for name in ("p0", "p1"):
        written = make_pod(name, owner, "on-demand-0", requests=HALF, written="on-demand")
        intake.take(Upsert(written), world.now)
    assert gates.due(world.now) == []
    intake.take(Gone("pods", "p0"), world.now)
    assert [each.pod.name for each in gates.due(world.now)] == ["p2"]
    # No scheduler had it: nobody is asked to try it again, and nothing waits any more.
    assert not [each for each in controller.due(world.now + 1) if isinstance(each, Annotate)]
    assert len(world.state.waiting) == 0
    assert len(told) == 1


def test_a_class_stands_in_for_one_that_is_limited_on_a_gated_pod() -> None:
    world = limited("spot cpu 0")
    world.nodes(on_demand=1, spot=1)
    owner = world.deployment("web", 5, spot_percentage=100, fallback_after="30s")
    gates = GateController(world.state)
    world.up(make_pod("p", owner, requests=HALF, gates=(GATE,)))
    assert gates.due(world.now) == []
    assert gates.next_at == world.now + 30
    (release,) = gates.due(world.now + 30)
    assert (release.capacity_class, release.wanted) == ("on-demand", "spot")
    assert release.why == "limit of ClusterPlacementPolicy team: spot cpu 0 of 0 used in namespace shop"


def test_a_stand_in_that_cannot_be_had_either_is_looked_for_again() -> None:
    world = limited("spot cpu 0")
    world.nodes(on_demand=1, spot=1)
    owner = world.deployment("web", 5, spot_percentage=100)
    gates = GateController(world.state)
    world.up(make_pod("p", owner, requests=HALF, gates=(GATE,)))
    said = world.state.autoscaling
    said.closures.close("on-demand", said.demand(world.state.pods["p"]), world.now, "there is none")
    assert gates.due(world.now) == []
    assert gates.next_at < world.now + SHORTEST
    (release,) = gates.due(world.now + SHORTEST + 1)
    assert release.capacity_class == "on-demand"


# Anything, in any order


class Team:
    """A namespace with limits under a burst: pods are asked about, bound, end and go, and limits change."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World()
        self.world.up(make_namespace())
        self.world.nodes(spot=1, on_demand=1)
        self.owners = [
            self.world.deployment("a", 9, spot_percentage=50),
            self.world.deployment("b", 9, when_unsatisfiable="any"),
            self.world.deployment("c", 9, spot_percentage=100, when_unsatisfiable="wait"),
        ]
        self.gates = GateController(self.world.state)
        self.live: dict[str, Pod] = {}
        self.most: dict[str, int] = {}
        self.change()

    def change(self) -> None:
        self.most = {
            "on-demand cpu": self.random.randint(0, 12) * 250,
            "spot pods": self.random.randint(0, 6),
            "spot memory": self.random.randint(0, 6) << 30,
        }
        limits = [f"{name} {most}{'m' * ('cpu' in name)}" for name, most in self.most.items()]
        policy = limit_policy("team", *limits)
        self.world.up(replace(policy, generation=self.random.randint(1, 1 << 30)))

    def create(self) -> None:
        owner = self.random.choice(self.owners)
        uid = f"pod-{self.random.randint(0, 1 << 40)}"
        requests = Requests(cpu=self.random.randint(0, 4) * 250, memory=self.random.randint(0, 2) << 30)
        gates = (GATE,) if self.random.random() < 0.3 else ()
        self.live[uid] = make_pod(uid, owner, requests=requests, gates=gates)
        self.world.up(self.live[uid])

    def decide(self) -> None:
        """Ask about a pod, or write classes; nothing that is decided takes a namespace above a limit."""
        before = used(self.world.state)
        if self.random.random() < 0.3:
            self.world.now += self.random.choice([0.0, 6.0])
            for release in self.gates.due(self.world.now):
                pod = replace(self.live[release.pod.uid], gates=(), written=release.capacity_class)
                self.live[pod.uid] = pod
        else:
            free = [pod for pod in self.live.values() if not (pod.node or pod.gates or pod.terminating)]
            if not free:
                return
            pod = self.random.choice(free)
            decision = self.world.decide(make_view(pod.uid, pod.owner), ["spot-0", "on-demand-0"])
            if decision.nodes is None:
                self.bind(pod, f"{pod.written}-0")
            elif decision.nodes and self.random.random() < 0.8:
                self.bind(pod, decision.nodes[0])
        for name, amount in used(self.world.state).items():
            assert amount <= max(self.most.get(name, amount), before.get(name, 0)), name

    def bind(self, pod: Pod, node: str) -> None:
        self.live[pod.uid] = replace(pod, node=node)
        if self.random.random() < 0.7:
            self.world.up(self.live[pod.uid])

    def end(self) -> None:
        if not self.live:
            return
        pod = self.random.choice(list(self.live.values()))
        how = self.random.choice(["gone", "ended", "terminating", "shown"])
        if how == "gone":
            self.world.gone("pods", pod.uid)
        elif how == "shown":
            self.world.up(pod)
            return
        else:
            self.live[pod.uid] = replace(pod, ended=how == "ended", terminating=True)
            self.world.up(self.live[pod.uid])
        if how != "terminating":
            del self.live[pod.uid]

    def node(self) -> None:
        name = self.random.choice(["spot", "on-demand"])
        if self.random.random() < 0.3:
            self.world.gone("nodes", f"uid-{name}-0")
        self.world.up(make_node(f"{name}-0", name, going_away=self.random.choice(["", "", "taint"])))


@given(st.randoms(use_true_random=True))
@examples(150)
def test_sums_are_those_of_a_recount_and_no_decision_goes_above_a_limit(random: Random) -> None:
    team = Team(random)
    steps = (team.create, team.create, team.decide, team.decide, team.decide, team.end, team.node)
    for _ in range(80):
        random.choice(steps)()
        if random.random() < 0.05:
            team.change()
        assert used(team.world.state) == counted(team.world.state)
