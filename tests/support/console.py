"""The console over a world: asked without a socket, and what it answered."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from extender.core.answers.decisions import DecisionLog
from extender.core.drift.history import History
from extender.core.drift.rules import DriftRules
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.servers.answers.shared import SharedAnswers
from extender.servers.answers.sources import Authorizer, DriftSource, Sources
from extender.servers.asgi import TEXT, Message, Receive, Scope, Send, respond
from extender.servers.console import ConsoleApp
from extender.servers.console.rendering import environment
from support.doubles import ENABLED, World, keys, make_owner, make_pod, make_view


class Page:
    """An answer: status, headers, and the body as text."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""

    def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()


class ConsoleBench:
    """A console, and all that it is shown."""

    def __init__(self, authorizer: Authorizer | None = None) -> None:
        self.world = World()
        self.log = DecisionLog()
        self.history = History()
        self.unreadable: dict[str, str] = {}
        self.current = True
        self.paused: Reason | None = None
        self.obstacle: Reason | None = None
        self.reports: list[tuple[str, str]] = []
        self.met: list[tuple[str, str]] = []
        drifting = DriftSource(
            "on",
            DriftRules(),
            lambda: self.history,
            lambda: self.unreadable,
            lambda: self.current,
            lambda: self.paused,
        )
        self.sources = Sources(
            self.world.state,
            self.log,
            drifting,
            lambda: self.obstacle,
            lambda: self.world.now,
            "1.2.3",
            lambda source, text: self.reports.append((source, text)),
            lambda workload, error: self.met.append((workload.name, error)),
        )
        self.shared = SharedAnswers(self.sources)
        self.app = ConsoleApp(self.shared, elsewhere, authorizer)
        # Threads have no place in virtual time.
        environment()

    def decide(self, owner: OwnerRef, uid: str, *nodes: str, met: bool = True, **fields: Any) -> None:
        """Decide on a pod, and let the log know; `met` as of `World.decide`."""
        view = make_view(uid, owner, **fields)
        self.log.add(self.world.now, "filter", view, self.world.decide(view, nodes, met=met))

    async def get(self, path: str, method: str = "GET", *headers: tuple[bytes, bytes], form: str = "") -> Page:
        page = Page()
        body: Message = {"type": "http.request", "body": form.encode(), "more_body": False}

        async def receive() -> Message:
            return body

        async def send(message: Message) -> None:
            page.take(message)

        await self.app(request(path, method, *headers), receive if method == "POST" else never, send)
        return page

    def page(self, path: str) -> Page:
        """A page that has to be there."""
        page = asyncio.run(self.get(path))
        assert (page.status, self.reports) == (200, [])
        return page


def at_split(bench: ConsoleBench, name: str, namespace: str = "shop", replicas: int = 2) -> None:
    """Add a Deployment, half of it on each class, as it wants."""
    top = make_owner(
        "Deployment", name, replicas, namespace=namespace, labels=ENABLED, annotations=keys(spot_percentage=50)
    )
    rs = make_owner("ReplicaSet", f"{name}-1", replicas, namespace=namespace, owner=top.ref)
    bench.world.up(top, rs)
    for number in range(replicas):
        node = "spot-0" if number % 2 else "on-demand-0"
        bench.world.up(make_pod(f"{name}-{number}", rs.ref, node, namespace=namespace))


def off_target(bench: ConsoleBench, name: str = "web", replicas: int = 4) -> None:
    """Add a Deployment that wants half of it on each class, and is on-demand as a whole."""
    owner = bench.world.deployment(name, replicas, spot_percentage=50)
    bench.world.up(*(make_pod(f"{name}-{n}", owner, "on-demand-0") for n in range(replicas)))


def request(path: str, method: str = "GET", *headers: tuple[bytes, bytes]) -> Scope:
    raw, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "headers": list(headers),
    }


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("that never happens")


async def elsewhere(_scope: Scope, _receive: Receive, send: Send) -> None:
    await respond(send, 200, b"elsewhere\n", TEXT)


class ConsoleReader:
    """Reads a stream of the console: what has arrived, and it may be slow or leave."""

    def __init__(self) -> None:
        self.page = Page()
        self.free = asyncio.Event()
        self.free.set()
        self.left = asyncio.Event()
        self.arrived = asyncio.Condition()

    async def send(self, message: Message) -> None:
        await self.free.wait()
        async with self.arrived:
            self.page.take(message)
            self.arrived.notify_all()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def until(self, good: Callable[[str], bool]) -> None:
        """Wait until what has arrived is as wanted."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: good(self.page.text))
