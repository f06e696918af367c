"""Whether a node admits a pod and has room for it, as the scheduler would judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import NO_SCHEDULE, World, make_node, make_pod

from extender.core.capacity.fit import Needs, admits, has_room, needed
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Node, Requests
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint, Toleration
from extender.core.placement.nominate import choose_node
from extender.core.state.records import NodeRecord
from extender.core.state.waiting import Waiting


def record(node: Node | None = None) -> NodeRecord:
    return NodeRecord("n1", node or make_node("n1"), [])


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration("dedicated", "Equal", "db", "NoSchedule"), True),
        (Toleration("dedicated", "Equal", "db"), True),
        (Toleration("dedicated", "Equal", "web"), False),
        (Toleration("dedicated", "Exists"), True),
        (Toleration("dedicated", "Exists", effect="NoExecute"), False),
        (Toleration("", "Exists"), True),
        (Toleration("", "Equal", "db"), False),
        (Toleration("other", "Exists"), False),
        (Toleration("dedicated", "Gt", "5"), False),
    ],
)
def test_tolerations(toleration: Toleration, tolerated: bool) -> None:
    assert toleration.tolerates(NO_SCHEDULE) is tolerated


def test_numeric_tolerations() -> None:
    taint = Taint("sla", "950", "NoSchedule")
    assert Toleration("sla", "Gt", "900").tolerates(taint)
    assert not Toleration("sla", "Lt", "900").tolerates(taint)


LABELS = {"zone": "a", "cores": "8"}


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (Requirement("zone", "In", ("a", "b")), True),
        (Requirement("zone", "In", ("b",)), False),
        (Requirement("none", "In", ("a",)), False),
        (Requirement("zone", "NotIn", ("a",)), False),
        (Requirement("none", "NotIn", ("a",)), True),
        (Requirement("zone", "Exists"), True),
        (Requirement("none", "Exists"), False),
        (Requirement("none", "DoesNotExist"), True),
        (Requirement("zone", "DoesNotExist"), False),
        (Requirement("cores", "Gt", ("4",)), True),
        (Requirement("cores", "Lt", ("4",)), False),
        (Requirement("cores", "Gt", ()), False),
        (Requirement("zone", "Gt", ("4",)), False),
        (Requirement("cores", "Near", ("8",)), False),
        (Requirement("metadata.name", "In", ("n1",), field=True), True),
        (Requirement("metadata.name", "NotIn", ("n1",), field=True), False),
    ],
)
def test_requirements(requirement: Requirement, met: bool) -> None:
    assert requirement.matches("n1", LABELS) is met


@pytest.mark.parametrize(
    ("node", "needs", "admitted"),
    [
        (make_node("n1"), Constraints(), True),
        (make_node("n1", taints=(NO_SCHEDULE,)), Constraints(), False),
        (make_node("n1", taints=(NO_SCHEDULE,)), Constraints(tolerations=(Toleration("dedicated", "Exists"),)), True),
        (make_node("n1", taints=(Taint("soft", "", "PreferNoSchedule"),)), Constraints(), True),
        (make_node("n1", unschedulable=True), Constraints(), False),
        (make_node("n1", unschedulable=True), Constraints(tolerations=(Toleration("", "Exists"),)), True),
        (make_node("n1", labels=LABELS), Constraints(node_selector=(("zone", "a"),)), True),
        (make_node("n1", labels=LABELS), Constraints(node_selector=(("zone", "b"),)), False),
        (make_node("n1", labels=LABELS), Constraints(node_terms=()), False),
        (make_node("n1", labels=LABELS), Constraints(node_terms=((),)), False),
        (
            make_node("n1", labels=LABELS),
            Constraints(node_terms=((Requirement("zone", "In", ("b",)),), (Requirement("zone", "Exists"),))),
            True,
        ),
        (
            make_node("n1", labels=LABELS),
            Constraints(node_terms=((Requirement("zone", "Exists"), Requirement("gpu", "Exists")),)),
            False,
        ),
    ],
)
def test_admits(node: Node, needs: Constraints, admitted: bool) -> None:
    assert admits(record(node), needs) is admitted


def test_an_unknown_node_admits_nothing_and_has_no_room() -> None:
    unknown = NodeRecord("n1", None, [])
    assert not admits(unknown, Constraints())
    assert not has_room(unknown, Requests())


AMOUNTS = st.integers(0, 3)


@given(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS), AMOUNTS, st.integers(0, 3))
def test_room_is_what_is_left(amounts: tuple[int, int, int, int], used: int, pods: int) -> None:
    cpu, memory, ephemeral, gpu = amounts
    offer = Requests(3, 3, 3, (("gpu", 3),))
    world = World()
    world.up(make_node("n1", allocatable=offer, max_pods=3))
    for index in range(pods):
        world.up(make_pod(f"p{index}", node="n1", requests=Requests(used, used, used, (("gpu", used),))))
    taken = used * pods
    asked = Requests(cpu, memory, ephemeral, (("gpu", gpu),) if gpu else ())
    wanted = pods < 3 and all(amount == 0 or taken + amount <= 3 for amount in amounts)
    assert has_room(world.state.nodes["n1"], asked) is wanted


def waiting(world: World, pod: str, node: str) -> None:
    entry = Waiting(pod, "shop", pod, "rev", "spot", Reason.WAIT_SAMPLE, 0.0, node=node)
    world.up(make_pod(pod))
    world.state.apply(entry, 0.0)


def test_nomination_takes_the_emptiest_node_that_fits_and_counts_those_nominated() -> None:
    world = World()
    small = Requests(cpu=250)
    for name in ("a", "b", "c", "offered", "refused", "tainted"):
        world.up(make_node(name, allocatable=small, taints=(NO_SCHEDULE,) if name == "tainted" else ()))
    world.up(make_pod("p1", node="a"))
    needs = Needs(Requests(cpu=100))

    def choose() -> str:
        nodes = world.state.placeable["spot"].values()
        return choose_node(world.state, nodes, {"offered"}, {"refused"}, needs)

    chosen = []
    for index in range(6):
        chosen.append(choose())
        waiting(world, f"w{index}", chosen[-1])
    # Room for two more pods each on b and c, for one on a.
    assert chosen == ["b", "c", "a", "b", "c", ""]


def test_a_resource_that_the_scheduler_ignores_keeps_nobody_away() -> None:
    world = World()
    offers = Requests(cpu=1000, extended=(("example.com/a", 0), ("example.com/b", 2)))
    world.up(make_node("here", allocatable=offers), make_node("there", allocatable=Requests(cpu=1000)))
    asked = Requests(cpu=100, extended=(("example.com/a", 1), ("example.com/b", 1), ("hugepages-2Mi", 4)))
    owner = world.deployment("web", 3)
    world.up(make_pod("p", owner, "here", requests=asked), make_pod("new", owner, requests=asked))
    pods = world.state.pods
    assert needed(pods["new"]) == needed(pods["p"]) == asked
    # What it has by a claim is no sign that it needs none.
    claimed = Constraints(unmodelled=("status.extendedResourceClaimStatus",))
    world.up(make_pod("q", owner, "there", requests=asked, constraints=claimed))
    assert needed(pods["new"]) == asked
    world.up(make_pod("q", owner, "there", requests=asked))
    assert needed(pods["new"]) == needed(pods["p"]) == Requests(cpu=100, extended=(("hugepages-2Mi", 4),))
    # Others may have a scheduler that does not.
    world.up(make_pod("alone", requests=asked))
    assert needed(pods["alone"]) == asked
