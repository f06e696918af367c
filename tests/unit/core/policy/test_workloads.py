"""Whose policy a pod goes by: its controllers, their Namespace, opting in, and changes of these."""

import pytest
from support.doubles import ENABLED, World, keys, make_owner, two_classes

from extender.core.model.objects import Namespace, Owner, OwnerRef
from extender.core.policy.managed import Managed, Missing, PolicyChanged
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Forgotten, Unavailable, Upsert
from extender.core.state.state import ClusterState


@pytest.fixture
def world() -> World:
    return World()


def percentage(world: World, owner: OwnerRef | Owner) -> int | None:
    """The spot percentage that a pod of this owner goes by; None when it is not managed."""
    found = world.state.workloads.resolve("shop", owner if isinstance(owner, OwnerRef) else owner.ref)
    assert not isinstance(found, Missing)
    return two_classes(found.workload.policy).percentage if found else None


def changes(world: World) -> list[tuple[str, bool]]:
    effects = world.state.outbox.take_effects()
    return [(e.workload.name, e.gone) for e in effects if isinstance(e, PolicyChanged)]


def namespace(labels: dict[str, str], **policy: object) -> Namespace:
    return Namespace("uid-shop", "shop", labels, keys(**policy))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "Rollout", "ReplicaSet"])
def test_any_controller_can_carry_a_policy(world: World, kind: str) -> None:
    owner = make_owner(kind, "web", 3, labels=ENABLED, annotations=keys(spot_percentage=40))
    world.up(owner)
    assert percentage(world, owner) == 40


@pytest.mark.parametrize("kind", ["Deployment", "Rollout"])
def test_a_replicasets_copies_are_not_read_while_its_owner_can_be(world: World, kind: str) -> None:
    top = make_owner(kind, "web", 3, labels=ENABLED, annotations=keys(spot_percentage=40))
    rs = make_owner("ReplicaSet", "web-1", 3, owner=top.ref, labels=ENABLED, annotations=keys(spot_percentage=99))
    world.up(rs)
    assert world.state.workloads.resolve("shop", rs.ref) == Missing(top.ref)
    world.up(top)
    assert percentage(world, rs) == 40
    found = world.state.workloads.resolve("shop", rs.ref)
    assert isinstance(found, Managed)
    assert (found.workload.name, found.revision) == ("web", rs)
    assert changes(world) == [("web", False)]


def test_when_its_owner_cannot_be_read_the_copy_speaks_until_it_can(world: World) -> None:
    top = make_owner("Rollout", "web", 3, labels=ENABLED, annotations=keys(spot_percentage=40))
    rs = make_owner("ReplicaSet", "web-1", 3, owner=top.ref, labels=ENABLED, annotations=keys(spot_percentage=99))
    world.up(rs)
    unavailable = Unavailable("argoproj.io", "Rollout")
    world.state.apply(unavailable, 0.0)
    world.state.apply(unavailable, 0.0)
    assert percentage(world, rs) == 99
    world.up(top)
    assert percentage(world, rs) == 40
    assert set(world.state.workloads.by_uid) == {top.uid}
    assert changes(world) == [("web-1", False), ("web", False), ("web-1", True)]


def test_a_kind_that_was_forgotten_is_waited_for_as_one_never_met(world: World) -> None:
    pods_of = OwnerRef("uid", "invented.example/v1", "Invented", "web")
    world.state.apply(Unavailable(pods_of.group, pods_of.kind), 0.0)
    assert not isinstance(world.state.workloads.resolve("shop", pods_of), Missing)
    world.state.apply(Forgotten(pods_of.group, pods_of.kind), 0.0)
    assert world.state.workloads.resolve("shop", pods_of) == Missing(pods_of)
    assert not world.state.workloads.unavailable


def test_a_job_inherits_from_its_cronjob_whichever_comes_first(world: World) -> None:
    cron = make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=40))
    job = make_owner("Job", "nightly-1", 5, owner=cron.ref)
    world.up(job)
    assert world.state.workloads.resolve("shop", job.ref) == Missing(cron.ref)
    world.up(cron)
    assert percentage(world, job) == 40
    world.up(make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=60)))
    assert percentage(world, job) == 60
    world.up(make_owner("Job", "nightly-1", 5, owner=cron.ref, annotations=keys(spot_percentage=10)))
    assert percentage(world, job) == 10


def test_a_set_inherits_from_the_custom_kind_that_owns_it(world: World) -> None:
    top = make_owner("Database", "orders", labels=ENABLED, annotations=keys(spot_percentage=40))
    sets = make_owner("StatefulSet", "orders", 3, owner=top.ref)
    deployment = make_owner("Deployment", "proxy", 2, owner=top.ref, annotations=keys(spot_percentage=20))
    rs = make_owner("ReplicaSet", "proxy-1", 2, owner=deployment.ref)
    world.up(sets, deployment, rs, top)
    assert (percentage(world, sets), percentage(world, rs)) == (40, 20)
    world.up(make_owner("Database", "orders", labels={}, annotations={}))
    assert (percentage(world, sets), percentage(world, rs)) == (None, None)


def test_owners_in_a_circle_end(world: World) -> None:
    one, two = make_owner("Database", "one"), make_owner("Database", "two", labels=ENABLED)
    one, two = (
        make_owner("Database", "one", owner=two.ref, labels=ENABLED),
        make_owner("Database", "two", owner=one.ref, labels=ENABLED),
    )
    world.up(
        one, two, make_owner("Database", "one", owner=two.ref, labels=ENABLED, annotations=keys(spot_percentage=5))
    )
    assert percentage(world, one) == 5


def test_an_adopted_replicaset_follows_its_new_owner(world: World) -> None:
    top = make_owner("Deployment", "web", 3, labels=ENABLED, annotations=keys(spot_percentage=40))
    alone = make_owner("ReplicaSet", "web-1", 3, labels=ENABLED, annotations=keys(spot_percentage=99))
    owned = make_owner("ReplicaSet", "web-1", 3, owner=top.ref, labels=ENABLED, annotations=keys(spot_percentage=99))
    world.up(top, alone)
    assert percentage(world, alone) == 99
    world.up(owned)
    assert percentage(world, owned) == 40
    assert world.state.workloads.children == {top.uid: (owned.uid,)}
    assert set(world.state.workloads.by_uid) == {top.uid}
    world.up(alone)
    assert percentage(world, alone) == 99
    assert world.state.workloads.children == {}


@pytest.mark.parametrize(
    ("own", "of_namespace", "managed"),
    [
        ({}, {}, False),
        (ENABLED, {}, True),
        ({}, ENABLED, True),
        ({"spotmix.io/enabled": "False"}, ENABLED, False),
        ({"spotmix.io/enabled": "TRUE"}, {"spotmix.io/enabled": "false"}, True),
        ({"spotalis.io/enabled": "true"}, {}, True),
        ({"spotmix.io/enabled": "false", "spotalis.io/enabled": "true"}, {}, False),
    ],
)
def test_opting_in(world: World, own: dict[str, str], of_namespace: dict[str, str], managed: bool) -> None:
    owner = make_owner("Deployment", "web", 3, labels=own)
    world.up(namespace(of_namespace), owner)
    assert (percentage(world, owner) is not None) is managed


def test_a_label_that_is_neither_holds_the_workload_on_demand(world: World) -> None:
    owner = make_owner(
        "Deployment", "web", 3, labels={"spotmix.io/enabled": "yes"}, annotations=keys(spot_percentage=70, mode="audit")
    )
    world.up(owner)
    workload = world.workload(owner.ref)
    assert workload.held
    assert workload.policy.mode == "audit"
    assert two_classes(workload.policy).percentage == 0
    assert "spotmix.io/enabled='yes' is neither true nor false" in workload.parsed.problems[0].text


def test_namespaces_and_defaults_are_inherited_by_key_and_changes_are_told_once() -> None:
    rules = PolicyRules(defaults=keys(spot_percentage=10, max_spot=9))
    world = World(rules)
    owner = make_owner("Deployment", "web", 3, labels=ENABLED)
    world.up(owner)
    assert percentage(world, owner) == 10
    world.up(namespace({}, spot_percentage=20))
    assert percentage(world, owner) == 20
    assert two_classes(world.workload(owner.ref).policy).cap == 9
    world.up(namespace({}, spot_percentage=20), owner, namespace({}, spot_percentage=20, colour="red"))
    assert changes(world) == [("web", False), ("web", False), ("web", False)]
    world.gone("namespaces", "uid-other")
    world.gone("namespaces", "uid-shop")
    assert percentage(world, owner) == 10


def test_a_namespace_whose_label_alone_opts_in_may_come_after_its_workloads(world: World) -> None:
    owner = make_owner("Deployment", "web", 3)
    world.up(owner)
    assert percentage(world, owner) is None
    world.up(namespace(ENABLED))
    assert percentage(world, owner) is not None
    assert changes(world) == [("web", False)]


def test_what_opts_out_or_goes_is_told(world: World) -> None:
    world.up(make_owner("Deployment", "web", 3, labels=ENABLED), make_owner("Deployment", "api", 3, labels=ENABLED))
    world.up(make_owner("Deployment", "web", 3))
    world.gone("deployments.apps", "uid-Deployment-api")
    world.gone("deployments.apps", "uid-Deployment-api")
    assert changes(world) == [("web", False), ("api", False), ("web", True), ("api", True)]
    assert world.state.workloads.by_uid == {}


def test_the_last_valid_policy_is_kept_while_it_is_invalid(world: World) -> None:
    owner = world.deployment("web", 3, spot_percentage=70)
    for wrong in ("x", "y"):
        world.annotate("web", 3, spot_percentage=wrong)
        assert percentage(world, owner) == 70
        assert not world.workload(owner).held
    world.annotate("web", 3, spot_percentage=30)
    assert percentage(world, owner) == 30


def test_pods_of_daemonsets_nodes_and_protected_namespaces_are_nobodys() -> None:
    state = ClusterState(PolicyRules(protected_namespaces=frozenset({"infra"})))
    owner = make_owner("Deployment", "web", 3, labels=ENABLED, namespace="infra")
    state.apply(Upsert(owner), 0.0)
    assert state.workloads.resolve("infra", owner.ref) is None
    for kind in ("DaemonSet", "Node"):
        assert state.workloads.resolve("shop", OwnerRef("u", "apps/v1", kind, "x")) is None
    assert state.workloads.resolve("shop", None) is None


def test_what_has_to_be_seen_to_judge_a_pod(world: World) -> None:
    """All kinds above it; not those that nobody can read."""
    workloads = world.state.workloads
    pod_of = world.deployment("web", 1)
    managed = workloads.resolve("shop", pod_of)
    assert isinstance(managed, Managed)
    assert list(workloads.kinds_behind(managed)) == [("apps", "ReplicaSet"), ("apps", "Deployment")]
    unknown = OwnerRef("uid-r", "argoproj.io/v1", "Rollout", "r")
    assert list(workloads.kinds_behind(Missing(unknown))) == [("argoproj.io", "Rollout")]
    owned = make_owner("StatefulSet", "db", 1, labels=ENABLED, owner=unknown)
    world.up(owned)
    assert workloads.resolve("shop", owned.ref) == Missing(unknown)
    world.state.apply(Unavailable("argoproj.io", "Rollout"), world.now)
    managed = workloads.resolve("shop", owned.ref)
    assert isinstance(managed, Managed)
    assert list(workloads.kinds_behind(managed)) == [("apps", "StatefulSet")]
