"""Decisions as they are made: to readers that keep up, that do not, and that come back."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from support.console import ConsoleBench, ConsoleReader, request
from support.doubles_servers import run_virtually

from extender.core.model.objects import OwnerRef
from extender.servers.answers.following import AT_ONCE, PATIENCE
from extender.servers.console.live import CLIENTS, PING

STREAM = "/console/live/stream"


@pytest.fixture
def bench() -> ConsoleBench:
    bench = ConsoleBench()
    bench.world.nodes(spot=2, on_demand=2)
    return bench


@pytest.fixture
def web(bench: ConsoleBench) -> OwnerRef:
    return bench.world.deployment("web", 500, spot_percentage=50)


def listen(
    bench: ConsoleBench, path: str = STREAM, *headers: tuple[bytes, bytes]
) -> tuple[ConsoleReader, asyncio.Task[None]]:
    reader = ConsoleReader()
    serving: Awaitable[None] = bench.app(request(path, "GET", *headers), reader.receive, reader.send)
    return reader, asyncio.ensure_future(serving)


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-number="(\d+)"', text)]


def arrived(number: int) -> Callable[[str], bool]:
    return lambda text: number in numbers(text)


def test_a_decision_goes_out_at_once(bench: ConsoleBench, web: OwnerRef) -> None:
    async def watch() -> None:
        reader, task = listen(bench)
        await reader.until(bool)
        assert reader.page.headers["content-type"] == "text/event-stream"
        before = asyncio.get_running_loop().time()
        bench.decide(web, "a", "spot-0", "on-demand-0")
        await reader.until(arrived(1))
        assert asyncio.get_running_loop().time() - before < 0.5
        assert "event: decisions\nid: 1\ndata: <tr" in reader.page.text
        assert all(
            line == "" or line.startswith(("event: ", "id: ", "data: ", ":")) for line in reader.page.text.split("\n")
        )
        reader.left.set()
        await task

    run_virtually(watch)


def test_what_was_missed_comes_first(bench: ConsoleBench, web: OwnerRef) -> None:
    async def watch() -> None:
        for number in range(5):
            bench.decide(web, f"p{number}", "spot-0", "on-demand-0")
        for path, headers in (
            (f"{STREAM}?after=3", ()),
            (f"{STREAM}?after=1", ((b"last-event-id", b"3"),)),
        ):
            reader, _ = listen(bench, path, *headers)
            await reader.until(arrived(5))
            assert numbers(reader.page.text) == [5, 4]
            reader.left.set()
        # The numbers of a process that was here before.
        reader, _ = listen(bench, f"{STREAM}?after=900")
        await reader.until(arrived(5))
        assert numbers(reader.page.text) == [5, 4, 3, 2, 1]
        reader.left.set()
        await asyncio.sleep(1)

    run_virtually(watch)


def test_only_what_was_asked_for(bench: ConsoleBench, web: OwnerRef) -> None:
    async def watch() -> None:
        other = bench.world.deployment("other", 5)
        reader, _ = listen(bench, f"{STREAM}?q=OTHER")
        await reader.until(bool)
        bench.decide(web, "a", "spot-0", "on-demand-0")
        bench.decide(other, "b", "spot-0", "on-demand-0")
        await reader.until(arrived(2))
        assert numbers(reader.page.text) == [2]
        reader.left.set()
        await asyncio.sleep(1)

    run_virtually(watch)


def test_a_slow_reader_is_told_how_many_it_lost(bench: ConsoleBench, web: OwnerRef) -> None:
    async def watch() -> None:
        reader, _ = listen(bench)
        await reader.until(bool)
        reader.free.clear()
        bench.decide(web, "first", "spot-0", "on-demand-0")
        await asyncio.sleep(1)
        for number in range(AT_ONCE + 50):
            bench.decide(web, f"p{number}", "spot-0", "on-demand-0")
        await asyncio.sleep(1)
        reader.free.set()
        last = AT_ONCE + 51
        await reader.until(arrived(last))
        lost = sum(int(count) for count in re.findall(r"event: lost\ndata: (\d+)", reader.page.text))
        assert lost == 50
        assert len(numbers(reader.page.text)) + lost == last
        reader.left.set()
        await asyncio.sleep(1)

    run_virtually(watch)


def test_a_reader_that_takes_nothing_is_given_up(bench: ConsoleBench, web: OwnerRef) -> None:
    async def watch() -> None:
        reader, task = listen(bench)
        await reader.until(bool)
        reader.free.clear()
        bench.decide(web, "a", "spot-0", "on-demand-0")
        await asyncio.sleep(PATIENCE + 1)
        assert task.done()

    run_virtually(watch)


def test_readers_are_few_and_make_room_when_they_leave(bench: ConsoleBench) -> None:
    async def watch() -> None:
        readers = [listen(bench) for _ in range(CLIENTS)]
        await asyncio.gather(*(reader.until(bool) for reader, _ in readers))
        refused = await bench.get(STREAM)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        readers[0][0].left.set()
        await readers[0][1]
        reader, _ = listen(bench)
        await reader.until(bool)
        assert reader.page.status == 200
        for each in (*(known for known, _ in readers), reader):
            each.left.set()
        await asyncio.sleep(1)

    run_virtually(watch)


def test_a_quiet_stream_stays_open_and_ends_with_the_process(bench: ConsoleBench) -> None:
    async def watch() -> None:
        reader, task = listen(bench)
        await asyncio.sleep(4 * PING)
        assert not task.done()
        assert reader.page.text.count(": \n\n") >= 4
        bench.app.stop()
        await task

    run_virtually(watch)
