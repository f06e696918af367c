"""The two HTTP applications: the extender's, and health and metrics."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from extender.core.model.errors import WireError
from extender.servers.asgi import (
    CLOSE,
    JSON,
    TEXT,
    Body,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    read_post,
    respond,
    respond_in_parts,
)
from extender.servers.extender import Extender
from extender.servers.passing import Passing
from extender.wire.extender_v1 import MAX_POD

# How many times the largest body that is kept one may have that passes.
_FARTHEST = 32

Clock = Callable[[], float]
Timer = Callable[[str, float], None]
Verb = Callable[[bytes | bytearray], Awaitable[bytes]]


class ExtenderApp:
    """`POST <prefix>/filter` and `POST <prefix>/prioritize`.

    Args:
        extender: answers the verbs.
        max_body: largest request body in bytes that is kept. A larger one passes as it came when its pod is not
            managed, and is answered 200 with `Error` when it is.
        prefix: path prefix, the `urlPrefix` of the scheduler's configuration.
        clock: seconds, monotonic.
        timer: is given the verb and the seconds a request took.
        stay: whether clients shall keep their connections. A replica that is not the leader gives up each after its
            answer, so that the scheduler's next one goes through the Service to the leader.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        extender: Extender,
        max_body: int,
        prefix: str,
        clock: Clock,
        timer: Timer,
        stay: Callable[[], bool] = lambda: True,
    ) -> None:
        self._routes: Mapping[str, tuple[str, Verb, Callable[[str], bytes]]] = {
            f"{prefix}/filter": ("filter", extender.filter, extender.filter_error),
            f"{prefix}/prioritize": ("prioritize", extender.prioritize, extender.prioritize_error),
        }
        self._extender = extender
        self._prefix = prefix
        self._max_body = max_body
        self._front = min(max_body, MAX_POD)
        self._farthest = _FARTHEST * max_body
        self._clock = clock
        self._timer = timer
        self._stay = stay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = self._clock()
        post = await read_post(scope, receive, send, self._routes, who="extender")
        if post is None:
            return
        (verb, answer, error), body = post
        try:
            data, whole = await body.read(self._front, farthest=self._farthest)
            result = await (answer(data) if whole else self._large(verb, data, body))
        except ClientGoneError:
            return
        except Exception as fault:  # noqa: BLE001 - no input may end the process; the fault is reported by `error`
            result = error(f"spotmix: internal error: {type(fault).__name__}: {fault}")
        extra = CLOSE if body.forgotten or not self._stay() else None
        if isinstance(result, Passing):
            await respond_in_parts(send, result.parts(), result.length, JSON, extra)
        else:
            await respond(send, 200, result, extra=extra)
        self._timer(verb, self._clock() - started)

    async def _large(self, verb: str, begun: bytes | bytearray, body: Body) -> bytes | Passing:
        """Answer a request whose pod should have been read, and that goes on: as a whole only if the pod is managed."""
        _, answer, error = self._routes[f"{self._prefix}/{verb}"]
        try:
            rest = await self._extender.passes(verb, begun)
            if rest and verb == "filter":
                return await self._passed(begun, rest, body)
            result = b"[]"
            if not rest:
                begun, whole = await body.read(self._max_body, begun, self._farthest)
                if whole:
                    return await answer(begun)
                limit = f"spotmix: the request is larger than {self._max_body} bytes"
                result = error(f"{limit}; raise extender.maxBody or use nodeCacheCapable")
        except WireError as fault:
            result = error(str(fault))
        if isinstance(begun, bytearray):
            begun.clear()
        await body.forget(self._max_body)
        return result

    async def _passed(self, begun: bytes | bytearray, rest: int, body: Body) -> Passing:
        passing = Passing(self._max_body)
        passing.add(bytes(begun[rest:]))
        if isinstance(begun, bytearray):
            begun.clear()
        while (data := await body.part()) is not None:
            passing.add(data)
        passing.finish()
        return passing


class HealthApp:
    """`GET /livez`, also as `/healthz`, `/readyz` and `/metrics`.

    Args:
        not_ready: names what is not ready, one line each; empty when ready.
        metrics: renders the metrics, in pieces, and their content type.
        detail: what /readyz tells while all is ready, a line each.
    """

    def __init__(
        self,
        not_ready: Callable[[], list[str]],
        metrics: Callable[[], Awaitable[tuple[Sequence[bytes], bytes]]],
        detail: Callable[[], list[str]] = list,
    ) -> None:
        self._not_ready = not_ready
        self._metrics = metrics
        self._detail = detail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Serve one request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path not in ("/livez", "/healthz", "/readyz", "/metrics"):
            await respond(send, 404, b"no such path; try /livez, /readyz or /metrics\n", TEXT)
        elif scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, b"only GET is served here\n", TEXT, {b"allow": b"GET, HEAD"})
        elif path == "/metrics":
            parts, content_type = await self._metrics()
            await respond_in_parts(send, parts, sum(map(len, parts)), content_type)
        elif path == "/readyz" and (faults := self._not_ready()):
            await respond(send, 503, ("not ready\n" + "".join(f"- {fault}\n" for fault in faults)).encode(), TEXT)
        else:
            detail = self._detail() if path == "/readyz" else []
            await respond(send, 200, ("ok\n" + "".join(f"- {each}\n" for each in detail)).encode(), TEXT)
