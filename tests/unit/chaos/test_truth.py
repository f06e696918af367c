"""The chaos suite notices what it is there for: a floor that an eviction breaks, and a cluster that is not at rest."""

from typing import Any

import pytest
from chaos.truth import Truth, Wanted
from support.cluster import Cluster

CLASSES = {"spot-0": "spot", "on-demand-0": "on-demand"}


def pod(name: str, node: str = "", *, app: str = "web", ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"nodeName": node} if node else {},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


class Sized(Truth):
    """Of one workload of three replicas."""

    async def sizes(self) -> dict[str, int]:
        return {"web": 3}


class Given(Cluster):
    """A namespace with these pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.namespace = "test"
        self._pods = list(pods)

    async def pods(self, app: str = "") -> list[dict[str, Any]]:
        return [p for p in self._pods if not app or p["metadata"]["labels"]["app"] == app]

    async def classes(self) -> dict[str, str]:
        return CLASSES


ON_DEMAND = [pod("a", "on-demand-0"), pod("b", "on-demand-0")]


@pytest.mark.parametrize(
    ("pods", "evicted", "granted", "breached"),
    [
        (ON_DEMAND, "a", True, True),
        (ON_DEMAND, "a", False, False),
        ([*ON_DEMAND, pod("c", "on-demand-0")], "a", True, False),
        ([*ON_DEMAND, pod("c", "on-demand-0", ready=False)], "a", True, True),
        ([*ON_DEMAND, pod("c", "on-demand-0", app="other")], "a", True, True),
        ([*ON_DEMAND, pod("c", "spot-0")], "c", True, False),
    ],
)
async def test_an_eviction_is_held_against_the_floor(
    pods: list[dict[str, Any]], evicted: str, granted: bool, breached: bool
) -> None:
    truth = Truth(Given(*pods), {"web": Wanted("Deployment", 3, 50, 2)})
    async with truth.eviction("test", evicted, dry=False) as seen:
        seen.granted = granted
    assert bool(truth.breaches) is breached
    assert truth.evictions == granted


@pytest.mark.parametrize(
    ("pods", "restless"),
    [
        ([*ON_DEMAND, pod("c", "spot-0")], 0),
        ([*ON_DEMAND, pod("c", "on-demand-0")], 1),
        ([*ON_DEMAND, pod("c")], 1),
        ([*ON_DEMAND, pod("c", "spot-0", ready=False)], 1),
        ([*ON_DEMAND, pod("c", "spot-0"), pod("d", "spot-0", app="gone")], 1),
    ],
)
async def test_rest_is_every_pod_at_its_place(pods: list[dict[str, Any]], restless: int) -> None:
    truth = Sized(Given(*pods), {"web": Wanted("Deployment", 9, 50, 2)})
    assert len(await truth.unrest()) == restless


@pytest.mark.parametrize(
    ("replicas", "percentage", "floor", "split"),
    [
        (10, 70, 2, {"spot": 7, "on-demand": 3}),
        (7, 50, 0, {"spot": 3, "on-demand": 4}),
        (3, 100, 2, {"spot": 1, "on-demand": 2}),
        (3, 100, 0, {"spot": 3}),
    ],
)
def test_the_split_at_rest(replicas: int, percentage: int, floor: int, split: dict[str, int]) -> None:
    assert Wanted("Deployment", replicas, percentage, floor).split == split
