"""The API server as Spotmix sees it: late, refusing, its watches broken. What passes through is held against floors."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from chaos.truth import Truth
from extender.kube.connection import ConnectionSource
from extender.sandbox.ports import LOOPBACK

GONE = {"code": 410, "reason": "Expired", "message": "too old resource version"}
INTERNAL = {"code": 500, "reason": "InternalError", "message": "an error on the server"}
_KEPT = ("content-type", "accept", "authorization", "user-agent")
_RETRY_AFTER = {429: "1"}


class FaultyApi:
    """A reverse proxy before an API server, as an asynchronous context manager.

    Args:
        kubeconfig: whose rights all requests have.
        truth: says what an eviction does to the floor of its workload.
        rng: chooses which requests fail.

    Attributes:
        delay: seconds before each request is passed on.
        failing: share of requests that are refused.
        codes: what they are refused with.
        expired: new watches are told that their version is too old.
        asked: requests so far, by method.
        refused: requests that were refused here, by code.
    """

    def __init__(self, kubeconfig: str, truth: Truth, rng: random.Random) -> None:
        self.delay = 0.0
        self.failing = 0.0
        self.codes: tuple[int, ...] = (500,)
        self.expired = False
        self.asked: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self._kubeconfig, self._truth, self._rng = kubeconfig, truth, rng
        self._watches: set[web.StreamResponse] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __aenter__(self) -> Self:
        connection = await asyncio.to_thread(ConnectionSource(self._kubeconfig).load)
        self._base = connection.base_url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=connection.tls or True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        self.url = f"http://{LOOPBACK}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def heal(self) -> None:
        """Pass everything on at once from now on."""
        self.delay, self.failing, self.expired = 0.0, 0.0, False

    async def end_watches(self, status: Mapping[str, Any]) -> int:
        """Send an ERROR event into each open watch and end it; returns how many there were."""
        watches, self._watches = self._watches, set()
        line = json.dumps({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", **status}}) + "\n"
        for watch in watches:
            try:
                await watch.write(line.encode())
            except ConnectionError:
                continue
            if watch._req is not None and watch._req.transport is not None:
                watch._req.transport.close()
        return len(watches)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.method] += 1
        body = await request.read()
        if self._rng.random() < self.failing:
            return self._refuse(self._rng.choice(self.codes))
        if self.delay:
            await asyncio.sleep(self.delay)
        watching = request.query.get("watch") in ("1", "true")
        if watching and self.expired:
            return self._refuse(410)
        if request.method == "POST" and request.path.endswith("/eviction"):
            _, _, _, _, namespace, _, pod, _ = request.path.split("/")
            # One at a time, so that each is held against what those before it did.
            async with self._turns[namespace], self._truth.eviction(namespace, pod, dry=_is_dry(request)) as seen:
                answer = await self._pass_on(request, body, watching=False)
                seen.granted = answer.status == 201
                return answer
        return await self._pass_on(request, body, watching=watching)

    def _refuse(self, code: int) -> web.Response:
        self.refused[code] += 1
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "chaos"}
        retry = {"Retry-After": _RETRY_AFTER[code]} if code in _RETRY_AFTER else {}
        return web.json_response(status, status=code, headers=retry)

    async def _pass_on(self, request: web.Request, body: bytes, *, watching: bool) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        try:
            async with self._session.request(
                request.method, self._base + request.path_qs, data=body or None, headers=headers
            ) as answer:
                kind = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
                if not watching:
                    return web.Response(status=answer.status, body=await answer.read(), headers=kind)
                return await self._stream(request, answer, kind)
        except aiohttp.ClientError:
            # As a server that is not there: the connection ends without an answer.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, kind: Mapping[str, str]
    ) -> web.StreamResponse:
        stream = web.StreamResponse(status=answer.status, headers=kind)
        await stream.prepare(request)
        self._watches.add(stream)
        try:
            async for chunk in answer.content.iter_any():
                await stream.write(chunk)
        except ConnectionError:
            pass
        finally:
            self._watches.discard(stream)
        return stream


def _is_dry(request: web.Request) -> bool:
    return ("dryRun", "All") in parse_qsl(request.query_string)
