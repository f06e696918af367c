"""Days of spot reclaims, small enough for a test; `tests/bench` has them at full size."""

import pytest
from support.simulated import DRIFT, SETTLED, add, budget, pods_of, pool, reclaimed, virtual

from extender.core.drift.rules import DriftOptions
from extender.core.model.reasons import Reason

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_of_reclaims(seed: int) -> None:
    cluster = reclaimed(nodes=130, workloads=50, slack=1, seed=seed)
    cluster.run(DAY)
    tallies = list(cluster.meter.tallies())
    loop = cluster.drift
    assert loop is not None
    interruptions = sum(each.interruptions for each in cluster.pools.values())
    assert interruptions > 30
    # Floors: never broken by us, nor, since on-demand nodes stay, by anything else.
    assert [each.breach for each in tallies if each.breach] == []
    # Deviation: of 540 replicas less than one is on the wrong class, and one or two lack, on average.
    assert sum(each.misplaced for each in tallies) / DAY < 2.0
    assert sum(each.missing for each in tallies) / DAY < 2.0
    assert sum(each.served for each in tallies) / sum(each.wanted for each in tallies) > 0.999
    # A reclaimed node has five pods at the most: that many stand in elsewhere and may have to come back.
    moved = loop.evictions[Reason.SURPLUS]
    assert 0 < moved <= 5 * interruptions
    assert set(loop.outcomes) <= {Reason.MOVED, Reason.NOT_REPLACED, Reason.LANDED_WRONG}
    assert loop.outcomes[Reason.MOVED] >= 0.95 * loop.outcomes.total()
    assert loop.circuits == 0
    assert all(each.evictions <= 24 * 6 for each in tallies)


@pytest.mark.parametrize("notice", [0.0, 120.0])
def test_a_whole_pool_is_lost_and_comes_back(notice: float) -> None:
    cluster = virtual(
        pool("od", 12, "on-demand"), pool("spot-a", 6), pool("spot-b", 6, zone="b"), drift=DriftOptions(DRIFT)
    )
    uids = {
        add(cluster, f"w{n}", 12, spot_percentage=75, min_on_demand=3, max_per_pool="50%"): f"w{n}" for n in range(6)
    }
    for name in uids.values():
        budget(cluster, app=name, name=name, min_available=9)
    cluster.run(SETTLED)
    wanted = {"spot": 9, "on-demand": 3}
    assert all(cluster.split(uid) == wanted for uid in uids)
    cluster.begin()
    loop = cluster.drift
    assert loop is not None
    cluster.pools["spot-a"].lose(2 * HOUR, notice)
    cluster.run(HOUR)
    # Half of the replicas at the most may be in the pool that is left: the others stand in on demand.
    assert all(sum(cluster.split(uid).values()) == 12 for uid in uids)
    stand_ins = sum(cluster.split(uid)["on-demand"] - 3 for uid in uids)
    assert stand_ins >= 6 * 3
    assert loop.evictions[Reason.SURPLUS] == 0
    cluster.run(6 * HOUR)
    assert all(cluster.split(uid) == wanted for uid in uids)
    assert loop.evictions[Reason.SURPLUS] == stand_ins
    assert loop.outcomes == {Reason.MOVED: stand_ins}
    for each in cluster.meter.tallies():
        assert "spotmix" not in each.breach
    zones = {
        uid: {cluster.api.nodes[pod.node].name.rpartition("-")[0] for pod in pods_of(cluster, uid)} for uid in uids
    }
    assert all("spot-a" in names for names in zones.values())


def test_the_same_seed_is_the_same_day() -> None:
    days = []
    for _ in range(2):
        cluster = reclaimed(nodes=60, workloads=20, slack=0, seed=7)
        cluster.run(6 * HOUR)
        assert cluster.drift is not None
        days.append((repr(list(cluster.meter.tallies())), cluster.clock.calls, cluster.drift.evictions))
    assert days[0] == days[1]
