"""Loads a synthetic cluster into a `ClusterState`, asks the console for pages and says how long each holds up others.

    python -m bench.consolechild NODES WORKLOADS REPLICAS ROUNDS

One workload in twenty is off its split. Printed is for each page, in milliseconds: the whole answer, and the longest
time in which the event loop had no turn, that is, a request of the scheduler would have waited. The median of the
rounds, each with an overview of its own.
"""

import asyncio
import gc
import sys
import time
from statistics import median

from bench.planchild import LATER, RULES, Stage
from extender.core.answers.decisions import DecisionLog
from extender.core.drift.history import History
from extender.servers.answers.shared import KEEP, SharedAnswers
from extender.servers.answers.sources import DriftSource, Sources
from extender.servers.asgi import Message, Scope
from extender.servers.console import ConsoleApp


async def _elsewhere(*_: object) -> None:
    raise AssertionError("the console serves these itself")


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("that never happens")


async def _sink(_message: Message) -> None:
    return


async def _longest_gap(task: "asyncio.Task[None]") -> float:
    """The longest time between two turns of the loop until the task is done (seconds)."""
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    task.result()
    return longest


async def measure(stage: Stage, rounds: int) -> None:
    """Ask for each page, and print."""
    state = stage.state
    drifting = DriftSource("on", RULES, History, dict, lambda: True, lambda: None)
    sources = Sources(state, DecisionLog(), drifting, lambda: None, lambda: LATER, "", lambda *_: None, lambda *_: None)
    app = ConsoleApp(SharedAnswers(sources), _elsewhere)
    some = stage.deployments(20)[0]
    pod = next(iter(state.pods.values()))
    paths = [
        "/console",
        "/console/nodes",
        "/console/plan",
        f"/console/workloads/{some.namespace}/{some.kind}/{some.name}",
        f"/console/pods/{pod.namespace}/{pod.name}",
    ]
    for path in paths:
        scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
        whole, gaps = [], []
        for number in range(rounds + 1):
            await asyncio.sleep(KEEP)
            gc.collect()
            began = time.perf_counter()
            gap = await _longest_gap(asyncio.create_task(_serve(app, scope)))
            if number:
                whole.append((time.perf_counter() - began) * 1e3)
                gaps.append(gap * 1e3)
        sys.stdout.write(f"{path}: answered in {median(whole):.1f} ms, held up others for {median(gaps):.1f} ms\n")


async def _serve(app: ConsoleApp, scope: Scope) -> None:
    await app(scope, _never, _sink)


def main() -> None:
    """Load and measure."""
    nodes, workloads, replicas, rounds = map(int, sys.argv[1:])
    stage = Stage(nodes, workloads, replicas)
    stage.ask_more(stage.deployments(20))
    gc.collect()
    gc.freeze()
    asyncio.run(measure(stage, rounds))


if __name__ == "__main__":
    main()
