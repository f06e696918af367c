"""Raw ASGI: reads a body up to a limit and answers with a Content-Length.

No framework on the hot path. Content-Length matters: kube-scheduler opens a new connection after a chunked answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeVar

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Route = TypeVar("Route")

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

CLOSE: Mapping[bytes, bytes] = {b"connection": b"close"}
"""Headers of an answer after which the connection ends."""

KEPT_NO_MORE = "spotmix.kept_no_more"
"""Key in `scope["extensions"]` of what to call when nothing of a request's body is kept any more."""

# How many times the limit is read of a body that is too large.
_PATIENCE = 4


class BodyTooLargeError(Exception):
    """The request's body is larger than allowed."""


class ClientGoneError(Exception):
    """The client went away before its request was complete."""


async def read_post(
    scope: Scope,
    receive: Receive,
    send: Send,
    routes: Mapping[str, Route],
    *,
    who: str,
) -> tuple[Route, "Body"] | None:
    """The route and the body, yet to be read, of a POST to a known path.

    None when there is nothing to answer: this is no request, or it has been answered 404 or 405.

    Args:
        scope: of the request.
        receive: gives its body.
        send: answers it.
        routes: by path.
        who: what serves them, for people.
    """
    if scope["type"] != "http":
        return None
    route = routes.get(scope["path"])
    if route is None:
        await respond(send, 404, f"no such path; this {who} serves {', '.join(routes)}\n".encode(), TEXT)
        return None
    if scope["method"] != "POST":
        await respond(send, 405, b"only POST is served here\n", TEXT, {b"allow": b"POST"})
        return None
    return route, Body(scope, receive)


class Body:
    """The body of a request, as it arrives.

    Attributes:
        size: bytes that have arrived.
        forgotten: it was not kept, and not all of it may have been read: the answer has to `CLOSE`.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._more = True
        self.size = 0
        self.forgotten = False

    @property
    def announced(self) -> int:
        """Bytes that the client says it has; 0 where it does not say."""
        return next((int(v) for n, v in self._scope["headers"] if n == b"content-length" and v.isdigit()), 0)

    async def part(self) -> bytes | None:
        """What has arrived since the last call; None after the end.

        Raises:
            ClientGoneError: the connection was lost.
        """
        if not self._more:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        self._more = message.get("more_body", False)
        data: bytes = message.get("body", b"")
        self.size += len(data)
        return data

    async def read(
        self, limit: int, begun: bytes | bytearray = b"", farthest: int = 0
    ) -> tuple[bytes | bytearray, bool]:
        """The body and true; or, when it has more than `limit` bytes, something more than these and false.

        Args:
            limit: bytes.
            begun: what an earlier call has given.
            farthest: of one that the client says is larger, the beginning will do; 0 is some times the limit.

        Raises:
            ClientGoneError: the connection was lost.
        """
        if not begun:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            begun = message.get("body", b"")
            self.size = len(begun)
            if not message.get("more_body"):
                self._more = False
                return begun, self.size <= limit
        whole = begun if isinstance(begun, bytearray) else bytearray(begun)
        if self.announced > (farthest or _PATIENCE * limit):
            return whole, False
        while len(whole) <= limit and (data := await self.part()) is not None:
            whole += data
        return whole, len(whole) <= limit

    async def forget(self, limit: int) -> None:
        """Take in the rest and keep nothing, within reason.

        Most clients hear an answer only once they have sent all, and a reset if the connection is closed before.

        Raises:
            ClientGoneError: the connection was lost.
        """
        self.forgotten = True
        kept_no_more = self._scope.get("extensions", {}).get(KEPT_NO_MORE)
        if kept_no_more is not None:
            kept_no_more()
        announced = self.announced
        while max(self.size, announced) <= _PATIENCE * limit and await self.part() is not None:
            pass


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes | bytearray:
    """The request's body; one that is too large is read to its end and forgotten, within reason.

    Raises:
        BodyTooLargeError: it has more than `limit` bytes.
        ClientGoneError: the connection was lost.
    """
    body = Body(scope, receive)
    data, whole = await body.read(limit)
    if not whole:
        del data
        await body.forget(limit)
        raise BodyTooLargeError
    return data


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = JSON,
    extra: Mapping[bytes, bytes] | None = None,
) -> None:
    """Send a whole answer."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    if extra:
        headers.extend(extra.items())
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_in_parts(
    send: Send, parts: Iterable[bytes], length: int, content_type: bytes, extra: Mapping[bytes, bytes] | None = None
) -> None:
    """Send a long answer of `length` bytes in pieces, so that others are served in between."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % length)]
    if extra:
        headers.extend(extra.items())
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})
