"""What strangers send to the ports of a replica."""

import asyncio
import contextlib
import copy
import json
import random
import ssl
from collections.abc import AsyncIterator, Collection
from typing import Any

import aiohttp
from support.cluster import Cluster
from support.pair import Pair

from extender.core.model.errors import ApiError
from extender.sandbox.ports import LOOPBACK

HALF = b"POST /scheduler/filter HTTP/1.1\r\nHost: chaos\r\nContent-Length: 1000000\r\n"
CONNECTIONS = 1000
_LANES = 16
_FORGE_EVERY = 0.2
_PATHS = {
    "extender": ("/scheduler/filter", "/scheduler/prioritize"),
    "webhook": ("/mutate/pods", "/mutate/scheduler-configs", "/validate/workloads"),
    "metrics": ("/metrics", "/livez", "/readyz"),
}
_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    2**70,
    "",
    "\x00",
    "\u202e",
    [],
    {},
    [[[[[]]]]],
    "x" * 300,
    "../..",
    [None],
)


async def half_open(ports: Collection[int], seconds: float) -> None:
    """Hold a thousand connections to each port that say half of a request; some may be refused or ended."""

    async def hold(port: int) -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(HALF)
            await asyncio.sleep(seconds)
            writer.close()

    await asyncio.gather(*(hold(port) for port in ports for _ in range(CONNECTIONS)))


async def fuzz(name: str, port: int, count: int, rng: random.Random) -> None:
    """Send so many broken requests to a port; whatever is answered will do."""
    numbers = iter(range(count))
    if name not in _PATHS:
        await asyncio.gather(*(_raw(port, numbers, rng) for _ in range(_LANES)))
        return
    scheme = "https" if name == "webhook" else "http"
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=tls, limit=_LANES)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(f"{scheme}://{LOOPBACK}:{port}", connector=connector, timeout=timeout) as session:

        async def lane() -> None:
            for _ in numbers:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(rng.choice(_PATHS[name]), data=broken(rng)) as answer:
                        await answer.read()

        await asyncio.gather(*(lane() for _ in range(_LANES)))


async def _raw(port: int, numbers: Any, rng: random.Random) -> None:
    for _ in numbers:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(rng.choice((b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) + rng.randbytes(rng.randint(0, 200)))
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()


def broken(rng: random.Random) -> bytes:
    """A request of the scheduler or API server in which something is wrong."""
    body: Any = rng.choice((_args(rng), _review(rng)))
    for _ in range(rng.randint(1, 4)):
        _spoil(body, rng)
    text = json.dumps(body).encode()
    match rng.randrange(4):
        case 0:
            return text[: rng.randrange(len(text) + 1)]
        case 1:
            at = rng.randrange(len(text))
            return text[:at] + rng.randbytes(rng.randint(1, 8)) + text[at + 1 :]
        case _:
            return text


def _spoil(body: Any, rng: random.Random) -> None:
    """Put something odd into one place of a document."""
    while isinstance(body, (dict, list)) and body:
        key: Any = rng.choice(list(body)) if isinstance(body, dict) else rng.randrange(len(body))
        inner = body[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 1 / 3:
            body[key] = copy.deepcopy(rng.choice(_ODD))
            return
        body = inner


def _pod(rng: random.Random) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": str(rng.random()), "controller": True}
    return {
        "metadata": {
            "name": f"pod-{rng.random()}",
            "namespace": "test",
            "uid": str(rng.random()),
            "labels": {"app": "web"},
            "ownerReferences": [owner],
        },
        "spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}], "tolerations": [{}]},
    }


def _args(rng: random.Random) -> dict[str, Any]:
    return {"pod": _pod(rng), "nodenames": ["spot-0", "on-demand-0"]}


def _review(rng: random.Random) -> dict[str, Any]:
    request = {"uid": str(rng.random()), "operation": "CREATE", "namespace": "test", "object": _pod(rng)}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@contextlib.asynccontextmanager
async def forging(pair: Pair, cluster: Cluster, rng: random.Random) -> AsyncIterator[None]:
    """All the time, ask both replicas to place pods that do not exist, for owners that do."""
    task = asyncio.create_task(_forge(pair, cluster, rng))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _forge(pair: Pair, cluster: Cluster, rng: random.Random) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            await asyncio.sleep(_FORGE_EVERY)
            with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError, OSError):
                owners = json.loads(await cluster.api.request("GET", cluster.path("ReplicaSet")))["items"]
                nodes = [node["metadata"]["name"] for node in await cluster.nodes()]
                for owner in rng.sample(owners, min(3, len(owners))):
                    pod = _pod(rng)
                    meta = pod["metadata"]
                    meta["labels"] = owner["spec"]["template"]["metadata"]["labels"]
                    meta["ownerReferences"][0] |= {key: owner["metadata"][key] for key in ("name", "uid")}
                    for replica in pair.replicas.values():
                        async with session.post(
                            f"{replica.url}/filter", json={"pod": pod, "nodenames": nodes}
                        ) as answer:
                            await answer.read()
