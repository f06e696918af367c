"""Annotations that keep pods where they are: which, for how long, and whose counts."""

from collections.abc import Mapping

import pytest
from support.doubles import ENABLED, World, keys, make_namespace, make_owner, make_pod, two_classes

from extender.core.drift.guards import protection_of
from extender.core.model.objects import Protection
from extender.core.policy.protection import opt_out_keys, pod_protection

OURS, EARLIER, KARPENTER, CA, DESCHEDULER = opt_out_keys(("spotmix.io", "spotalis.io"))
CREATED = 1000.0


def protection(annotations: Mapping[str, str]) -> Protection | None:
    return pod_protection(annotations.items(), CREATED)


def test_the_keys() -> None:
    assert (OURS, EARLIER) == ("spotmix.io/do-not-disrupt", "spotalis.io/do-not-disrupt")
    assert KARPENTER == "karpenter.sh/do-not-disrupt"
    assert CA == "cluster-autoscaler.kubernetes.io/safe-to-evict"
    assert DESCHEDULER == "descheduler.alpha.kubernetes.io/prefer-no-eviction"


@pytest.mark.parametrize(
    ("key", "value"),
    [(OURS, "true"), (EARLIER, " True"), (KARPENTER, "true"), (CA, "false"), (DESCHEDULER, "true"), (DESCHEDULER, "")],
)
def test_protected_for_ever(key: str, value: str) -> None:
    assert protection({key: value}) == Protection(key, value)


@pytest.mark.parametrize(("key", "value"), [(OURS, "false"), (EARLIER, "FALSE"), (KARPENTER, "false"), (CA, "true")])
def test_not_protected(key: str, value: str) -> None:
    assert protection({key: value}) is None
    assert protection({}) is None


@pytest.mark.parametrize("key", [OURS, EARLIER, KARPENTER])
def test_protected_for_some_time_after_the_creation(key: str) -> None:
    found = protection({key: "1h30m"})
    assert found == Protection(key, "1h30m", CREATED + 5400)
    assert found.holds(CREATED + 5399)
    assert not found.holds(CREATED + 5400)


@pytest.mark.parametrize(
    ("key", "value"),
    [(OURS, "yes"), (EARLIER, ""), (KARPENTER, "-5m"), (KARPENTER, "5 minutes"), (CA, "no"), (CA, "5m"), (OURS, "1")],
)
def test_a_value_that_cannot_be_read_protects(key: str, value: str) -> None:
    assert protection({key: value}) == Protection(key, value, None, malformed=True)


def test_the_strongest_of_several_counts() -> None:
    assert protection({OURS: "5m", KARPENTER: "10m", CA: "true"}) == Protection(KARPENTER, "10m", CREATED + 600)
    assert protection({OURS: "5m", CA: "false"}) == Protection(CA, "false")
    assert protection({OURS: "5m", CA: "no"}) == Protection(CA, "no", None, malformed=True)
    assert protection({OURS: "what", CA: "false"}) == Protection(CA, "false")


@pytest.fixture
def world() -> World:
    return World()


def protected(world: World, now: float, *, workload: str = "", namespace: str = "", pod: str = "") -> str | None:
    """The value that protects a pod when these are written; no text writes nothing."""

    def written(value: str) -> dict[str, str]:
        return keys(do_not_disrupt=value) if value else {}

    world.up(make_namespace("shop", annotations=written(namespace)))
    top = make_owner("Deployment", "web", 1, labels=ENABLED, annotations=written(workload))
    child = make_owner("ReplicaSet", "web-1", 1, owner=top.ref)
    own = protection(written(pod))
    world.up(top, child, make_pod("p", child.ref, created=CREATED, protection=own))
    found = protection_of(world.state.pods["p"], world.workload(child.ref), now)
    return found.value if found is not None else None


def test_a_workload_or_its_namespace_speaks_for_all_pods(world: World) -> None:
    assert protected(world, 2000.0) is None
    assert protected(world, 2000.0, workload="true") == "true"
    assert protected(world, 2000.0, namespace="true") == "true"
    assert protected(world, 2000.0, workload="false", namespace="true") is None
    assert protected(world, 1299.0, workload="5m", namespace="true") == "5m"
    assert protected(world, 1300.0, workload="5m", namespace="true") is None
    assert protected(world, 2000.0, workload="false", pod="true") == "true"
    assert protected(world, 2000.0, workload="true", pod="false") == "true"
    assert protected(world, 2000.0, workload="true", pod="5m") == "true"
    assert protected(world, 1100.0, workload="true", pod="5m") == "5m"


def test_a_workloads_opt_out_that_cannot_be_read_is_told_of_and_changes_no_seat(world: World) -> None:
    owner = world.deployment("web", 4, spot_percentage=50, do_not_disrupt="please")
    workload = world.workload(owner)
    assert (workload.parsed.valid, two_classes(workload.policy).percentage) == (True, 50)
    (problem,) = workload.parsed.problems
    assert problem.text == (
        "Deployment shop/web: spotmix.io/do-not-disrupt='please' cannot be read, so no pod is moved; "
        'write "true", "false", or how long after its creation a pod is left alone, such as "30m"'
    )
    assert workload.opt_out is not None
    assert workload.opt_out.malformed


def test_an_opt_out_that_comes_or_goes_touches_the_workload(world: World) -> None:
    owner = world.deployment("web", 1)
    world.up(make_pod("p", owner))
    world.state.outbox.touched.clear()
    world.annotate("web", 1, do_not_disrupt="true")
    assert world.state.outbox.touched == {world.state.revisions[owner.uid]}
    world.state.outbox.touched.clear()
    world.annotate("web", 1)
    assert world.state.outbox.touched == {world.state.revisions[owner.uid]}
    assert world.workload(owner).opt_out is None


def test_an_opt_out_holds_although_the_policy_is_invalid(world: World) -> None:
    owner = world.deployment("web", 1, spot_percentage="lots", do_not_disrupt="true")
    world.up(make_pod("p", owner))
    workload = world.workload(owner)
    assert not workload.parsed.valid
    assert protection_of(world.state.pods["p"], workload, world.now) == Protection(OURS, "true")
    world.annotate("web", 1, spot_percentage="lots")
    assert protection_of(world.state.pods["p"], world.workload(owner), world.now) is None
