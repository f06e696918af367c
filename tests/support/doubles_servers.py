"""An HTTP client that sends what it is told, doubles of the extender's ports, and an event loop with virtual time."""

import asyncio
import contextlib
import json
import selectors
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from extender.core.model.reasons import Reason
from extender.core.placement.controller import PlacementController, Preference
from extender.core.placement.decide import Decision, PodView
from extender.core.policy.managed import Missing
from extender.core.policy.workload import Workload
from extender.servers.extender import Extender
from extender.servers.http import ExtenderApp
from extender.servers.server import HttpServer, bind
from support.doubles import World

T = TypeVar("T")
LIMIT = 64 * 1024


class Answer:
    """Status, headers (lower case) and body of an answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class HttpClient:
    """One connection, kept open over requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, method: str, path: str, body: bytes = b"", *headers: str) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)
        await self.writer.drain()
        return await self.answer()

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        return Answer(int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"])))

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(server: HttpServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpClient]:
    client = HttpClient(*await asyncio.open_connection(*server.address, ssl=tls))
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def running(app: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpServer]:
    server = HttpServer(app, bind("127.0.0.1", 0, "test"), tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class NoOwners:
    """Waits for nobody; `asked` counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def arrival(self, missing: Missing) -> bool:  # noqa: ARG002 - the port's signature
        self.asked += 1
        return False


async def no_metrics() -> tuple[list[bytes], bytes]:
    return [b"a 1\n", b"b 2\n"], b"text/plain; version=0.0.4"


class Observer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.decisions: list[tuple[str, Decision]] = []
        self.faults: list[tuple[str, str]] = []
        self.broken: list[tuple[str, str, str]] = []
        self.scores: list[tuple[Reason, str]] = []
        self.refusals: list[tuple[str, Reason]] = []
        self.about: list[tuple[str, str]] = []
        """Pod and workload of what was scored or refused."""

    def decided(self, pod: PodView, decision: Decision) -> None:
        self.decisions.append((pod.uid, decision))

    def scored(self, pod: PodView, preference: Preference) -> None:
        self.scores.append((preference.reason, preference.capacity_class))
        self.about.append((pod.uid, preference.workload.name if preference.workload is not None else ""))

    def refused(self, verb: str, pod: PodView, reason: Reason) -> None:
        self.refusals.append((verb, reason))
        self.about.append((pod.uid, ""))

    def broke(self, pod: PodView, workload: Workload, error: Exception) -> None:
        self.broken.append((pod.uid, workload.name, repr(error)))

    def failed(self, verb: str, text: str) -> None:
        self.faults.append((verb, text))


class Bench:
    """An extender over a world, with doubles around it."""

    def __init__(self) -> None:
        self.world = World()
        self.owners = NoOwners()
        self.observer = Observer()
        self.obstacle: Reason | None = None
        self.blind = False
        self.stay = True
        self.times: list[str] = []
        self.placement = PlacementController(self.world.state, 100)
        self.extender = Extender(
            self.placement,
            self.owners,
            self.observer,
            lambda: self.obstacle,
            lambda: self.world.now,
            blind=lambda _owner: self.blind,
        )
        self.app = ExtenderApp(
            self.extender,
            LIMIT,
            "/scheduler",
            lambda: 0.0,
            lambda verb, _seconds: self.times.append(verb),
            lambda: self.stay,
        )


class _InstantSelector(selectors.SelectSelector):
    """Does not wait: the time that would have passed has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, and nothing will ever happen"
            self.now += max(timeout, 0.0)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._instant = _InstantSelector()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now


def run_virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run on a loop whose time passes at once; `asyncio.get_running_loop().time()` tells it."""

    async def run() -> T:
        return await main()

    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(run())
