"""The simulated scheduler: which nodes it offers, where pods go, and when one waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples
from support.simulated import SETTLED, add, pods_of, pool, virtual

from extender.core.model.constraints import Constraints, PodTerm, Spread
from extender.core.model.selectors import LabelSelector
from extender.core.state.events import Event, Upsert
from extender.simulate.api import VirtualPod, Watcher
from extender.simulate.feasible import sample_size
from extender.simulate.spotmix import SpotmixOptions


@pytest.mark.parametrize(
    ("nodes", "percentage", "wanted"),
    [(50, 0, 50), (99, 30, 99), (100, 0, 100), (1000, 0, 420), (5000, 0, 500), (20_000, 0, 1000), (1000, 100, 1000)],
)
def test_the_sample_is_that_of_the_scheduler(nodes: int, percentage: int, wanted: int) -> None:
    assert sample_size(nodes, percentage) == wanted


@examples(20)
@given(
    st.lists(
        st.tuples(st.integers(1, 25), st.integers(0, 100), st.sampled_from([100, 700, 1500])), min_size=1, max_size=6
    )
)
def test_no_node_is_overbooked_and_a_pod_that_fits_is_placed(workloads: list[tuple[int, int, int]]) -> None:
    cluster = virtual(pool("od", 6, "on-demand"), pool("spot", 6))
    uids = [
        add(cluster, f"w{n}", replicas, cpu=cpu, spot_percentage=percentage, when_unsatisfiable="any")
        for n, (replicas, percentage, cpu) in enumerate(workloads)
    ]
    cluster.run(SETTLED)
    for name in cluster.api.nodes:
        assert sum(pod.template.requests.cpu for pod in cluster.api.pods_on(name)) <= 4000
    waiting = [pod for uid in uids for pod in pods_of(cluster, uid) if not pod.node]
    free = [4000 - sum(pod.template.requests.cpu for pod in cluster.api.pods_on(name)) for name in cluster.api.nodes]
    assert all(pod.template.requests.cpu > max(free) for pod in waiting)


def test_a_burst_is_split_exactly_although_the_watch_lags() -> None:
    cluster = virtual(pool("od", 20, "on-demand"), pool("spot", 20), spotmix=SpotmixOptions(lag=5.0))
    uids = {add(cluster, f"w{n}", 0, cpu=50, spot_percentage=n): n for n in (10, 35, 60, 85)}
    cluster.run(SETTLED)
    for uid in uids:
        cluster.scale(uid, 30)
    cluster.run(SETTLED)
    for uid, percentage in uids.items():
        spot = 30 * percentage // 100
        assert cluster.split(uid) == {"spot": spot, "on-demand": 30 - spot}


def test_a_pod_without_room_waits_and_is_placed_when_there_is() -> None:
    cluster = virtual(pool("od", 1, "on-demand"))
    first = add(cluster, "first", 4, cpu=1000)
    cluster.run(SETTLED)
    second = add(cluster, "second", 1, cpu=1000)
    cluster.run(SETTLED)
    (waiting,) = pods_of(cluster, second)
    assert (waiting.node, waiting.unscheduled_since is not None) == ("", True)
    cluster.scale(first, 3)
    cluster.run(SETTLED)
    assert waiting.node


def test_a_pod_waits_for_its_class_and_falls_back_when_its_time_has_come() -> None:
    cluster = virtual(pool("od", 2, "on-demand"))
    patient = add(cluster, "patient", 1, spot_percentage=100, fallback_after="10m")
    stubborn = add(cluster, "stubborn", 1, spot_percentage=100, when_unsatisfiable="wait")
    cluster.run(595.0)
    assert (cluster.split(patient), cluster.split(stubborn)) == ({}, {})
    cluster.run(10.0)
    assert (cluster.split(patient), cluster.split(stubborn)) == ({"on-demand": 1}, {})


def test_few_nodes_of_a_class_outside_of_the_sample_are_found() -> None:
    cluster = virtual(pool("od", 1000, "on-demand"), pool("spot", 3))
    uid = add(cluster, replicas=12, cpu=100, spot_percentage=100)
    cluster.run(SETTLED)
    assert cluster.split(uid) == {"spot": 12}


def test_a_node_is_nominated_when_the_watch_says_that_the_scheduler_has_given_the_pod_up() -> None:
    cluster = virtual(pool("od", 300, "on-demand"), pool("spot", 3), spotmix=SpotmixOptions(lag=0.05, patch=0.02))
    nominated: dict[str, float] = {}

    class Nominations(Watcher):
        def pod(self, pod: VirtualPod, event: Event) -> None:
            if pod.nominated and isinstance(event, Upsert):
                nominated.setdefault(pod.uid, cluster.clock.now - (pod.unscheduled_since or 0.0))

    cluster.api.watchers.append(Nominations())
    uid = add(cluster, replicas=0, cpu=100, spot_percentage=100)
    cluster.run(SETTLED)
    cluster.scale(uid, 12)
    cluster.run(SETTLED)
    assert len(nominated) >= 3
    assert list(nominated.values()) == pytest.approx([0.07] * len(nominated), abs=1e-5)


def test_nodes_that_are_refused_get_nothing() -> None:
    cluster = virtual(pool("od", 2, "on-demand"), pool("spot", 2, refused=True))
    uid = add(cluster, replicas=4, spot_percentage=100)
    cluster.run(SETTLED)
    assert cluster.split(uid) == {"on-demand": 4}


def test_without_spotmix_the_scheduler_goes_by_itself() -> None:
    cluster = virtual(pool("od", 2, "on-demand"), pool("spot", 2), spotmix=None)
    uid = add(cluster, replicas=8, spot_percentage=100)
    cluster.run(SETTLED)
    assert cluster.split(uid) == {"on-demand": 4, "spot": 4}


def test_pods_that_must_not_share_a_node_do_not() -> None:
    apart = Constraints(anti_affinity=(PodTerm("kubernetes.io/hostname", LabelSelector((("app", "web"),))),))
    cluster = virtual(pool("od", 3, "on-demand"), pool("spot", 3))
    uid = add(cluster, replicas=8, spot_percentage=50, pod_constraints=apart)
    cluster.run(SETTLED)
    nodes = [pod.node for pod in pods_of(cluster, uid) if pod.node]
    assert len(nodes) == len(set(nodes)) == 6


def test_pods_are_spread_over_zones_as_far_as_they_have_to_be() -> None:
    even = Constraints(spread=(Spread("topology.kubernetes.io/zone", 1, LabelSelector((("app", "web"),))),))
    cluster = virtual(pool("a", 5, "on-demand"), pool("b", 1, "on-demand", zone="b"))
    uid = add(cluster, replicas=12, cpu=1000, pod_constraints=even)
    cluster.run(SETTLED)
    zones = [cluster.api.nodes[pod.node].zone for pod in pods_of(cluster, uid) if pod.node]
    assert (zones.count("a"), zones.count("b")) == (5, 4)
