"""What an explanation says of pods in every state that a user asks about."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from support.doubles import (
    ENABLED,
    NO_SCHEDULE,
    RULES,
    World,
    keys,
    make_claim,
    make_namespace,
    make_node,
    make_owner,
    make_pod,
)
from support.limits import limit_policy

from extender.core.answers.nodes import STAND_IN, STEP, UNUSED, WANTED
from extender.core.answers.pod import PodExplanation, explain_pod, explain_pod_in_steps
from extender.core.answers.pod_parts import Held, OnPod, Seat, Surplus
from extender.core.answers.seats import SeatsOf
from extender.core.answers.workload import explain_workload
from extender.core.model.constraints import Constraints
from extender.core.model.objects import OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.model.steps import run_steps
from extender.core.policy.provenance import HELD, LAST_VALID, VALID
from extender.core.state.events import Unavailable


@pytest.fixture
def world() -> World:
    return World()


def explain(world: World, uid: str) -> PodExplanation:
    explained = explain_pod(world.state, world.state.pods[uid], world.now)
    # Whatever is shown by a command or an API can be encoded.
    assert msgspec.json.decode(msgspec.json.encode(explained))["pod"]["uid"] == uid
    return explained


def groups(explained: PodExplanation) -> Mapping[str, Mapping[tuple[Reason, str], int]]:
    return {
        each.capacity_class: {(group.reason, group.detail): group.count for group in each.groups}
        for each in explained.classes
    }


def settled(world: World, owner: OwnerRef, *nodes: str) -> None:
    """Pods `pod-0` and so on, bound to these nodes."""
    for number, node in enumerate(nodes):
        world.up(make_pod(f"pod-{number}", owner, node, created=float(number)))


def test_a_pod_on_its_seat(world: World) -> None:
    world.nodes(spot=2, on_demand=1)
    settled(world, world.deployment("web", 4, spot_percentage=50, min_on_demand=1), "on-demand-0", "spot-0")
    explained = explain(world, "pod-1")
    assert explained.workload is not None
    assert (explained.workload.kind, explained.workload.name) == ("Deployment", "web")
    assert explained.revision is not None
    assert (explained.revision.kind, explained.revision.name) == ("ReplicaSet", "web-1")
    assert explained.place is not None
    assert (explained.place.node, explained.place.capacity_class, explained.place.counted) == ("spot-0", "spot", True)
    assert explained.outcome is not None
    assert (explained.outcome.reason, explained.outcome.wanted, explained.outcome.given) == (
        Reason.SEAT,
        "spot",
        "spot",
    )
    assert (explained.replicas, explained.policy, explained.mode) == (4, VALID, "enforce")
    assert explained.seat == Seat(2, "spot", beyond=False)
    assert explained.seats == (SeatsOf("on-demand", 2, 1, 0), SeatsOf("spot", 2, 1, 0))
    assert explained.surplus is None
    assert groups(explained) == {"spot": {(Reason.FITS, ""): 2}, "on-demand": {(Reason.OTHER_CLASS, ""): 1}}
    assert [each.role for each in explained.classes] == [WANTED, STAND_IN]


def test_a_surplus_pod_would_go_elsewhere_now(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    settled(world, world.deployment("web", 2, spot_percentage=50), "on-demand-0", "on-demand-0")
    explained = explain(world, "pod-0")
    assert explained.surplus == Surplus(1, 2, ("spot",))
    assert explained.outcome is not None
    assert explained.outcome.given == "spot"


def test_every_reason_of_a_node_is_told_once_with_its_count(world: World) -> None:
    world.up(
        make_node("fits"),
        make_node("leaves", going_away="karpenter.sh/disrupted"),
        make_node("cordoned", unschedulable=True),
        make_node("tainted", taints=(NO_SCHEDULE,)),
        make_node("elsewhere", labels={"disk": "hdd"}),
        make_node("full", allocatable=Requests(cpu=50), labels={"disk": "ssd"}),
        make_node("full-too", allocatable=Requests(cpu=50), labels={"disk": "ssd"}),
        make_node("od", "on-demand"),
    )
    world.up(
        make_node("fits", labels={"disk": "ssd"}), make_node("cordoned", unschedulable=True, labels={"disk": "ssd"})
    )
    world.up(make_node("tainted", taints=(NO_SCHEDULE,), labels={"disk": "ssd"}))
    owner = world.deployment("web", 1, spot_percentage=100)
    world.up(make_pod("p", owner, constraints=Constraints((("disk", "ssd"),))))
    explained = explain(world, "p")
    assert groups(explained) == {
        "spot": {
            (Reason.FITS, ""): 1,
            (Reason.FULL, ""): 2,
            (Reason.CORDONED, ""): 1,
            (Reason.GOING_AWAY, "karpenter.sh/disrupted"): 1,
            (Reason.NOT_SELECTED, ""): 1,
            (Reason.TAINTED, NO_SCHEDULE.key): 1,
        },
        "on-demand": {(Reason.OTHER_CLASS, ""): 1},
    }
    first = explained.classes[0]
    assert (first.given, first.nodes) == (True, 7)
    assert [(group.reason, group.examples) for group in first.groups[:2]] == [
        (Reason.FITS, ("fits",)),
        (Reason.FULL, ("full", "full-too")),
    ]


def test_a_pod_that_would_fall_back(world: World) -> None:
    world.nodes(on_demand=2)
    world.up(make_node("small", allocatable=Requests(cpu=1)))
    owner = world.deployment("web", 1, spot_percentage=100)
    world.up(make_pod("p", owner))
    explained = explain(world, "p")
    assert explained.outcome is not None
    assert (explained.outcome.reason, explained.outcome.given, explained.outcome.passing) == (
        Reason.FALLBACK,
        "on-demand",
        2,
    )
    assert groups(explained) == {"spot": {(Reason.FULL, ""): 1}, "on-demand": {(Reason.FITS, ""): 2}}
    assert [(each.role, each.given) for each in explained.classes] == [(WANTED, False), (STAND_IN, True)]


def test_a_pod_that_waits_before_it_falls_back(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100, fallback_after="30s")
    world.up(make_pod("p", owner, created=990.0))
    fresh = explain(world, "p")
    assert fresh.outcome is not None
    # No service holds anything for it: it has waited since it was made.
    assert (fresh.outcome.reason, fresh.outcome.wake_at, fresh.waits) == (Reason.WAIT_FALLBACK, 1020.0, None)
    assert groups(fresh) == {"spot": {}, "on-demand": {(Reason.WAIT_FALLBACK, ""): 1}}
    world.place(owner, offered, uid="p")
    held = explain(world, "p")
    assert held.waits is not None
    assert (held.waits.reason, held.waits.wake_at) == (Reason.WAIT_FALLBACK, 1030.0)
    assert held.held == Held("spot", 1000.0, stand_in=False)
    assert held.seat == Seat(1, "spot", beyond=False)
    world.now = 1031.0
    late = explain(world, "p")
    assert late.outcome is not None
    assert late.outcome.reason is Reason.FALLBACK


def test_a_pod_that_waits_for_ever_says_what_is_full(world: World) -> None:
    world.up(make_node("spot-0", allocatable=Requests(cpu=1)))
    world.nodes(on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100, when_unsatisfiable="wait")
    world.up(make_pod("p", owner))
    explained = explain(world, "p")
    assert explained.outcome is not None
    assert (explained.outcome.reason, explained.outcome.given) == (Reason.WAIT_CLASS, "")
    assert groups(explained) == {"spot": {(Reason.FULL, ""): 1}, "on-demand": {(Reason.OTHER_CLASS, ""): 1}}
    assert [each.role for each in explained.classes] == [WANTED, UNUSED]
    assert explained.scores == ()


def test_pool_caps_tell_full_pools_from_fuller_ones(world: World) -> None:
    world.up(*(make_node(f"spot-{zone}", zone=zone) for zone in "abc"))
    owner = world.deployment("web", 6, spot_percentage=100, max_per_pool=2)
    settled(world, owner, "spot-a", "spot-a", "spot-b")
    world.up(make_pod("p", owner))
    assert groups(explain(world, "p"))["spot"] == {
        (Reason.FITS, ""): 1,
        (Reason.OTHER_POOL, "m.large/b"): 1,
        (Reason.NODE_POOL_FULL, "m.large/a"): 1,
    }


def test_scores_by_part_include_the_pods_own_node(world: World) -> None:
    world.up(*(make_node(f"spot-{number}", zone=str(number)) for number in range(7)))
    owner = world.deployment("web", 3, spot_percentage=100)
    settled(world, owner, "spot-6", "spot-6")
    scores = explain(world, "pod-0").scores
    assert [score.node for score in scores] == ["spot-0", "spot-1", "spot-2", "spot-3", "spot-4", "spot-6"]
    assert (scores[0].total, scores[0].parts) == (10, {"class": 4, "pool": 3, "node": 2, "health": 1})
    assert (scores[-1].total, scores[-1].parts) == (5, {"class": 4, "pool": 0, "node": 0, "health": 1})


def test_a_stateful_sets_pod_has_the_seat_of_its_ordinal(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    owner = make_owner("StatefulSet", "db", 4, labels=ENABLED, annotations=keys(spot_percentage=50), first_ordinal=1)
    world.up(owner, make_pod("db-2", owner.ref, "on-demand-0"))
    explained = explain(world, "db-2")
    assert explained.seat == Seat(2, "spot", beyond=False)
    assert explained.surplus == Surplus(1, 1, ("spot",))
    assert explained.outcome is not None
    assert (explained.outcome.reason, explained.outcome.given) == (Reason.ORDINAL, "spot")


def test_seats_follow_what_deletion_costs_say(world: World) -> None:
    world.nodes(on_demand=1)
    owner = world.deployment("web", 2)
    world.up(make_pod("old", owner, "on-demand-0", created=1.0, cost="999998"))
    world.up(make_pod("new", owner, "on-demand-0", created=2.0))
    world.up(make_pod("newer", owner, "on-demand-0", created=3.0))
    assert [explain(world, uid).seat for uid in ("old", "new", "newer")] == [
        Seat(2, "on-demand", beyond=False),
        Seat(1, "on-demand", beyond=False),
        Seat(3, "on-demand", beyond=True),
    ]


def test_a_held_policy_and_a_last_valid_one(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    bad = world.deployment("bad", 1, spot_percentage="seventy")
    good = world.deployment("good", 1, spot_percentage=100)
    world.annotate("good", 1, spot_percentage="all")
    world.up(make_pod("held", bad), make_pod("kept", good))
    held, kept = explain(world, "held"), explain(world, "kept")
    assert (held.policy, kept.policy) == (HELD, LAST_VALID)
    assert held.outcome is not None
    assert kept.outcome is not None
    assert (held.outcome.reason, held.outcome.given) == (Reason.POLICY_INVALID, "on-demand")
    assert (kept.outcome.reason, kept.outcome.given) == (Reason.SEAT, "spot")
    assert [problem.key for problem in held.problems] == ["spotmix.io/spot-percentage"]
    setting = next(each for each in kept.settings if each.key == "spot-percentage")
    assert (setting.value, setting.written, setting.applied) == ("100", "all", False)


def test_audit_says_what_it_would_want_and_lets_all_pass(world: World) -> None:
    world.nodes(spot=1, on_demand=2)
    owner = world.deployment("web", 1, spot_percentage=100, mode="audit")
    world.up(make_pod("p", owner))
    explained = explain(world, "p")
    assert explained.outcome is not None
    assert (explained.mode, explained.outcome.reason, explained.outcome.wanted) == ("audit", Reason.AUDIT, "spot")
    assert groups(explained) == {"spot": {(Reason.FITS, ""): 1}, "on-demand": {(Reason.FITS, ""): 2}}
    assert explained.outcome.passing == 3


def test_why_a_pod_is_not_managed(world: World) -> None:
    world.nodes(spot=1)
    plain = world.deployment("plain", 1, labels={})
    out = world.deployment("out", 1, labels={"spotmix.io/enabled": "False"})
    custom = OwnerRef("uid-x", "example.org/v1", "Widget", "x")
    world.state.apply(Unavailable("example.org", "Widget"), world.now)
    cases = {
        "alone": (None, "shop", Reason.NO_CONTROLLER, ""),
        "agent": (OwnerRef("ds", "apps/v1", "DaemonSet", "agent"), "shop", Reason.NEVER_MANAGED, "DaemonSet agent"),
        "system": (plain, "kube-system", Reason.PROTECTED_NAMESPACE, "kube-system"),
        "plain": (plain, "shop", Reason.NOT_OPTED_IN, "Deployment shop/plain"),
        "out": (out, "shop", Reason.OPTED_OUT, "Deployment shop/out"),
        "custom": (custom, "shop", Reason.OWNER_UNREADABLE, "Widget x"),
    }
    for uid, (owner, namespace, reason, detail) in cases.items():
        world.up(make_pod(uid, owner, "spot-0", namespace=namespace))
        explained = explain(world, uid)
        assert explained.unmanaged is not None
        assert (explained.unmanaged.reason, explained.unmanaged.detail) == (reason, detail)
        assert (explained.outcome, explained.classes) == (None, ())
        assert explained.place is not None


def test_an_owner_that_is_not_known_yet_holds_on_demand(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    world.up(make_pod("p", OwnerRef("nobody", "apps/v1", "ReplicaSet", "gone")))
    explained = explain(world, "p")
    assert explained.outcome is not None
    assert (explained.outcome.reason, explained.outcome.given) == (Reason.OWNER_UNKNOWN, "on-demand")


def test_volumes_that_nobody_made_yet_keep_no_node_off(world: World) -> None:
    world.nodes(on_demand=1)
    owner = world.deployment("web", 2)
    world.up(make_claim("later"), make_claim("lost", "no-such-volume"))
    world.up(make_pod("p", owner, constraints=Constraints(claims=("later",))))
    world.up(make_pod("q", owner, constraints=Constraints(claims=("lost",))))
    assert groups(explain(world, "p"))["on-demand"] == {(Reason.FITS, ""): 1}
    assert groups(explain(world, "q"))["on-demand"] == {(Reason.NO_VOLUME, ""): 1}


def test_each_key_with_its_place() -> None:
    world = World(msgspec.structs.replace(RULES, defaults=keys(fallback_after="1m")))
    world.up(make_namespace(labels=ENABLED, annotations=keys(spot_percentage=50, min_on_demand=2, mode="audit")))
    world.up(make_node("od", "on-demand"))
    owner = world.deployment("web", 9, labels={}, on_demand_base=3, mode="enforce", max_per_pool="25%")
    world.up(make_pod("p", owner, "od"))
    found = {each.key: each for each in explain(world, "p").settings}
    shown = {key: (each.value, each.source, each.applied) for key, each in found.items()}
    assert shown["spot-percentage"] == ("50", "Namespace shop", True)
    assert shown["on-demand-base"] == ("3", "Deployment shop/web", True)
    assert shown["min-on-demand"] == ("0", "Namespace shop", False)
    assert shown["mode"] == ("enforce", "Deployment shop/web", True)
    assert shown["fallback-after"] == ("60s", "configuration policy.defaults", True)
    assert shown["max-per-pool"] == ("25%", "Deployment shop/web", True)
    assert shown["max-spot"] == ("", "default", True)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [({"enforcement": "extender"}, "0s"), ({"enforcement": "affinity"}, "180s"), ({"fallback_after": "20s"}, "20s")],
)
def test_how_long_a_pod_waits_goes_by_how_its_class_is_enforced(
    world: World, policy: dict[str, Any], seconds: str
) -> None:
    owner = world.deployment("web", 2, spot_percentage=50, **policy)
    world.up(make_pod("p", owner))
    assert {each.key: each.value for each in explain(world, "p").settings}["fallback-after"] == seconds
    workload = explain_workload(world.state, world.workload(owner), world.now)
    assert {each.key: each.value for each in workload.settings}["fallback-after"] == seconds


def test_explaining_changes_nothing(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=50, when_unsatisfiable="wait")
    for uid in ("a", "b", "c"):
        world.up(make_pod(uid, owner))
    world.place(owner, offered, uid="a")
    world.place(owner, offered, uid="b")

    def seen() -> object:
        state = world.state
        revision = state.revisions[owner.uid]
        return dict(revision.reserved), dict(revision.reservations), list(state.waiting.all()), state.reserved

    before = seen()
    for uid in ("a", "b", "c"):
        explain(world, uid)
    assert seen() == before
    assert world.state.outbox.effects
    world.state.outbox.effects.clear()
    explain(world, "c")
    assert world.state.outbox.effects == []


def test_nodes_may_go_and_pods_come_while_a_pod_is_explained(world: World) -> None:
    names = world.nodes(spot=3 * STEP, on_demand=1)
    owner = world.deployment("web", 4, spot_percentage=100)
    settled(world, owner, "spot-0")
    world.up(make_pod("waiting", owner))
    steps = explain_pod_in_steps(world.state, world.state.pods["waiting"], world.now)
    for _ in range(3):
        next(steps)
    gone = names[1 : 3 * STEP : 2]
    for name in gone:
        world.gone("nodes", make_node(name, "spot").uid)
    world.gone("pods", "waiting")
    explained = run_steps(steps)
    assert explained.outcome is not None
    assert explained.outcome.passing == 3 * STEP - len(gone)
    assert not {score.node for score in explained.scores} & set(gone)
    assert [each.given for each in explained.classes] == [True, False]


@pytest.mark.parametrize(
    ("gates", "reason"),
    [
        (("spotmix.io/placement",), Reason.GATED),
        (("kueue.x-k8s.io/admission", "spotmix.io/placement"), Reason.GATED_BY_OTHERS),
    ],
)
def test_a_gated_pod_says_for_whom_it_waits(world: World, gates: tuple[str, ...], reason: Reason) -> None:
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=100)
    world.up(make_pod("p", owner, gates=gates))
    explained = explain_pod(world.state, world.state.pods["p"], world.now)
    assert explained.outcome is not None
    assert (explained.outcome.reason, explained.outcome.wanted, explained.outcome.given) == (reason, "spot", "")


def test_what_is_on_a_pod_itself(world: World) -> None:
    world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 4, spot_percentage=50, enforcement="affinity")
    world.up(
        make_pod("gated", owner, gates=("spotmix.io/placement",), created=900.0),
        make_pod("queued", owner, gates=("kueue.x-k8s.io/admission", "spotmix.io/placement"), created=901.0),
        make_pod("sent", owner, written="spot", created=902.0),
        make_pod("there", owner, "on-demand-0", written="on-demand", created=903.0),
        make_pod("own", owner, "on-demand-0", created=904.0),
    )
    seen = {name: explain(world, name) for name in ("gated", "queued", "sent", "there", "own")}
    reasons = {name: each.outcome.reason for name, each in seen.items() if each.outcome is not None}
    assert reasons == {
        "gated": Reason.GATED,
        "queued": Reason.GATED_BY_OTHERS,
        "sent": Reason.WRITTEN,
        "there": Reason.WRITTEN,
        "own": Reason.SEAT,
    }
    assert seen["queued"].on_pod == OnPod(("kueue.x-k8s.io/admission", "spotmix.io/placement"), "", 901.0)
    assert seen["sent"].on_pod == OnPod((), "spot", 902.0)
    assert seen["there"].on_pod == OnPod((), "on-demand", 903.0)
    assert seen["own"].on_pod is None
    # A pod goes where its class says, whatever fits.
    assert seen["sent"].seat == Seat(2, "spot", beyond=False)
    workload = explain_workload(world.state, world.workload(owner), world.now)
    rows = {row.name: (row.reason, row.wanted) for row in workload.pods}
    assert rows == {
        "gated": (Reason.GATED, "spot"),
        "queued": (Reason.GATED_BY_OTHERS, "spot"),
        "sent": (Reason.WRITTEN, "spot"),
        "there": (None, ""),
        "own": (None, ""),
    }
    assert workload.row is not None
    assert workload.row.waiting == {Reason.GATED: 1, Reason.GATED_BY_OTHERS: 1, Reason.WRITTEN: 1}


def test_a_pod_that_waits_for_a_limit_is_told_which_and_how_much_is_used(world: World) -> None:
    world.up(make_namespace(), limit_policy("team", "on-demand cpu 100m"))
    offered = world.nodes(on_demand=2)
    owner = world.deployment("web", 2)
    for name in ("pod-0", "pod-1"):
        world.place(owner, offered, uid=name)
    first, second = explain(world, "pod-0"), explain(world, "pod-1")
    assert first.limits == ()
    assert second.limits == ("limit of ClusterPlacementPolicy team: on-demand cpu 100m of 100m used in namespace shop",)
    assert second.waits is not None
    assert second.waits.reason is Reason.LIMIT_REACHED
    assert groups(second)["on-demand"] == {(Reason.LIMIT_REACHED, ""): 2}
