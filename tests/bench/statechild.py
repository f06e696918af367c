"""Loads a synthetic cluster into a `ClusterState` and times events on it; prints JSON.

    python -m bench.statechild NODES WORKLOADS REPLICAS EVENTS

List pages of 200 objects are made outside of the timed stretches and decoded and applied within them, by the code
that `spotmix serve` runs. Then watch lines that say that a pod's readiness changed are decoded and applied one by one,
as the reflector does. Pauses of the garbage collector are taken from its own callbacks.
"""

import gc
import json
import os
import random
import sys
import time
from typing import Any

from bench.cluster import Cluster
from bench.programs import usage
from bench.report import quantile
from extender import runtime  # what `spotmix serve` imports; its size is a part of the figure
from extender.core.model.classes import ClassRules
from extender.core.policy.rules import PolicyRules
from extender.core.state.events import Listed, Upsert
from extender.core.state.state import ClusterState
from extender.kube.resources import BUILT_IN
from extender.settings import Settings
from extender.wire.objects_v1 import Decoders

PAGE = 200
NOW = 1_780_000_000.0


class Pauses:
    """Milliseconds of each collection, by generation."""

    def __init__(self) -> None:
        self._started = 0.0
        self.seen: list[tuple[int, float]] = []
        gc.callbacks.append(self._called)

    def _called(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._started = time.perf_counter()
        else:
            self.seen.append((info["generation"], (time.perf_counter() - self._started) * 1e3))

    def longest(self) -> float:
        """The longest since the last call."""
        seen, self.seen = self.seen, []
        return max((pause for _, pause in seen), default=0.0)


def load(cluster: Cluster, state: ClusterState, decoders: Decoders) -> tuple[float, float]:
    """List everything; seconds of decoding and of applying."""
    decoding = applying = 0.0
    for resource in BUILT_IN:
        decoder = decoders.make(resource.key, resource.api_version, resource.kind)
        plural = resource.path.rpartition("/")[2]
        uids: set[str] = set()
        for start in range(0, cluster.count(plural), PAGE):
            items = b",".join(cluster.listed(plural, start, PAGE))
            body = b'{"metadata":{"resourceVersion":"1"},"items":[%b]}' % items
            began = time.perf_counter()
            page = decoder.page(body)
            decoded = time.perf_counter()
            for item in page.objects:
                state.apply(Upsert(item), NOW)
                uids.add(item.uid)
            applying += time.perf_counter() - decoded
            decoding += decoded - began
        state.apply(Listed(resource.key, frozenset(uids)), NOW)
    return decoding, applying


def events(cluster: Cluster, state: ClusterState, decoders: Decoders, count: int) -> tuple[list[float], list[float]]:
    """Apply events about pods anywhere in the cluster; microseconds of each, with and without decoding."""
    decoder = decoders.make("pods", "v1", "Pod")
    rng = random.Random(1)  # noqa: S311 - the same order in every run
    both, alone = [], []
    clock = time.perf_counter
    for version in range(count):
        number = rng.randrange(cluster.pods)
        workload, rank = number % cluster.workloads, number // cluster.workloads
        pod = cluster.pod(workload, number, cluster.place(workload, rank), version=version + 2, ready=version % 2 == 1)
        line = b'{"type":"MODIFIED","object":%b}' % pod
        began = clock()
        change = decoder.change(line)
        decoded = clock()
        if change.object is not None:
            state.apply(Upsert(change.object), NOW)
        ended = clock()
        both.append((ended - began) * 1e6)
        alone.append((ended - decoded) * 1e6)
    return both, alone


def main() -> None:
    """Measure and print."""
    nodes, workloads, replicas, count = map(int, sys.argv[1:])
    cluster = Cluster(nodes, workloads, replicas)
    settings = Settings()
    state = ClusterState(runtime.policy_rules(settings))
    decoders = Decoders(ClassRules(), PolicyRules().prefixes)
    pauses = Pauses()
    decoding, applying = load(cluster, state, decoders)
    during_load = pauses.longest()
    gc.collect()
    full = pauses.longest()
    gc.freeze()
    state.outbox.reseat.clear()
    both, alone = events(cluster, state, decoders, count)
    during_events = pauses.longest()
    gc.collect()
    result = {
        "pods": len(state.pods),
        "decode_s": decoding,
        "apply_s": applying,
        "event_us": [sum(both) / len(both), quantile(both, 0.5), quantile(both, 0.99)],
        "apply_us": [sum(alone) / len(alone), quantile(alone, 0.5), quantile(alone, 0.99)],
        "gc_load_ms": during_load,
        "gc_full_ms": full,
        "gc_events_ms": during_events,
        "gc_frozen_ms": pauses.longest(),
        "rss_mb": usage(os.getpid()).rss,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
