"""Owners that no watch delivers as such: pods, kinds that cannot be read, kinds of no namespace."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, World, keys, make_namespace, make_owner, make_pod, two_classes

from extender.core.answers.pod import explain_pod
from extender.core.model.objects import Owner, OwnerRef, Pod
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed, Missing
from extender.core.state.events import Listed, Unavailable

DRIVER = OwnerRef("driver", "v1", "Pod", "driver")
FLEET = OwnerRef("uid-Fleet-f", "ops.example.com/v1", "Fleet", "f")


@pytest.fixture
def world() -> World:
    made = World()
    made.up(make_namespace("shop", labels=ENABLED, annotations=keys(spot_percentage=100)))
    return made


def percentage(world: World, ref: OwnerRef, namespace: str = "shop") -> int | None:
    found = world.state.workloads.resolve(namespace, ref)
    assert not isinstance(found, Missing)
    return two_classes(found.workload.policy).percentage if found is not None else None


def fleet(replicas: int | None = 8, **fields: Any) -> Owner:
    made = make_owner("Database", "f", replicas, **{"uid": FLEET.uid, "namespace": "", **fields})
    return replace(made, resource="fleets.ops.example.com", api_version=FLEET.api_version, kind=FLEET.kind)


class TestPodsOfPods:
    """A driver and its executors."""

    @pytest.mark.parametrize("driver_first", [True, False])
    def test_pods_that_a_pod_controls_go_by_their_namespace(self, world: World, driver_first: bool) -> None:
        offered = world.nodes(spot=2, on_demand=2)
        driver = make_pod("driver", None)
        executors = [make_pod(f"exec-{n}", DRIVER) for n in range(10)]
        world.up(*([driver, *executors] if driver_first else [*executors, driver]))
        given = [world.place(DRIVER, offered, uid=pod.uid)[1].capacity_class for pod in executors]
        assert given == ["spot"] * 10

    def test_labels_of_the_pod_and_of_its_own_owner_count(self, world: World) -> None:
        app = make_owner("Database", "app", labels=ENABLED, annotations=keys(spot_percentage=40))
        world.up(app, make_pod("driver", app.ref), make_pod("exec", DRIVER))
        assert percentage(world, DRIVER) == 40
        assert percentage(world, app.ref) == 40
        out = {"spotmix.io/enabled": "false"}
        world.up(make_pod("driver", app.ref, labels=out))
        assert percentage(world, DRIVER) is None
        explained = explain_pod(world.state, world.state.pods["exec"], world.now)
        assert explained.unmanaged is not None
        assert (explained.unmanaged.reason, explained.unmanaged.detail) == (Reason.OPTED_OUT, "Pod shop/driver")

    def test_executors_outlive_their_driver(self, world: World) -> None:
        world.up(make_pod("driver", None), make_pod("exec", DRIVER))
        world.up(make_pod("driver", None, ended=True))
        assert percentage(world, DRIVER) == 100
        world.gone("pods", "exec")
        assert not world.state.workloads.owners
        assert not world.state.workloads.by_uid

    def test_a_pod_of_another_namespace_says_nothing(self, world: World) -> None:
        world.up(make_pod("driver", None, namespace="other"), make_pod("exec", DRIVER))
        assert world.state.workloads.resolve("shop", DRIVER) == Missing(DRIVER)


class TestUnread:
    """Objects of kinds that cannot be read."""

    REF = OwnerRef("x", "example.org/v1", "Widget", "w")

    @pytest.mark.parametrize("known_first", [True, False])
    def test_their_pods_go_by_the_namespace_and_it_is_told(self, world: World, known_first: bool) -> None:
        events = [Unavailable("example.org", "Widget")]
        if known_first:
            world.state.apply(events[0], world.now)
        world.up(make_pod("p", self.REF))
        if not known_first:
            world.state.apply(events[0], world.now)
        assert percentage(world, self.REF) == 100
        explained = explain_pod(world.state, world.state.pods["p"], world.now)
        (problem,) = [each for each in explained.problems if "cannot be read" in each.text]
        assert problem.warning
        assert problem.source == "Widget shop/w"
        world.gone("pods", "p")
        assert not world.state.workloads.by_uid

    def test_a_pod_that_the_watch_does_not_know_yet(self, world: World) -> None:
        world.state.apply(Unavailable("example.org", "Widget"), world.now)
        assert percentage(world, self.REF) == 100
        assert not world.state.workloads.owners
        assert percentage(world, self.REF, "other") is None

    def test_once_it_can_be_read_it_speaks(self, world: World) -> None:
        ref = make_owner("Database", "db").ref
        world.state.apply(Unavailable("example.org", "Database"), world.now)
        world.up(make_pod("p", ref))
        assert percentage(world, ref) == 100
        world.up(make_owner("Database", "db", 3, annotations=keys(spot_percentage=40)))
        assert percentage(world, ref) == 40
        assert world.workload(ref).parsed.problems == ()


class TestClusterScoped:
    """Objects of kinds of no namespace."""

    @pytest.mark.parametrize("owner_first", [True, False])
    def test_their_pods_go_by_their_own_namespace(self, world: World, owner_first: bool) -> None:
        pods = [make_pod(f"f{n}", FLEET) for n in range(8)]
        things: list[Owner | Pod] = [fleet(), *pods]
        world.up(*(things if owner_first else reversed(things)))
        managed = world.state.workloads.resolve("shop", FLEET)
        assert isinstance(managed, Managed)
        assert (two_classes(managed.workload.policy).percentage, managed.revision.replicas) == (100, 8)
        world.up(fleet(5))
        managed = world.state.workloads.resolve("shop", FLEET)
        assert isinstance(managed, Managed)
        assert managed.revision.replicas == 5
        world.state.apply(Listed("fleets.ops.example.com", frozenset({FLEET.uid})), world.now)
        assert percentage(world, FLEET) == 100
        world.gone("fleets.ops.example.com", FLEET.uid)
        assert world.state.workloads.resolve("shop", FLEET) == Missing(FLEET)

    def test_a_pod_that_the_watch_does_not_know_yet(self, world: World) -> None:
        world.up(fleet())
        assert percentage(world, FLEET) == 100
        assert percentage(world, FLEET, "other") is None

    def test_each_namespace_is_alone(self, world: World) -> None:
        world.up(make_namespace("half", labels=ENABLED, annotations=keys(spot_percentage=50)), fleet())
        offered = world.nodes(spot=1, on_demand=1)
        world.up(
            *(
                make_pod(f"{namespace}-{n}", FLEET, namespace=namespace)
                for namespace in ("shop", "half", "out")
                for n in range(4)
            )
        )
        seen: dict[str, list[str]] = {}
        for namespace in ("shop", "half", "out"):
            assert percentage(world, FLEET, namespace) == {"shop": 100, "half": 50, "out": None}[namespace]
            for n in range(4):
                record = world.state.pods[f"{namespace}-{n}"]
                assert record.revision is not None
                _, decision = world.place(
                    record.revision.owner, offered, uid=record.uid, namespace=namespace, name=record.name
                )
                seen.setdefault(namespace, []).append(decision.capacity_class)
        assert seen["shop"] == ["spot"] * 4
        assert sorted(seen["half"]) == ["on-demand"] * 2 + ["spot"] * 2
        assert seen["out"] == [""] * 4
        # Eight are wanted in all; nobody says how many of them where.
        managed = world.state.workloads.resolve("shop", FLEET)
        assert isinstance(managed, Managed)
        assert managed.revision.replicas is None
        # The same pods again are no others.
        before = dict(world.state.pods)
        world.up(*(make_pod(uid, FLEET, namespace=pod.namespace) for uid, pod in before.items()))
        assert world.state.pods == before
        for uid in before:
            world.gone("pods", uid)
        world.gone("fleets.ops.example.com", FLEET.uid)
        assert not world.state.workloads.owners
        assert not world.state.workloads.by_uid

    def test_a_replicaset_below_speaks_for_itself_and_for_its_namespace(self, world: World) -> None:
        rs = make_owner("ReplicaSet", "web-1", 3, owner=FLEET)
        world.up(rs, fleet(annotations=keys(spot_percentage=40)))
        assert percentage(world, rs.ref) == 40

    def test_opting_in_of_the_namespace_later(self, world: World) -> None:
        world.up(make_pod("p", FLEET, namespace="late"), fleet(), make_namespace("late"))
        explained = explain_pod(world.state, world.state.pods["p"], world.now)
        assert explained.unmanaged is not None
        assert (explained.unmanaged.reason, explained.unmanaged.detail) == (Reason.NOT_OPTED_IN, "Fleet late/f")
        world.up(make_namespace("late", labels=ENABLED))
        assert percentage(world, FLEET, "late") == 0


def test_who_names_an_owner_of_another_namespace_is_apart_from_its_pods(world: World) -> None:
    """Such a pod is deleted before long; until then it takes no seat."""
    owner = world.deployment("web", 4, spot_percentage=50)
    offered = world.nodes(spot=1, on_demand=1)
    world.up(*(make_pod(f"thief-{n}", owner, "spot-0", namespace="other") for n in range(2)))
    assert world.state.workloads.resolve("other", owner) is None
    explained = explain_pod(world.state, world.state.pods["thief-0"], world.now)
    assert explained.unmanaged is not None
    assert explained.unmanaged.reason is Reason.NO_CONTROLLER
    given = []
    for n in range(4):
        world.up(make_pod(f"p{n}", owner))
        revision = world.state.pods[f"p{n}"].revision
        assert revision is not None
        given.append(world.place(revision.owner, offered, uid=f"p{n}")[1].capacity_class)
    assert sorted(given) == ["on-demand"] * 2 + ["spot"] * 2
