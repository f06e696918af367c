"""Decisions that callers follow: which they get, when, and what becomes of those that are slow."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from support.api import ApiBench, Guard, stub
from support.doubles_servers import run_virtually

from extender.core.answers.decisions import QUEUE
from extender.core.model.access import watch_decisions
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.servers.answers.following import AT_ONCE, CHECK, PATIENCE
from extender.servers.grpc.calls import Code, RefusedError
from extender.servers.grpc.requests import Following, following
from extender.servers.grpc.watches import QUIET
from spotmix.placement.v1 import placement_pb2 as pb


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench()
    bench.world.nodes(spot=2, on_demand=2)
    return bench


@pytest.fixture
def web(bench: ApiBench) -> OwnerRef:
    return bench.world.deployment("web", 2000, spot_percentage=50)


class Caller:
    """Follows decisions without a socket: what has arrived, and it may be slow."""

    def __init__(self, bench: ApiBench, asked: Following | None = None) -> None:
        self.messages: list[pb.WatchDecisionsResponse] = []
        self.free = asyncio.Event()
        self.free.set()
        self.refusal: RefusedError | None = None
        self.renewals = 0
        self.arrived = asyncio.Condition()
        self.task = asyncio.ensure_future(
            bench.watches.follow(asked or following(pb.WatchDecisionsRequest()), self.write, self.renew)
        )

    async def write(self, message: pb.WatchDecisionsResponse) -> None:
        await self.free.wait()
        async with self.arrived:
            self.messages.append(message)
            self.arrived.notify_all()

    async def renew(self) -> None:
        self.renewals += 1
        if self.refusal is not None:
            raise self.refusal

    async def until(self, good: Callable[[], bool]) -> None:
        async with self.arrived:
            await self.arrived.wait_for(good)

    @property
    def pods(self) -> list[str]:
        return [entry.pod for message in self.messages for entry in message.decisions]

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def decide(bench: ApiBench, owner: OwnerRef, *pods: str) -> None:
    for pod in pods:
        bench.decide(owner, pod, "spot-0", "on-demand-0")


def test_the_first_message_comes_at_once_and_decisions_as_they_are_made(bench: ApiBench, web: OwnerRef) -> None:
    async def watch() -> None:
        decide(bench, web, "before")
        caller = Caller(bench)
        await caller.until(lambda: bool(caller.messages))
        assert caller.messages == [pb.WatchDecisionsResponse()]
        before = asyncio.get_running_loop().time()
        decide(bench, web, "a", "b")
        await caller.until(lambda: caller.pods == ["a", "b"])
        assert asyncio.get_running_loop().time() == before
        assert caller.messages[1].decisions[0].number == 2
        await caller.leave()
        assert len(bench.watches) == 0

    run_virtually(watch)


def test_what_was_before_is_replayed_in_parts(bench: ApiBench, web: OwnerRef) -> None:
    async def watch() -> None:
        names = [f"p{number}" for number in range(300)]
        decide(bench, web, *names)
        caller = Caller(bench, following(pb.WatchDecisionsRequest(replay=250)))
        await caller.until(lambda: len(caller.pods) == 250)
        assert caller.pods == names[50:]
        assert [len(message.decisions) for message in caller.messages] == [AT_ONCE, AT_ONCE, 50]
        decide(bench, web, "after")
        await caller.until(lambda: caller.pods[-1] == "after")
        assert len(caller.pods) == 251
        await caller.leave()

    run_virtually(watch)


def test_a_slow_caller_loses_the_oldest_and_is_told(bench: ApiBench, web: OwnerRef) -> None:
    async def watch() -> None:
        slow, quick = Caller(bench), Caller(bench)
        await slow.until(lambda: bool(slow.messages))
        slow.free.clear()
        decide(bench, web, "first")
        await quick.until(lambda: quick.pods == ["first"])
        names = [f"p{number}" for number in range(QUEUE + 7)]
        for start in range(0, len(names), 50):
            decide(bench, web, *names[start : start + 50])
            await quick.until(lambda: quick.pods[-1] == names[min(start + 49, len(names) - 1)])  # noqa: B023
        assert sum(message.lost for message in quick.messages) == 0
        slow.free.set()
        await slow.until(lambda: bool(slow.pods) and slow.pods[-1] == names[-1])
        assert slow.pods == ["first", *names[7:]]
        assert [message.lost for message in slow.messages if message.lost] == [7]
        await slow.leave()
        await quick.leave()

    run_virtually(watch)


def test_a_caller_that_takes_nothing_is_given_up(bench: ApiBench, web: OwnerRef) -> None:
    async def watch() -> None:
        caller = Caller(bench)
        await caller.until(lambda: bool(caller.messages))
        caller.free.clear()
        decide(bench, web, "a")
        before = asyncio.get_running_loop().time()
        with pytest.raises(RefusedError, match="nothing was taken for 30 s") as caught:
            await caller.task
        assert caught.value.code is Code.ABORTED
        assert asyncio.get_running_loop().time() - before == pytest.approx(PATIENCE)
        assert len(bench.watches) == 0

    run_virtually(watch)


def test_a_caller_to_whom_nothing_is_told_for_long_is_let_go(bench: ApiBench, web: OwnerRef) -> None:
    async def watch() -> None:
        caller = Caller(bench)
        await asyncio.sleep(QUIET - 10)
        decide(bench, web, "a")
        await asyncio.sleep(QUIET - 10)
        assert not caller.task.done()
        with pytest.raises(RefusedError, match="nothing was decided for 3600 s; follow decisions again") as caught:
            await caller.task
        assert caught.value.code is Code.UNAVAILABLE
        assert len(bench.watches) == 0

    run_virtually(watch)


def test_a_caller_is_told_when_another_replica_takes_over(bench: ApiBench) -> None:
    async def watch() -> None:
        caller = Caller(bench)
        await caller.until(lambda: bool(caller.messages))
        bench.obstacle = Reason.NOT_LEADER
        await caller.until(lambda: len(caller.messages) == 2)
        bench.obstacle = None
        await caller.until(lambda: len(caller.messages) == 3)
        assert [message.obstacle for message in caller.messages] == [0, pb.REASON_NOT_LEADER, 0]
        await caller.leave()

    run_virtually(watch)


def test_a_right_that_is_taken_back_ends_it(bench: ApiBench) -> None:
    async def watch() -> None:
        caller = Caller(bench)
        before = asyncio.get_running_loop().time()
        await caller.until(lambda: bool(caller.messages))
        await asyncio.sleep(CHECK * 1.5)
        assert caller.renewals == 1
        caller.refusal = RefusedError(Code.PERMISSION_DENIED, "not any more")
        with pytest.raises(RefusedError, match="not any more"):
            await caller.task
        assert asyncio.get_running_loop().time() - before < 2.5 * CHECK

    run_virtually(watch)


def test_nobody_is_kept_at_the_end_and_nothing_is_missed(bench: ApiBench, web: OwnerRef) -> None:
    async def watch() -> None:
        caller = Caller(bench)
        await caller.until(lambda: bool(caller.messages))
        decide(bench, web, "last")
        bench.watches.stop()
        with pytest.raises(RefusedError, match="shutting down"):
            await caller.task
        assert caller.pods == ["last"]

    run_virtually(watch)


@pytest.fixture
async def api(bench: ApiBench) -> AsyncIterator[Any]:
    async with bench.served() as channel:
        yield stub(channel)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.WatchDecisionsRequest(), ["web-0", "web-1", "api-0"]),
        (pb.WatchDecisionsRequest(namespace="shop"), ["web-0", "web-1", "api-0"]),
        (pb.WatchDecisionsRequest(namespace="lab"), []),
        (pb.WatchDecisionsRequest(workload="web"), ["web-0", "web-1"]),
        (pb.WatchDecisionsRequest(workload="web", kind="deploy"), ["web-0", "web-1"]),
        (pb.WatchDecisionsRequest(workload="web", kind="StatefulSet"), []),
        (pb.WatchDecisionsRequest(pod="api-0"), ["api-0"]),
        (pb.WatchDecisionsRequest(capacity_classes=["spot"]), ["web-1"]),
        (pb.WatchDecisionsRequest(capacity_classes=["spot", "on-demand"]), ["web-0", "web-1", "api-0"]),
        (pb.WatchDecisionsRequest(reasons=[pb.REASON_WAIT_CLASS]), []),
        (pb.WatchDecisionsRequest(reasons=[pb.REASON_WAIT_CLASS, pb.REASON_SEAT]), ["web-0", "web-1", "api-0"]),
        (pb.WatchDecisionsRequest(reasons=[pb.REASON_SEAT], workload="api"), ["api-0"]),
    ],
)
async def test_filters_by_a_real_channel(
    bench: ApiBench, api: Any, request_: pb.WatchDecisionsRequest, expected: list[str]
) -> None:
    request = pb.WatchDecisionsRequest()
    request.CopyFrom(request_)
    request.replay = 100
    for name, count in (("web", 2), ("api", 1)):
        owner = bench.world.deployment(name, 2, spot_percentage=50)
        decide(bench, owner, *(f"{name}-{number}" for number in range(count)))
    call = api.WatchDecisions(request)
    replayed = await call.read()
    assert [entry.pod for entry in replayed.decisions] == expected
    call.cancel()


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            pb.WatchDecisionsRequest(kind="deploy"),
            "kind='deploy' is given without workload; give both, or workload alone",
        ),
        (
            pb.WatchDecisionsRequest(replay=20_000),
            "replay=20000 is not between 0 and 10000; leave it out for 0, or send at most 10000",
        ),
        (
            pb.WatchDecisionsRequest(capacity_classes=["x"] * 101),
            "capacity_classes='101 values' are too many; send at most 100",
        ),
        (
            pb.WatchDecisionsRequest(reasons=[900]),  # type: ignore[list-item]  # that is the point
            "reasons=900 is no reason; use one of Reason, or leave it out",
        ),
    ],
)
async def test_a_wrong_field_is_named(api: Any, request_: pb.WatchDecisionsRequest, text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.WatchDecisions(request_).read()
    assert (caught.value.code(), caught.value.details()) == (Code.INVALID_ARGUMENT, text)


async def test_following_asks_for_its_right(bench: ApiBench) -> None:
    bench.access = guard = Guard(watch_decisions("shop"))
    metadata = (("authorization", f"Bearer {Guard.TOKEN}"),)
    async with bench.served() as channel:
        api = stub(channel)
        call = api.WatchDecisions(pb.WatchDecisionsRequest(namespace="shop"), metadata=metadata)
        await call.read()
        call.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await api.WatchDecisions(pb.WatchDecisionsRequest(), metadata=metadata).read()
    assert caught.value.code() is Code.PERMISSION_DENIED
    assert guard.asked == [watch_decisions("shop"), watch_decisions()]
