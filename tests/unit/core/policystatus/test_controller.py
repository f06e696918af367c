"""Statuses of policy objects: what they say, that they are written when that changes, and no faster than allowed."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import (
    ON_DEMAND,
    SPOT,
    World,
    keys,
    make_namespace,
    make_node,
    make_owner,
    make_pod,
    make_policy,
    selector,
    shares,
)
from support.limits import limit_policy

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.control import NEVER
from extender.core.model.objects import OwnerRef
from extender.core.model.policies import PLACEMENT_POLICIES, ClassCount, ClassWish, PolicySpec, PolicyStatus
from extender.core.policy.rules import PolicyRules
from extender.core.policystatus.controller import PAUSE, PolicyStatusController, WriteStatus
from extender.core.state.events import Continued

START = 1_750_000_000.0


class StatusDesk:
    """A world with nodes, and the controller on a clock of the test's."""

    def __init__(self, classes: ClassRules = ClassRules()) -> None:  # noqa: B008 - it is frozen
        self.world = World(PolicyRules(classes=classes))
        self.world.nodes(spot=1, on_demand=1)
        self.controller = PolicyStatusController(self.world.state)
        self.now = START
        self.controller.take_over(self.now)
        self.written: list[tuple[float, WriteStatus]] = []

    def workload(self, name: str, replicas: int, **policy: Any) -> OwnerRef:
        top = make_owner("Deployment", name, replicas, all_labels={"tier": "web"}, annotations=keys(**policy))
        rs = make_owner("ReplicaSet", f"{name}-1", replicas, owner=top.ref)
        self.world.up(top, rs)
        return rs.ref

    def bind(self, owner: OwnerRef, **on: int) -> None:
        for capacity_class, count in on.items():
            name = capacity_class.replace("_", "-")
            self.world.up(*(make_pod(f"{owner.name}-{name}-{n}", owner, f"{name}-0") for n in range(count)))

    def run(self, seconds: float = 0.0, *, echo: bool = True, written: bool = True) -> list[WriteStatus]:
        """Do what is due, as a driver would, for so long."""
        done: list[WriteStatus] = []
        end = self.now + seconds
        while True:
            while self.world.state.workloads.is_behind:
                self.world.state.apply(Continued(), self.now)
            self.controller.observe(self.now)
            actions = self.controller.due(self.now)
            for action in actions:
                done.append(action)
                self.written.append((self.now, action))
                self.controller.done(action, written=written, now=self.now)
                if echo and written:
                    self.world.up(replace(action.policy, status=action.status))
            if actions or self.controller.next_at <= self.now:
                continue
            if self.controller.next_at > end:
                self.now = end
                return done
            self.now = self.controller.next_at

    def status(self, uid: str = "uid-web") -> PolicyStatus:
        return self.world.state.workloads.objects.by_uid[uid].policy.status


def said(status: PolicyStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in status.conditions}


def message(status: PolicyStatus, kind: str) -> str:
    return next(each.message for each in status.conditions if each.type == kind)


GOOD = {"Accepted": ("True", "Accepted"), "Degraded": ("False", "Healthy")}


def test_it_says_how_its_workloads_stand() -> None:
    desk = StatusDesk()
    owner = desk.workload("a", 10)
    desk.workload("b", 4)
    desk.world.up(make_policy("web", selector(tier="web"), **shares(70)))
    desk.bind(owner, spot=7, on_demand=2)
    desk.run()
    assert desk.status() == PolicyStatus(
        1, desk.status().conditions, 2, 14, (ClassCount(SPOT, 9, 7), ClassCount(ON_DEMAND, 5, 2))
    )
    assert said(desk.status()) == {**GOOD, "Converged": ("False", "OffSplit"), "Degraded": ("False", "Healthy")}
    assert message(desk.status(), "Converged") == "2 workloads of 2 off the split: Deployment shop/a, Deployment shop/b"


def test_a_workload_without_pods_is_counted_anew_when_it_is_scaled_or_its_policy_edited() -> None:
    desk = StatusDesk()
    desk.workload("a", 4)
    desk.world.up(make_policy("web", **shares(50)))
    desk.run()
    desk.workload("a", 6)
    desk.run(PAUSE)
    assert (desk.status().replicas, desk.status().classes[0].wanted) == (6, 3)
    desk.world.up(replace(make_policy("web", **shares(100)), generation=2))
    desk.run(PAUSE)
    assert {(each.name, each.wanted) for each in desk.status().classes} == {(SPOT, 6), (ON_DEMAND, 0)}


def test_a_floor_that_is_breached_and_one_that_holds() -> None:
    desk = StatusDesk()
    owner = desk.workload("a", 4)
    desk.world.up(make_policy("web", **shares(50, floor=2)))
    desk.bind(owner, spot=2, on_demand=1)
    desk.run()
    assert said(desk.status())["Degraded"] == ("True", "FloorBreached")
    desk.bind(owner, on_demand=2)
    desk.run(PAUSE)
    assert said(desk.status()) == {**GOOD, "Converged": ("True", "Converged")}
    assert {each.since for each in desk.status().conditions} == {"2025-06-15T15:06:40Z", "2025-06-15T15:06:45Z"}


def test_of_workloads_that_are_counted_together_the_sum_is_told() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("web", count="Policy", **shares(70)))
    owners = [desk.workload(f"w-{number:02}", 1) for number in range(40)]
    for number, owner in enumerate(owners):
        desk.bind(owner, **({"spot": 1} if number < 30 else {"on_demand": 1}))
    desk.run()
    assert desk.status().classes == (ClassCount(SPOT, 28, 30), ClassCount(ON_DEMAND, 12, 10))
    assert (desk.status().workloads, desk.status().replicas) == (40, 40)
    assert said(desk.status()) == {**GOOD, "Converged": ("False", "OffSplit")}
    assert message(desk.status(), "Converged") == "Counted over PlacementPolicy shop/web: 28/12 of 40, 30/10 there"
    for number in (0, 1):
        desk.world.gone("pods", f"w-{number:02}-1-spot-0")
        desk.bind(owners[number], on_demand=1)
    desk.run(PAUSE)
    assert said(desk.status()) == {**GOOD, "Converged": ("True", "Converged")}
    # One that leaves takes its replicas along.
    desk.world.gone("deployments.apps", "uid-Deployment-w-00")
    desk.run(PAUSE)
    assert (desk.status().workloads, desk.status().replicas) == (39, 39)


def test_an_own_floor_that_is_breached_is_told_of_its_workload() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("web", count="Policy", **shares(50)))
    desk.bind(desk.workload("a", 1, min_on_demand=1), spot=1)
    desk.bind(desk.workload("b", 1), on_demand=1)
    desk.run()
    assert said(desk.status())["Degraded"] == ("True", "FloorBreached")
    assert message(desk.status(), "Degraded") == "Fewer replicas of a class than its floor: Deployment shop/a"


def test_a_policy_without_workloads_and_what_it_loses() -> None:
    desk = StatusDesk()
    desk.workload("a", 4)
    desk.world.up(make_policy("web", **shares(50)), make_policy("first", priority=1, **shares(50)))
    desk.run(PAUSE)
    assert said(desk.status()) == {**GOOD, "Converged": ("True", "NoWorkloads")}
    assert message(desk.status(), "Accepted") == (
        "It speaks for 0 workloads; 1 workload that it matches go by another: "
        "Deployment shop/a by PlacementPolicy shop/first"
    )


def test_one_that_cannot_act_says_why() -> None:
    desk = StatusDesk()
    desk.workload("a", 4)
    desk.world.up(make_policy("web", malformed="is odd", **shares(50)))
    desk.run()
    assert said(desk.status()) == {
        "Accepted": ("False", "NotSupported"),
        "Converged": ("Unknown", "NotAccepted"),
        "Degraded": ("Unknown", "NotAccepted"),
    }
    assert "spec is odd" in message(desk.status(), "Accepted")


def test_a_wrong_value_is_told_on_the_policy() -> None:
    desk = StatusDesk()
    desk.workload("a", 4)
    desk.world.up(make_policy("web", timezone="Nowhere", schedule="0 2 * * *", duration="4h", **shares(50)))
    desk.run()
    assert said(desk.status())["Accepted"] == ("False", "InvalidValue")
    assert said(desk.status())["Degraded"] == ("True", "PolicyInvalid")


def test_nothing_is_written_when_nothing_changes() -> None:
    desk = StatusDesk()
    owner = desk.workload("a", 4)
    desk.world.up(make_policy("web", **shares(50)))
    desk.bind(owner, spot=2, on_demand=2)
    assert len(desk.run(PAUSE)) == 1
    assert desk.run(3600.0) == []
    assert desk.controller.next_at == NEVER
    # Nor by one who takes over.
    desk.controller.take_over(desk.now)
    assert desk.run(3600.0) == []


def test_somebody_elses_status_is_written_over() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("web", **shares(50)))
    desk.run(PAUSE)
    thing = desk.world.state.workloads.objects.by_uid["uid-web"].policy
    desk.world.up(replace(thing, status=PolicyStatus(workloads=99)))
    assert len(desk.run(PAUSE)) == 1
    assert desk.status().workloads == 0


def test_one_policy_is_written_once_in_a_pause() -> None:
    desk = StatusDesk()
    owner = desk.workload("a", 40)
    desk.world.up(make_policy("web", **shares(50)))
    desk.run()
    for _ in range(20):
        desk.bind(owner, spot=len(desk.written))
        desk.run(1.0)
    times = [at for at, _ in desk.written]
    assert len(times) > 3
    assert min(later - sooner for sooner, later in pairwise(times)) >= PAUSE


def test_runs_are_told_when_they_change_and_then_alone() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("ci", count="Runs", **shares(70)))
    desk.world.state.runs.synced()
    desk.run(2 * PAUSE)
    assert desk.status("uid-ci").runs is not None
    desk.written.clear()
    for n in range(10):
        job = make_owner("Job", f"step-{n}", 1)
        pod = make_pod(f"pod-{n}", job.ref, "spot-0" if n < 7 else "on-demand-0", bound=START + n)
        desk.world.up(job, pod, replace(pod, ended=True), replace(job, replicas=0, tail=True))
        desk.run()
    desk.run(2 * PAUSE)
    runs = desk.status("uid-ci").runs
    assert runs is not None
    assert dict(runs.counts) == {SPOT: 7, ON_DEMAND: 3}
    assert said(desk.status("uid-ci"))["Converged"][0] == "True"
    assert all(later - at >= PAUSE for (at, _), (later, _) in pairwise(desk.written))
    desk.written.clear()
    assert desk.run(100 * PAUSE) == []


def test_a_run_on_another_class_than_a_job_alone_would_have_is_converged() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("ci", count="Runs", **shares(70)), make_owner("Job", "step", 1))
    desk.world.state.runs.synced()
    desk.world.up(make_pod("pod", make_owner("Job", "step").ref, "spot-0", bound=START))
    desk.run(2 * PAUSE)
    assert (desk.status("uid-ci").workloads, desk.status("uid-ci").replicas) == (1, 1)
    assert said(desk.status("uid-ci"))["Converged"] == ("True", "Converged")


def test_losses_are_told() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("ci", on_demand_after=2, **shares(100)), make_owner("Job", "step", 1))
    desk.run(2 * PAUSE)
    lost = make_pod("pod", make_owner("Job", "step").ref, "spot-0", disrupted=True, terminating=True)
    desk.world.up(lost)
    desk.run(2 * PAUSE)
    assert desk.status("uid-ci").lost == (("uid-Job-step", ("pod",)),)


def test_a_thousand_are_written_at_a_steady_pace() -> None:
    desk = StatusDesk()
    desk.workload("a", 4)
    desk.world.up(*(make_policy(f"p-{n}", selector(tier=f"{n}"), **shares(50)) for n in range(1000)))
    desk.run(60.0)
    times = [at for at, _ in desk.written]
    assert len({action.policy.uid for _, action in desk.written}) == 1000
    assert max(sum(at <= other < at + 1.0 for other in times) for at in times[::50]) <= 50
    assert times[-1] - times[0] < 60.0


def test_a_thousand_over_five_thousand_workloads_are_edited_at_once() -> None:
    desk = StatusDesk()
    for number in range(5000):
        labels = {"app": "shop", "group": f"g-{number % 1000}"}
        desk.world.up(make_owner("Deployment", f"w-{number}", 2, all_labels=labels))
    things = [make_policy(f"p-{n}", selector(app="shop", group=f"g-{n}"), **shares(50)) for n in range(1000)]
    desk.world.up(*things)
    desk.run(60.0)
    desk.written.clear()
    edited = desk.now
    desk.world.up(*(replace(each, generation=2, spec=PolicySpec(**shares(100))) for each in things))
    desk.run(60.0)
    statuses = [each.policy.status for each in desk.world.state.workloads.objects.by_uid.values()]
    assert {(each.generation, each.workloads, each.classes[0].wanted) for each in statuses} == {(2, 5, 10)}
    times = [at for at, _ in desk.written]
    assert len(times) == 1000
    assert times[-1] - edited < 60.0
    assert all(later - sooner >= 1.0 for sooner, later in zip(times, times[50:], strict=False))
    assert desk.run(3600.0) == []


def test_one_that_could_not_be_written_is_tried_again() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("web", **shares(50)))
    assert len(desk.run(written=False)) == 1
    assert desk.run(PAUSE / 2) == []
    assert len(desk.run(PAUSE)) == 1
    assert desk.run(3600.0) == []


@pytest.mark.parametrize("gone", ["policy", "workload"])
def test_what_is_gone_is_counted_no_more(gone: str) -> None:
    desk = StatusDesk()
    owner = desk.workload("a", 4)
    desk.world.up(make_policy("web", **shares(50)))
    desk.bind(owner, spot=2, on_demand=2)
    desk.run(PAUSE)
    if gone == "policy":
        desk.world.gone(PLACEMENT_POLICIES, "uid-web")
        assert desk.run(3600.0) == []
        desk.world.up(make_policy("again", **shares(50)))
        desk.run(PAUSE)
        assert desk.status("uid-again").replicas == 4
    else:
        for pod in list(desk.world.state.pods):
            desk.world.gone("pods", pod)
        desk.world.gone("replicasets.apps", owner.uid)
        desk.world.gone("deployments.apps", "uid-Deployment-a")
        desk.run(PAUSE)
        assert (desk.status().workloads, desk.status().replicas) == (0, 0)
        assert desk.status().classes == (ClassCount(SPOT, 0, 0), ClassCount(ON_DEMAND, 0, 0))


def test_revisions_are_not_kept_where_there_is_no_policy() -> None:
    desk = StatusDesk()
    desk.bind(desk.workload("a", 4), spot=2)
    assert desk.world.state.outbox.recount
    desk.controller.observe(desk.now)
    assert not desk.world.state.outbox.recount


RESERVED = "reserved"
THREE = (ClassWish(RESERVED, most="4"), ClassWish(ON_DEMAND, 30, base=2), ClassWish(SPOT, 70))


def counts(status: PolicyStatus) -> list[tuple[str, int, int]]:
    return [(each.name, each.wanted, each.actual) for each in status.classes]


def test_three_classes_are_in_the_order_of_the_spec() -> None:
    desk = StatusDesk(ClassRules(extra_rules=(ClassRule("tier", RESERVED),)))
    desk.world.up(make_node(f"{RESERVED}-0", RESERVED))
    desk.world.up(make_policy("web", selector(tier="web"), classes=THREE))
    owner = desk.workload("a", 10)
    desk.run(30)
    assert counts(desk.status()) == [(RESERVED, 4, 0), (ON_DEMAND, 2, 0), (SPOT, 4, 0)]
    assert said(desk.status())["Degraded"] == ("True", "FloorBreached")
    desk.bind(owner, reserved=4, on_demand=2, spot=4)
    desk.run(30)
    assert counts(desk.status()) == [(RESERVED, 4, 4), (ON_DEMAND, 2, 2), (SPOT, 4, 4)]
    assert said(desk.status()) == {**GOOD, "Converged": ("True", "Converged")}


def test_classes_from_elsewhere_come_last_and_go_again() -> None:
    desk = StatusDesk(ClassRules(extra_rules=(ClassRule("tier", RESERVED),)))
    desk.world.up(make_policy("web", selector(tier="web"), **shares(50)))
    owner = desk.workload("a", 4, classes="reserved weight=1")
    desk.bind(owner, on_demand=4)
    desk.run(30)
    assert counts(desk.status()) == [(SPOT, 0, 0), (ON_DEMAND, 0, 4), (RESERVED, 4, 0)]
    desk.workload("a", 4)
    desk.run(30)
    assert counts(desk.status()) == [(SPOT, 2, 0), (ON_DEMAND, 2, 4)]


def test_an_order_that_the_api_server_keeps_is_not_written_again() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("web", selector(tier="web"), **shares(50)))
    desk.workload("a", 4)
    desk.run(30)
    policy = desk.world.state.workloads.objects.by_uid["uid-web"].policy
    turned = replace(policy.status, classes=policy.status.classes[::-1])
    desk.world.up(replace(policy, status=turned))
    assert desk.run(30) == []


def test_a_class_that_no_rule_knows_is_not_accepted() -> None:
    desk = StatusDesk()
    desk.world.up(make_policy("web", selector(tier="web"), classes=THREE))
    desk.workload("a", 4)
    desk.run(30)
    assert said(desk.status())["Accepted"] == ("False", "InvalidValue")
    told = message(desk.status(), "Accepted")
    assert "spec.classes='reserved max=4, on-demand base=2 weight=30, spot weight=70' names reserved, a class" in told


def test_it_says_where_its_limits_are_reached() -> None:
    desk = StatusDesk()
    desk.world.up(make_namespace(), make_namespace("other"))
    desk.world.up(limit_policy("team", "on-demand pods 2", "spot cpu 1"))
    desk.run()
    assert said(desk.status("uid-team")) == {
        **GOOD,
        "Converged": ("True", "NoWorkloads"),
        "WithinLimits": ("True", "WithinLimits"),
    }
    owner = desk.workload("a", 3)
    desk.bind(owner, on_demand=2)
    desk.run(PAUSE)
    assert said(desk.status("uid-team"))["WithinLimits"] == ("False", "LimitReached")
    seen = message(desk.status("uid-team"), "WithinLimits")
    assert seen == "Of its limits in 2 namespaces reached: on-demand pods 2 of 2 used in namespace shop"
    desk.world.gone("pods", "a-1-on-demand-0")
    desk.run(PAUSE)
    assert message(desk.status("uid-team"), "WithinLimits") == "None of its limits is reached in 2 namespaces"
    assert desk.run(60.0) == []


def test_limits_that_cannot_be_read_are_told_and_do_not_act() -> None:
    desk = StatusDesk()
    desk.world.up(make_namespace(), limit_policy("team", "on-demand cpu lots"))
    desk.run()
    assert said(desk.status("uid-team"))["WithinLimits"] == ("Unknown", "NotAccepted")
    assert message(desk.status("uid-team"), "Accepted") == (
        "It does not act: spec.limits[0].max is no quantity: 'lots' is not a resource quantity; "
        "write one such as 250m, 2 or 1.5Gi"
    )
    assert desk.world.state.holdings.accounts == {}
