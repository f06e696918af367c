"""A fake API server in a process of its own: pages of a synthetic cluster, and watches that say what they are told.

    python -m bench.fakeapi PORT NODES WORKLOADS REPLICAS PODS [FORM [POLICIES [SECURE_PORT CERT KEY]]]

It answers the lists and watches of `spotmix serve`; of its patches those have an effect that take a gate away. Whoever
wants to lead finds that another replica does.
`POST /bench/pods` sends the lines of its body to all who watch pods, and gives when it did that; `POST /bench/patched`
gives when each pod, by its name, was first patched (seconds of the same clock). `GET /bench/made` says how many seconds
it took to make list pages; the next page is made while the client works on the last one, so little of that is waited
for.
"""

import asyncio
import contextlib
import json
import ssl
import sys
import time
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import uvloop

from bench.cluster import Cluster, Form
from extender.sandbox.ports import LOOPBACK

_OK = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = 64 * 1024
BOOKMARKS = 20.0
"""Seconds between two that a watch gets: one that says nothing is taken for one that has died."""
_NOTHING = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
"""What labels select: no object here has any of ours."""
_BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}\n'
_STILL_THERE = b"%x\r\n%b\r\n" % (len(_BOOKMARK), _BOOKMARK)


class FakeApi:
    """Serves one synthetic cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._watchers: set[asyncio.StreamWriter] = set()
        self._ready: dict[tuple[str, int], bytes] = {}
        self._made = 0.0
        self._patched: dict[str, float] = {}
        self._sending = asyncio.Lock()
        self._renewals = 0

    async def serve(self, port: int, secure: tuple[int, str, str] | None = None) -> None:
        """Serve for ever; by TLS too at a `secure` port, with the files of a certificate and its key."""
        if secure is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*secure[1:])
            await asyncio.start_server(self._connection, LOOPBACK, secure[0], limit=2**20, ssl=context)
        server = await asyncio.start_server(self._connection, LOOPBACK, port, limit=2**20)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                method, target, _ = lines[0].split(" ", 2)
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                url = urlsplit(target)
                query = dict(parse_qsl(url.query))
                resource = url.path.rpartition("/")[2]
                if query.get("watch") == "true":
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(float(query.get("timeoutSeconds", "inf"))):
                            await self._watch(resource, reader, writer)
                    return
                answer = await self._answer(method, url.path, resource, query, body)
                writer.write(_OK % (b"200 OK", len(answer)) + answer)
                await writer.drain()
                if method == "GET" and "limit" in query:
                    self._prepare(resource, int(query.get("continue", "0")) + int(query["limit"]), int(query["limit"]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._watchers.discard(writer)
            writer.close()

    async def _answer(self, method: str, path: str, resource: str, query: dict[str, str], body: bytes) -> bytes:
        if path == "/bench/pods":
            pushed = time.perf_counter()
            await self._send(body)
            return json.dumps(pushed).encode()
        if path == "/bench/made":
            return b"%.3f" % self._made
        if path == "/bench/patched":
            return json.dumps(self._patched).encode()
        if method == "PATCH" and "/pods/" in path:
            self._patched.setdefault(resource, time.perf_counter())
            await self._released(resource, body)
        if method != "GET":
            return b"{}"
        if "labelSelector" in query:
            return _NOTHING
        if "/leases/" in path:
            return self._lease()
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
        self._prepare(resource, start, limit)
        return self._ready.pop((resource, start))

    def _lease(self) -> bytes:
        """A Lease that somebody else holds, and has just renewed."""
        self._renewals += 1
        spec = {"holderIdentity": "another", "leaseDurationSeconds": 15, "leaseTransitions": 0}
        return json.dumps({"metadata": {"resourceVersion": str(self._renewals)}, "spec": spec}).encode()

    def _prepare(self, resource: str, start: int, limit: int) -> None:
        """Make a page, unless that is done."""
        total = self._cluster.count(resource)
        if (resource, start) in self._ready or (start and start >= total):
            return
        began = time.perf_counter()
        items = b",".join(self._cluster.listed(resource, start, limit))
        more = b'"continue":"%d",' % (start + limit) if start + limit < total else b""
        page = b'{"kind":"List","apiVersion":"v1","metadata":{%b"resourceVersion":"1"},"items":[%b]}' % (more, items)
        self._ready[resource, start] = page
        self._made += time.perf_counter() - began

    async def _watch(self, resource: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_STREAM)
        await writer.drain()
        if resource == "pods":
            self._watchers.add(writer)
            await reader.read()
            return
        # Pods have their own news, with versions that go up.
        ended = asyncio.create_task(reader.read())
        while not (await asyncio.wait({ended}, timeout=BOOKMARKS))[0]:
            writer.write(_STILL_THERE)

    async def _released(self, name: str, body: bytes) -> None:
        """Show the pod with its class, where that was what a patch wrote."""
        patch = json.loads(body)
        capacity_class = patch.get("metadata", {}).get("annotations", {}).get("spotmix.io/class")
        if capacity_class and "schedulingGates" in patch.get("spec", {}):
            pod = self._cluster.decided_pod(int(name.rpartition("-")[2], 16), capacity_class)
            await self._send(b'{"type":"MODIFIED","object":%b}\n' % pod)

    async def _send(self, lines: bytes) -> None:
        # One sender at a time, whose lines are whole.
        async with self._sending:
            for start in range(0, len(lines), _CHUNK):
                piece = lines[start : start + _CHUNK]
                chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
                for writer in self._watchers:
                    writer.write(chunk)
                await asyncio.gather(*(writer.drain() for writer in self._watchers))


def main() -> None:
    """Serve the cluster of the command line until killed."""
    port, nodes, workloads, replicas, pods = map(int, sys.argv[1:6])
    form = cast("Form", sys.argv[6] if len(sys.argv) > 6 else "bound")
    policies = int(sys.argv[7]) if len(sys.argv) > 7 else 0
    secure = (int(sys.argv[8]), sys.argv[9], sys.argv[10]) if len(sys.argv) > 8 else None
    api = FakeApi(Cluster(nodes, workloads, replicas, pods, form, policies))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(api.serve(port, secure))


if __name__ == "__main__":
    main()
