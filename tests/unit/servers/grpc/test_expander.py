"""The expander as cluster-autoscaler meets it: what it is told, and that it is always told something in time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.api import LOOPBACK, refused, settled
from support.certificates import Authority
from support.expander import CLASS_KEY, asking, groups, pb, pod, pool_node, request

from extender.core.placement.node_groups import NodeGroup
from extender.servers.grpc import expander
from extender.servers.grpc.calls import Calls
from extender.servers.grpc.expander import ExpanderLimits, ExpanderServer, ExpanderService, Rank
from extender.servers.grpc.tls import RpcTls

ASKED = request(
    {name: [pod("p", "rs", "spot")] for name in "abc"}, {name: pool_node("spot", zone=name) for name in "abc"}
)


def turned(options: Sequence[NodeGroup]) -> Generator[None, None, Sequence[NodeGroup]]:
    """Leaves out the first, and turns the others round."""
    yield
    return options[:0:-1]


def stuck(_options: Sequence[NodeGroup]) -> Generator[None, None, Sequence[NodeGroup]]:
    """Never comes to an end."""
    while True:
        yield


def broken(_options: Sequence[NodeGroup]) -> Generator[None, None, Sequence[NodeGroup]]:
    yield
    raise KeyError("a bug")


class ExpanderBench:
    """An expander, and what it tells others.

    Attributes:
        observed: RPC and status of each call that has ended.
        reports: what met a fault, and which.
        refusals: kind and limit of each call that found as many as may be.
        ended: set when a call has.
    """

    def __init__(self, rank: Rank = turned) -> None:
        self.observed: list[tuple[str, str]] = []
        self.reports: list[tuple[str, str]] = []
        self.refusals: list[tuple[str, str]] = []
        self.ended = asyncio.Event()
        calls = Calls(self._observe, lambda *report: self.reports.append(report), time.perf_counter)
        self._service = ExpanderService(rank, CLASS_KEY, calls, lambda *report: self.reports.append(report))

    def _observe(self, rpc: str, code: str, _seconds: float) -> None:
        self.observed.append((rpc, code))
        self.ended.set()

    @contextlib.asynccontextmanager
    async def served(self, tls: RpcTls | None = None) -> AsyncIterator[tuple[str, int]]:
        """Where it is served."""
        limits = ExpanderLimits(lambda *refusal: self.refusals.append(refusal))
        server = ExpanderServer(self._service, (LOOPBACK, 0), limits, tls)
        await server.start()
        try:
            yield server.address
        finally:
            await server.stop()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        async with self.served() as address, asking(address) as made:
            yield made


async def test_the_best_are_given_in_the_order_in_which_they_came() -> None:
    bench = ExpanderBench()
    async with bench.client() as client:
        response = await client.BestOptions(ASKED)
        assert groups(response) == ["b", "c"]
        assert [(each.nodeCount, each.debug, len(each.podBytes)) for each in response.options] == [
            (2, "about b", 0),
            (3, "about c", 0),
        ]
    assert bench.observed == [("BestOptions", "OK")]


async def test_an_empty_request_has_an_empty_answer() -> None:
    bench = ExpanderBench()
    async with bench.client() as client:
        assert await client.BestOptions(pb.BestOptionsRequest()) == pb.BestOptionsResponse()
    assert not bench.reports


@pytest.mark.parametrize(
    "asked",
    [request({"a": [b"\xff"], "b": []}, {}), request({"a": [], "b": []}, {"b": b"\x0a\x05"})],
    ids=["a pod", "a node"],
)
async def test_where_a_part_is_malformed_all_options_are_left(asked: Any) -> None:
    bench = ExpanderBench()
    async with bench.client() as client:
        assert groups(await client.BestOptions(asked)) == ["a", "b"]
    assert bench.observed == [("BestOptions", "OK")]


async def test_a_fault_of_ours_leaves_all_options_and_is_told() -> None:
    bench = ExpanderBench(broken)
    async with bench.client() as client:
        assert groups(await client.BestOptions(ASKED)) == ["a", "b", "c"]
    assert bench.reports == [("expander", "the options are left as they came: KeyError('a bug')")]


async def test_an_answer_that_takes_too_long_to_find_is_all_options(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expander.PATIENCE < 5.0
    monkeypatch.setattr(expander, "PATIENCE", 0.05)
    async with ExpanderBench(stuck).client() as client:
        assert groups(await client.BestOptions(ASKED)) == ["a", "b", "c"]
    # Not even read in time: none, which the autoscaler takes for all.
    monkeypatch.setattr(expander, "PATIENCE", 0.0)
    async with ExpanderBench().client() as client:
        assert await client.BestOptions(ASKED) == pb.BestOptionsResponse()


async def test_a_caller_that_leaves_ends_its_call() -> None:
    bench = ExpanderBench(stuck)
    async with bench.client() as client:
        call = client.BestOptions(ASKED)
        await asyncio.wait([asyncio.ensure_future(call.initial_metadata())], timeout=0.05)
        call.cancel()
        await bench.ended.wait()
        assert bench.observed == [("BestOptions", "CANCELLED")]
        bench.ended.clear()
        code, _ = await refused(client.BestOptions(ASKED, timeout=0.05))
        assert code == "DEADLINE_EXCEEDED"
        await bench.ended.wait()
        assert bench.observed == [("BestOptions", "CANCELLED")] * 2


async def test_huge_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow the machine is.
    monkeypatch.setattr(expander, "PATIENCE", 600.0)
    bench = ExpanderBench()
    pods = [pod(f"p{number}", "rs", "spot", note="x" * 20_000) for number in range(100)]
    large = request({f"g{number}": pods for number in range(12)}, {})
    assert 20_000_000 < large.ByteSize() < expander.MOST_BYTES
    huge = request({f"g{number}": pods for number in range(18)}, {})
    many = request({f"g{number}": [] for number in range(100_000)}, {})
    async with bench.client() as client:
        assert len(groups(await client.BestOptions(large))) == 11
        code, text = await refused(client.BestOptions(huge))
        assert code == "RESOURCE_EXHAUSTED"
        assert f"vs. {expander.MOST_BYTES}" in text
        code, text = await refused(client.BestOptions(many))
        assert (code, "more than 200000 fields" in text) == ("RESOURCE_EXHAUSTED", True)
        assert groups(await client.BestOptions(ASKED)) == ["b", "c"]


async def test_what_is_no_request_is_refused_by_name() -> None:
    async with ExpanderBench().served() as address, grpc.aio.insecure_channel("{}:{}".format(*address)) as channel:
        raw: Any = channel.unary_unary("/grpcplugin.Expander/BestOptions")
        code, text = await refused(raw(b"\xff\xff\xff"))
        assert code == "INVALID_ARGUMENT"
        assert "proto/grpcplugin/expander.proto" in text
        unknown: Any = channel.unary_unary("/grpcplugin.Expander/Other")
        code, _ = await refused(unknown(b""))
        assert code == "UNIMPLEMENTED"


async def test_calls_at_a_time_have_an_end() -> None:
    bench = ExpanderBench(stuck)
    async with bench.client() as client:
        calls = [client.BestOptions(ASKED) for _ in range(5)]
        over = await settled(calls, 2)
        assert {(await call.code()).name for call in over} == {"RESOURCE_EXHAUSTED"}
        assert bench.refusals == [("expander", "caller")] * 3
        for call in calls:
            call.cancel()


async def test_whom_it_trusts_and_who_trusts_it(tmp_path: Path) -> None:
    servers, clients, others = Authority("servers"), Authority("clients"), Authority("others")
    server = servers.issue(tmp_path, "server", (LOOPBACK,))
    own, foreign = clients.issue(tmp_path, "own"), others.issue(tmp_path, "foreign")
    root, wrong_root = (
        each.write(tmp_path / f"{name}.pem").read_bytes() for name, each in (("s", servers), ("o", others))
    )
    client_ca = str(clients.write(tmp_path / "c.pem"))

    async def trusted(tls: RpcTls, credentials: grpc.ChannelCredentials | None) -> bool:
        async with ExpanderBench().served(tls) as address, asking(address, credentials) as client:
            try:
                return groups(await client.BestOptions(ASKED)) == ["b", "c"]
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return False

    open_to_all = RpcTls(str(server.cert), str(server.key))
    assert await trusted(open_to_all, grpc.ssl_channel_credentials(root))
    assert not await trusted(open_to_all, grpc.ssl_channel_credentials(wrong_root))
    assert not await trusted(open_to_all, None)
    verifying = RpcTls(str(server.cert), str(server.key), client_ca)
    for pair, expected in ((own, True), (foreign, False), (None, False)):
        shown = (pair.key.read_bytes(), pair.cert.read_bytes()) if pair is not None else ()
        assert await trusted(verifying, grpc.ssl_channel_credentials(root, *shown)) is expected
