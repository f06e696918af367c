"""Calls the gRPC API without rest until a line comes on standard input, and says how often it was answered.

    python -m bench.apichild TARGET watch|list|explain

The first line is printed with the first answer.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any

import grpc

from spotmix.placement.v1 import placement_pb2 as pb
from spotmix.placement.v1.placement_pb2_grpc import PlacementServiceStub


class _Calls:
    """How long each call took (seconds), and decisions received and lost."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.received = self.lost = 0
        self.answered = asyncio.Event()

    @property
    def text(self) -> str:
        """In words."""
        if self.times:
            return f"{len(self.times):,} calls, p50 {median(self.times) * 1e3:.1f} ms"
        return f"{self.received:,} decisions received, {self.lost:,} lost"


async def _watch(api: Any, calls: _Calls) -> None:
    async for message in api.WatchDecisions(pb.WatchDecisionsRequest()):
        calls.received += len(message.decisions)
        calls.lost += message.lost
        calls.answered.set()


async def _again(calls: _Calls, call: Callable[[], Awaitable[object]]) -> None:
    while True:
        began = time.perf_counter()
        await call()
        calls.times.append(time.perf_counter() - began)
        calls.answered.set()


async def _some_pod(api: Any) -> pb.ExplainPodRequest:
    """A pod that has a node."""
    listed = await api.ListWorkloads(pb.ListWorkloadsRequest(page_size=1))
    row = listed.overview.workloads[0]
    workload = await api.GetWorkload(pb.GetWorkloadRequest(namespace=row.namespace, kind=row.kind, name=row.name))
    return pb.ExplainPodRequest(namespace=row.namespace, name=workload.workload.pods[-1].name)


async def _main(arguments: Sequence[str]) -> None:
    target, mode = arguments
    calls = _Calls()
    async with grpc.aio.insecure_channel(target) as channel:
        api: Any = PlacementServiceStub(channel)  # type: ignore[no-untyped-call]  # made by protoc
        if mode == "watch":
            work = _watch(api, calls)
        elif mode == "list":
            work = _again(calls, lambda: api.ListWorkloads(pb.ListWorkloadsRequest()))
        else:
            pod = await _some_pod(api)
            work = _again(calls, lambda: api.ExplainPod(pod))
        task = asyncio.ensure_future(work)
        await calls.answered.wait()
        sys.stdout.write("answered\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        sys.stdout.write(calls.text)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
