"""What the demo says of a cluster, from facts alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import Node, Owner, OwnerRef, Requests
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Policy
from extender.core.policy.seats import TwoClassSeats
from extender.core.policy.values import PoolCap
from extender.sandbox.demo import samples
from extender.sandbox.demo.acts import Settling, filter_words, summary_table
from extender.sandbox.demo.facts import (
    Look,
    PodFact,
    SplitState,
    WorkloadView,
    policy_of,
    view_workloads,
    workloads_on,
)
from extender.sandbox.demo.observe import decode_pods
from extender.sandbox.demo.script import victims
from extender.sandbox.demo.words import policy_words, short_split, split_words, waiting_words

OPTED_IN = {"spotmix.io/enabled": "true"}
WAITS = f"0/18 nodes are available: 12 {Reason.WAIT_CLASS.text}, 6 Insufficient memory. preemption: not helpful."


def node(name: str, capacity_class: str = SPOT, zone: str = "a", going_away: str = "", kind: str = "m.xlarge") -> Node:
    return Node(name, name, capacity_class, kind, zone, going_away, False, (), {}, Requests(), 110)


def owner(
    kind: str,
    name: str,
    replicas: int,
    policy: Mapping[str, str] | None = None,
    *,
    above: str = "",
    revision: int = 0,
    labels: Mapping[str, str] = OPTED_IN,
) -> Owner:
    annotations = {f"spotmix.io/{key}": value for key, value in (policy or {}).items()}
    if revision:
        annotations["deployment.kubernetes.io/revision"] = str(revision)
    ref = OwnerRef(above, "apps/v1", "Deployment", above) if above else None
    return Owner(name, "", "apps/v1", kind, "demo", name, ref, labels, annotations, replicas)


def pods(controller: str, *places: str, ready: bool = True, message: str = "") -> list[PodFact]:
    return [
        PodFact(f"{controller}-{number}", controller, place, ready and bool(place), True, "" if place else message)
        for number, place in enumerate(places)
    ]


NODES = {
    each.name: each
    for each in (
        node("s1"),
        node("s2", zone="b"),
        node("d1", ON_DEMAND),
        node("leaving", going_away="karpenter.sh/disrupted"),
    )
}


def view_of(owners: Sequence[Owner], facts: Sequence[PodFact]) -> WorkloadView:
    views = view_workloads(Look(1.0, facts, NODES, owners))
    assert len(views) == 1
    return views[0]


def stateful(replicas: int, facts: Sequence[PodFact], **policy: str) -> WorkloadView:
    keys = {key.replace("_", "-"): value for key, value in policy.items()}
    return view_of([owner("StatefulSet", "db", replicas, keys)], facts)


@pytest.mark.parametrize(
    ("part", "spot", "on_demand"),
    [(samples.WEB, 7, 3), (samples.API, 4, 2), (samples.CACHE, 3, 2), (samples.BATCH, 5, 3)],
)
def test_wanted_splits_of_the_cast_come_from_its_annotations(
    part: samples.SampleWorkload, spot: int, on_demand: int
) -> None:
    view = view_of([owner(part.kind, part.name, part.replicas, part.policy)], ())
    assert view.wanted == {SPOT: spot, ON_DEMAND: on_demand}


def test_the_cast_is_opted_in_and_its_objects_carry_their_size() -> None:
    for part in samples.WORKLOADS:
        body = part.body()
        assert body["metadata"]["labels"] == OPTED_IN
        size = "parallelism" if part.kind == "Job" else "replicas"
        assert body["spec"][size] == part.replicas


def test_the_nodes_are_of_two_classes_and_three_zones() -> None:
    nodes = samples.nodes()
    assert len({each.name for each in nodes}) == len(nodes) == 18
    assert {each.capacity_class for each in nodes} == {SPOT, ON_DEMAND}
    assert {each.zone for each in nodes} == set(samples.ZONES)


def test_a_split_is_exact_when_every_pod_is_ready_in_its_class() -> None:
    view = stateful(3, pods("db", "s1", "s2", "d1"), spot_percentage="70")
    assert view.newest.counts == {SPOT: 2, ON_DEMAND: 1}
    assert view.verdict is SplitState.EXACT


def test_a_split_is_off_when_all_run_and_it_is_not_the_wanted_one() -> None:
    assert stateful(3, pods("db", "s1", "s2", "s2"), spot_percentage="70").verdict is SplitState.OFF


def test_a_pod_that_is_not_ready_is_on_its_way() -> None:
    view = stateful(3, pods("db", "s1", "s2", "d1", ready=False), spot_percentage="70")
    assert (view.verdict, view.doing) == (SplitState.MOVING, "starting")


def test_a_pod_on_a_node_that_goes_or_is_gone_counts_as_leaving() -> None:
    view = stateful(3, pods("db", "s1", "leaving", "gone"), spot_percentage="70")
    assert (view.newest.counts, view.newest.leaving) == ({SPOT: 1}, 2)
    assert (view.verdict, view.doing) == (SplitState.MOVING, "2 on a node that goes")


def test_too_many_and_too_few_pods_are_on_their_way() -> None:
    assert stateful(1, pods("db", "s1", "d1")).doing == "scaling in"
    assert stateful(3, pods("db", "d1")).doing == "placing"


def test_waiting_for_the_class_is_as_asked_only_under_that_policy_and_reason() -> None:
    facts = pods("db", "s1", "d1", "", message=WAITS)
    view = stateful(3, facts, spot_percentage="70", when_unsatisfiable="wait")
    assert view.verdict is SplitState.WAITS
    assert view.newest.waiting == {"waits for a node of its capacity class": 1}
    other = stateful(3, pods("db", "s1", "d1", "", message="0/18 nodes are available: 18 Insufficient cpu."))
    assert other.verdict is SplitState.MOVING
    assert other.newest.waiting == {"18 Insufficient cpu": 1}


def test_more_than_the_cap_in_a_pool_is_off() -> None:
    policy = {"spot_percentage": "100", "max_per_pool": "1"}
    assert stateful(2, pods("db", "s1", "s2"), **policy).verdict is SplitState.EXACT
    crowded = stateful(2, pods("db", "s1", "s1"), **policy)
    assert (crowded.newest.fullest, crowded.verdict) == (2, SplitState.OFF)


def test_a_deployment_is_seen_by_revision_and_judged_by_its_newest_alone() -> None:
    owners = [
        owner("Deployment", "web", 3, {"spot-percentage": "70"}),
        owner("ReplicaSet", "web-old", 1, above="web", revision=9),
        owner("ReplicaSet", "web-new", 2, above="web", revision=10),
        owner("ReplicaSet", "other-1", 2, above="other", revision=11),
    ]
    rolling = view_of(owners, [*pods("web-new", "s1", "d1"), *pods("web-old", "s2"), *pods("other-1", "s1")])
    assert rolling.newest.uid == "web-new"
    assert [each.uid for each in rolling.older] == ["web-old"]
    assert (rolling.verdict, rolling.doing) == (SplitState.MOVING, "rolling out")
    done = view_of(owners, pods("web-new", "s1", "s2", "d1"))
    assert (done.older, done.verdict) == ((), SplitState.EXACT)


def test_what_is_not_opted_in_has_no_row() -> None:
    assert view_workloads(Look(1.0, (), NODES, [owner("Deployment", "web", 3, labels={})])) == []


def test_the_victims_are_the_spot_nodes_of_one_zone_that_spare_the_job() -> None:
    nodes = [
        node("m-a", zone="a"),
        node("r-a", zone="a", kind="r.xlarge"),
        node("m-b", zone="b"),
        node("r-b", zone="b", kind="r.xlarge"),
        node("c-b", zone="b", kind="c.xlarge"),
        node("d-b", ON_DEMAND, "b"),
    ]
    owners = [owner("StatefulSet", "cache", 5), owner("Deployment", "web", 5), owner("Job", "batch", 8)]
    facts = [
        *pods("cache", "r-a", "r-b", "d-b"),
        *pods("batch", "c-b", "c-b"),
        *pods("web", "m-b", "c-b", "d-b"),
    ]
    snapshot = Look(1.0, facts, {each.name: each for each in nodes}, owners)
    assert victims(snapshot) == ["m-b", "r-b"]
    assert workloads_on(snapshot, "c-b") == ["batch", "batch", "web"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (policy_of(owner("Deployment", "web", 1, samples.WEB.policy)), "70 % spot, at least 2 on-demand"),
        (
            policy_of(owner("Deployment", "api", 1, samples.API.policy)),
            "first 2 on-demand, then all spot, at most 1 per spot pool",
        ),
        (policy_of(owner("StatefulSet", "cache", 1, samples.CACHE.policy)), "60 % spot, waits for its class"),
        (policy_of(owner("Job", "batch", 1, samples.BATCH.policy)), "all spot, at most 5 on spot"),
        (Policy(), "all on-demand"),
        (
            Policy(TwoClassSeats(50), "any", 5.0, PoolCap(25, percent=True), mode="audit"),
            "50 % spot, at most 25 % per spot pool, either class stands in, falls back after 5 s, audit only",
        ),
    ],
)
def test_a_policy_in_words(policy: Policy, words: str) -> None:
    assert policy_words(policy) == words


def test_a_split_in_words_and_numbers_names_spot_first_and_leaves_nothing_out() -> None:
    assert split_words({ON_DEMAND: 3, SPOT: 7}) == "7 spot + 3 on-demand"
    assert short_split({ON_DEMAND: 3, "reserved": 1}) == "0 + 3 + 1"


def test_why_a_pod_waits() -> None:
    assert waiting_words("") == "not tried yet"
    assert waiting_words(WAITS) == "waits for a node of its capacity class"
    assert waiting_words("0/2 nodes are available: 2 Too many pods. No preemption.") == "2 Too many pods"
    long = waiting_words("0/2 nodes are available: " + "x" * 100)
    assert (len(long), long[-1]) == (60, "…")


def test_terminating_and_ended_pods_are_not_seen() -> None:
    def pod(name: str, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
        refs = [{"uid": "u", "kind": "ReplicaSet", "name": "web-1", "controller": True}]
        conditions = [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True", "message": "m"}]
        return {
            "metadata": {"name": name, "uid": name, "ownerReferences": refs, **metadata},
            "spec": {"nodeName": "s1"},
            "status": {"phase": phase, "conditions": conditions},
        }

    items = [
        pod("live", annotations={"controller.kubernetes.io/pod-deletion-cost": "5"}),
        pod("going", deletionTimestamp="2026-01-01T00:00:00Z"),
        pod("done", phase="Succeeded"),
    ]
    assert decode_pods(json.dumps({"items": items}).encode()) == [PodFact("live", "u", "s1", True, True, "")]
    assert decode_pods(b'{"items": null}') == []


def test_settling_takes_two_looks_and_remembers_the_first() -> None:
    good = stateful(3, pods("db", "s1", "s2", "d1"), spot_percentage="70")
    moving = stateful(3, pods("db", "s1", "s2"), spot_percentage="70")
    settling = Settling(["db"], 10.0)
    assert not settling.see([good], 10.5, ready=False)
    assert not settling.see([moving], 11.0)
    assert not settling.see([good], 12.0)
    assert settling.see([good], 13.0)
    (row,) = settling.rows("burst", 14.0)
    assert (row.seconds, row.good, row.verdict) == (2.0, True, SplitState.EXACT)
    assert row.line == "burst: db wanted 2 spot + 1 on-demand, actual 2 spot + 1 on-demand: exact, 2.0 s"


def test_what_has_not_settled_is_off_in_the_end_whether_followed_or_not() -> None:
    moving = stateful(3, pods("db", "s1", "s2"), spot_percentage="70")
    settling = Settling(["web"], 0.0)
    assert not settling.see([moving], 1.0)
    assert {(row.workload, row.verdict, row.good) for row in settling.rows("burst", 2.0)} == {
        ("db", SplitState.OFF, False),
        ("web", SplitState.OFF, False),
    }


def test_the_summary_has_a_row_for_each() -> None:
    view = stateful(3, pods("db", "s1", "d1", "", message=WAITS), spot_percentage="70", when_unsatisfiable="wait")
    settling = Settling(["db"], 0.0)
    settling.see([view], 1.0)
    rows = settling.rows("loss", 1.0)
    assert rows[0].good
    assert rows[0].waiting == 1
    assert summary_table([*rows, *rows]).row_count == 2


def test_what_the_metrics_say_of_the_answers() -> None:
    text = """\
# HELP spotmix_request_duration_seconds Time
spotmix_request_duration_seconds_count{verb="filter"} 40.0
spotmix_request_duration_seconds_sum{verb="filter"} 0.02
spotmix_request_errors_total{verb="filter"} 1.0
"""
    assert filter_words(text) == "Spotmix answered 40 filter calls in 0.50 ms on average, 1 of them with an error."
    assert filter_words("") == ""
