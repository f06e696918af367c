"""Raw ASGI: reads a body up to a limit and answers with a Content-Length.

No framework on the hot path. Content-Length matters: kube-scheduler opens a new connection after a chunked answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
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

# How many times the limit is read of a body that is too large.
_PATIENCE = 4


class BodyTooLargeError(Exception):
    """The request's body is larger than allowed."""


class ClientGoneError(Exception):
    """The client went away before its request was complete."""


async def read_post(
    scope: Scope, receive: Receive, send: Send, routes: Mapping[str, Route], *, who: str, limit: int
) -> tuple[Route, bytes | None] | None:
    """The route and the body of a POST to a known path.

    The body is None when it is too large; not all of it may have been read then, so the answer has to `CLOSE`. None
    alone when there is nothing to answer: this is no request, its client is gone, or it has been answered 404 or 405.

    Args:
        scope: of the request.
        receive: gives its body.
        send: answers it.
        routes: by path.
        who: what serves them, for people.
        limit: largest body in bytes.
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
    try:
        return route, await read_body(scope, receive, limit)
    except ClientGoneError:
        return None
    except BodyTooLargeError:
        return route, None


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request's body.

    One that is too large is read to its end and forgotten, within reason: most clients hear an answer only once they
    have sent all, and a reset instead if the connection is closed before.

    Raises:
        BodyTooLargeError: it has more than `limit` bytes.
        ClientGoneError: the connection was lost.
    """
    announced = next((int(v) for n, v in scope["headers"] if n == b"content-length" and v.isdigit()), 0)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            parts.clear()
        if not message.get("more_body") or max(size, announced) > _PATIENCE * limit:
            break
    if max(size, announced) > limit:
        raise BodyTooLargeError
    return b"".join(parts)


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


async def respond_in_parts(send: Send, parts: Sequence[bytes], content_type: bytes) -> None:
    """Send a long answer in pieces, so that others are served in between."""
    length = sum(map(len, parts))
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})
