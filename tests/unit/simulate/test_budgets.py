"""The simulated PodDisruptionBudgets and evictions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulated import SETTLED, add, budget, pods_of, pool, virtual

from extender.core.drift.eviction import Answer, Outcome
from extender.core.model.objects import Budget
from extender.core.model.selectors import LabelSelector
from extender.simulate.api import VirtualPod
from extender.simulate.budgets import Amount, BudgetSpec, parse_amount
from extender.simulate.cluster import Cluster

BLOCKED = Outcome(Answer.BUDGET, 429)


def settled(replicas: int = 4, cpu: int = 500, **amounts: Any) -> tuple[Cluster, str]:
    cluster = virtual(pool("od", 4, "on-demand"))
    uid = add(cluster, replicas=replicas, cpu=cpu)
    if amounts:
        budget(cluster, **amounts)
    cluster.run(SETTLED)
    return cluster, uid


def evict(cluster: Cluster, pod: VirtualPod) -> Outcome:
    return cluster.budgets.evict(pod.namespace, pod.name, pod.uid)


def allowed(cluster: Cluster, name: str = "pdb") -> int:
    return cluster.api.budgets[f"pdb-shop-{name}"].allowed


@pytest.mark.parametrize(
    ("amounts", "wanted"),
    [
        ({"min_available": 3}, 1),
        ({"min_available": 4}, 0),
        ({"min_available": 9}, 0),
        ({"max_unavailable": 1}, 1),
        ({"max_unavailable": 0}, 0),
        ({"max_unavailable": 9}, 4),
    ],
)
def test_the_status_follows_from_the_ready_pods(amounts: dict[str, int], wanted: int) -> None:
    cluster, _ = settled(**amounts)
    assert allowed(cluster) == wanted


def test_an_allowance_is_used_up_at_once_and_comes_back_with_the_replacement() -> None:
    cluster, uid = settled(max_unavailable=1)
    first, second, *_ = pods_of(cluster, uid)
    assert evict(cluster, first) == Outcome(Answer.EVICTED, 201)
    assert evict(cluster, second) == BLOCKED
    cluster.run(8.0)
    assert (allowed(cluster), evict(cluster, second)) == (0, BLOCKED)
    cluster.run(SETTLED)
    assert (allowed(cluster), evict(cluster, second)) == (1, Outcome(Answer.EVICTED, 201))


def test_a_dry_run_is_answered_as_an_eviction_and_changes_nothing() -> None:
    cluster, uid = settled(max_unavailable=1)
    pod, other, *_ = pods_of(cluster, uid)
    for _ in range(2):
        assert cluster.budgets.evict("shop", pod.name, pod.uid, dry_run=True) == Outcome(Answer.EVICTED, 201)
    assert (allowed(cluster), pod.terminating) == (1, False)
    evict(cluster, other)
    assert cluster.budgets.evict("shop", pod.name, pod.uid, dry_run=True) == BLOCKED


def test_a_budget_whose_status_was_not_written_yet_asks_for_patience() -> None:
    cluster, uid = settled()
    budget(cluster, max_unavailable=1)
    assert evict(cluster, pods_of(cluster, uid)[0]) == Outcome(Answer.LATER, 429, retry_after=10.0)


def test_names_and_preconditions() -> None:
    cluster, uid = settled()
    pod = pods_of(cluster, uid)[0]
    assert cluster.budgets.evict("shop", "nobody", "") == Outcome(Answer.GONE, 404)
    assert cluster.budgets.evict("shop", pod.name, "other") == Outcome(Answer.CHANGED, 409)
    assert cluster.budgets.evict("shop", pod.name, "") == Outcome(Answer.EVICTED, 201)


def test_two_budgets_for_a_pod_are_an_error() -> None:
    cluster, uid = settled(max_unavailable=1)
    budget(cluster, name="other", max_unavailable=1)
    cluster.run(5.0)
    assert evict(cluster, pods_of(cluster, uid)[0]) == Outcome(Answer.BUDGETS, 500)


def test_a_pod_that_never_ran_or_ends_bypasses_its_budget() -> None:
    cluster, uid = settled(replicas=5, cpu=4000, min_available=4)
    pending = next(pod for pod in pods_of(cluster, uid) if not pod.node)
    running = next(pod for pod in pods_of(cluster, uid) if pod.node)
    assert evict(cluster, running) == BLOCKED
    assert evict(cluster, pending) == Outcome(Answer.EVICTED, 201)


@pytest.mark.parametrize(
    ("minimum", "always", "wanted"),
    [(3, False, Outcome(Answer.EVICTED, 201)), (4, False, BLOCKED), (4, True, Outcome(Answer.EVICTED, 201))],
)
def test_a_pod_that_is_not_ready(minimum: int, always: bool, wanted: Outcome) -> None:
    cluster, uid = settled()
    spec = Budget(
        "pdb", "shop", "pdb", LabelSelector((("app", "web"),)), 0, current=False, always_allow_unhealthy=always
    )
    cluster.budgets.add(spec, BudgetSpec(min_available=Amount(minimum)))
    pod = pods_of(cluster, uid)[0]
    pod.ready = False
    cluster.api.changed(pod)
    cluster.run(5.0)
    assert evict(cluster, pod) == wanted


def test_percentages_are_of_what_the_controllers_want_rounded_up() -> None:
    cluster, _ = settled(replicas=7)
    for name, fields in {"most": {"max_unavailable": "30%"}, "least": {"min_available": "50%"}}.items():
        spec = BudgetSpec(**{key: parse_amount(value) for key, value in fields.items()})
        cluster.add_budget("shop", name, LabelSelector(), spec)
    cluster.run(5.0)
    assert (allowed(cluster, "most"), allowed(cluster, "least")) == (3, 3)


@given(
    st.integers(0, 12),
    st.sampled_from(["min_available", "max_unavailable"]),
    st.integers(0, 14),
    st.lists(st.integers(0, 11), max_size=12),
)
def test_no_order_of_evictions_takes_more_than_the_budget_allows(
    replicas: int, kind: str, amount: int, order: list[int]
) -> None:
    cluster, uid = settled(replicas=replicas, cpu=100, **{kind: amount})
    pods = pods_of(cluster, uid)
    gone = 0
    for index in order:
        if index < len(pods) and not pods[index].terminating:
            gone += evict(cluster, pods[index]).status == 201
        cluster.run(0.1)
    least = amount if kind == "min_available" else replicas - amount
    assert gone <= max(0, replicas - least)


def test_amounts() -> None:
    found: list[Any] = [parse_amount(text) for text in (None, 2, "3", "50%")]
    assert found == [None, Amount(2), Amount(3), Amount(50, percent=True)]
    assert [Amount(50, percent=True).of(3), Amount(2).of(3)] == [2, 2]
