"""Every reason is in a set that says what it is a reason of; the sets that make labels of metrics stay as they are."""

from extender.core.model.reasons import (
    GATES,
    GIVES_A_CLASS,
    NO_DESTINATION,
    OBSTACLES,
    OF_DECISIONS,
    OF_ENFORCEMENT,
    OF_MOVES,
    OF_NODES,
    OF_PAUSES,
    OF_RESULTS,
    OF_STAYS,
    OF_UNMANAGED,
    PASSES,
    REJECTS,
    Reason,
)

SORTS = (OF_DECISIONS, GATES, OF_MOVES, OF_STAYS, OF_RESULTS, OF_NODES, OF_UNMANAGED, OF_ENFORCEMENT)


def labels(reasons: tuple[Reason, ...]) -> str:
    return " ".join(map(str, reasons))


def test_every_reason_is_of_one_sort() -> None:
    sorted_in = [reason for sort in SORTS for reason in sort]
    assert set(sorted_in) == set(Reason)
    # A class that waits its turn or is limited is a reason to reject a pod, and what the nodes of that class are to it.
    twice = {reason for reason in Reason if sorted_in.count(reason) != 1}
    assert twice == {Reason.WAIT_FALLBACK, Reason.LIMIT_REACHED}


def test_finer_sets_are_parts_of_coarser_ones() -> None:
    assert {*PASSES, *REJECTS, *OBSTACLES} == set(OF_DECISIONS)
    assert len(PASSES) + len(REJECTS) + len(OBSTACLES) == len(OF_DECISIONS)
    assert set(PASSES) > GIVES_A_CLASS
    assert set(OF_STAYS) > {*OF_PAUSES, *NO_DESTINATION}


def test_reasons_that_are_labels_of_metrics() -> None:
    assert labels(REJECTS) == "wait-class wait-fallback wait-sample wait-nominated pool-full limit-reached"
    assert labels(OBSTACLES) == "not-synced not-leader taking-over not-watched"
    assert labels(OF_MOVES) == "surplus interrupted"
    assert labels(OF_PAUSES) == "stale memory nodes-not-ready"
    assert labels(OF_STAYS) == (
        "stale memory nodes-not-ready cluster-budget "
        "policy-fault no-seat singleton runs-to-completion size-unknown rollout unavailable held-up in-flight window "
        "hourly-budget back-off circuit-open fault "
        "young pending protected protection-malformed drained node-not-ready "
        "budget budget-stale budgets "
        "unmodelled no-node dwell not-admitted no-room volume host-port affinity spread pool-cap class-limit later "
        "awaits-node placeholder-refused placeholder-denied"
    )


def test_one_word_for_a_pool_that_is_full_in_three_answers() -> None:
    named = [str(reason) for reason in Reason if "POOL_FULL" in reason.name]
    assert named == ["pool-full", "pool-cap", "pool-at-cap"]
