"""What it costs a filter request that its decision is kept for explanations.

The same requests to two extenders over one state, in turn: one tells the decision log, one tells nobody. In
process: of a request that comes over HTTP it is a smaller share.
"""

import gc
import time
from collections.abc import Callable
from statistics import median

from bench.report import Bench, Target, spread
from bench.test_micro import NOW, Loaded, Silent, answer
from extender.core.decide import Decision, PodView
from extender.core.decisionlog import SIZE, DecisionLog
from extender.servers.extender import Extender

NAME = "log"
SIZES = (100, 500, 5000)
OVERHEAD = Target("<=", 1.05)


class Keeper(Silent):
    """An observer that tells the log."""

    def __init__(self) -> None:
        self.log = DecisionLog()

    def decided(self, pod: PodView, decision: Decision) -> None:
        self.log.add(NOW, "filter", pod, decision)


def _extender(loaded: Loaded, observer: Silent) -> Extender:
    return Extender(loaded.state, observer, observer, lambda: None, time.time, 100)


async def run(bench: Bench) -> None:
    """Measure and report."""
    loaded, keeper = Loaded(), Keeper()
    subjects = {"without a log": _extender(loaded, Silent()), "with the log": _extender(loaded, keeper)}
    for _ in range(bench.size(SIZE, 100)):
        # A full log has entries to forget.
        body = loaded.body(1)
        answer(subjects["with the log"].filter, body)
        loaded.release(body)
    rounds, requests = bench.size(15, 3), bench.size(200, 20)
    for size in SIZES:
        medians: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(rounds):
            times: dict[str, list[float]] = {name: [] for name in subjects}
            gc.disable()
            for number in range(requests):
                # Who comes second finds caches warm.
                for name, extender in list(subjects.items())[:: 1 if number % 2 else -1]:
                    times[name].append(_time(loaded, size, extender.filter))
            gc.enable()
            for name, seen in times.items():
                medians[name].append(median(seen))
        bare, kept = medians.values()
        ratio = median(new / old for new, old in zip(kept, bare, strict=True))
        what = f"filter, {size:,} names"
        bench.add(NAME, what, "without a log", median(bare) * 1e6, "us", note=spread([1e6 * each for each in bare]))
        bench.add(
            NAME,
            what,
            "with the log",
            median(kept) * 1e6,
            "us",
            against="without a log",
            ratio=ratio,
            target=OVERHEAD,
            note=spread([1e6 * each for each in kept]),
        )


def _time(loaded: Loaded, size: int, verb: Callable[[bytes], object]) -> float:
    body = loaded.body(size)
    began = time.perf_counter()
    answer(verb, body)
    seconds = time.perf_counter() - began
    loaded.release(body)
    return seconds
