"""Who may read /metrics: whoever has the right to `get` that path, as Kubernetes' own components ask it.

Health stays open: the kubelet has no token, and it says little.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from extender.core.model.access import PathRight, User
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.servers.asgi import TEXT, Receive, Scope, Send, respond

App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/metrics"
RIGHT = PathRight("get", PATH)
_CHALLENGE = {b"www-authenticate": b'Bearer realm="spotmix"'}
_LATER = {b"retry-after": b"5"}


class ReaderAuthorizer(Protocol):
    """Asks Kubernetes whether the owner of a token may; `kube.access.Access` is one."""

    async def allow(self, token: str, attributes: PathRight) -> User:
        """Whom a token belongs to; raises `Unauthenticated`, `Forbidden`, or `ApiError` when nobody says."""
        ...


class GuardedMetrics:
    """Lets those read /metrics who may, and all other requests pass.

    Args:
        app: serves them.
        authorizer: knows tokens and rights.
        report: told when the API server does not say who somebody is.
    """

    def __init__(self, app: App, authorizer: ReaderAuthorizer, report: Callable[[str, str], None]) -> None:
        self._app = app
        self._authorizer = authorizer
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == PATH:
            try:
                await self._authorizer.allow(_token(scope), RIGHT)
            except Unauthenticated as error:
                await respond(send, 401, f"{error}\n".encode("utf-8", "replace"), TEXT, _CHALLENGE)
                return
            except Forbidden as error:
                await respond(send, 403, f"{error}\n".encode("utf-8", "replace"), TEXT)
                return
            except ApiError as error:
                self._report("access", str(error))
                await respond(send, 503, b"it cannot be told now whether you may\n", TEXT, _LATER)
                return
        await self._app(scope, receive, send)


def _token(scope: Scope) -> str:
    """The bearer token of a request, or an empty text."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""
