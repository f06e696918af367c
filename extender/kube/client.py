"""The API client: bytes in, bytes out, over one aiohttp session.

Decoding is the business of `extender.wire`; retries are the business of whoever knows what a request means.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from yarl import URL

import extender
from extender.core.model.errors import ApiError, ConfigError, WireError
from extender.kube.connection import Connection, ConnectionSource
from extender.kube.credentials import Credentials
from extender.kube.lines import LineSplitter
from extender.kube.overrides import Overrides
from extender.kube.refusals import is_distrust, refusal, unreached

# About ten watches hold one each; the rest serve bursts of patches and a simulated kubelet.
MAX_CONNECTIONS = 100
CONNECT_TIMEOUT = 10.0
# The API server sends a bookmark at least every 75 s (a minute, jittered): beyond that something is wrong.
WATCH_IDLE_TIMEOUT = 100.0
# Of WebSockets: for the answer to the handshake, and between two pings.
HANDSHAKE_TIMEOUT = 30.0
# Of requests whose caller says nothing else.
REQUEST_TIMEOUT = 30.0
HEARTBEAT = 30.0

_KNOWN_STATUSES = frozenset(map(int, HTTPStatus))

MERGE_PATCH = "application/merge-patch+json"
# Server-side apply; JSON is YAML.
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


Observe = Callable[[str, str, int, float], None]
"""Is told of each answer: HTTP verb or WATCH, path, status (0: not reached), and seconds until it began."""


class ApiClient:
    """A connection to one API server. Create it with `connect`, close it or use it as a context manager.

    Safe for concurrent use by tasks of one event loop.

    Attributes:
        observe: see `Observe`; nobody until it is set.
    """

    def __init__(
        self,
        source: ConnectionSource,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout: float | None = REQUEST_TIMEOUT,
    ) -> None:
        self.observe: Observe = lambda *_: None
        self._source = source
        self._clock = clock
        self._timeout = timeout
        self._credentials = Credentials(source, clock)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Accept": "application/json",
                # Inflating a list costs us more than the network saves beside the API server.
                "Accept-Encoding": "identity",
                "User-Agent": f"spotmix/{extender.__version__}",
            },
            read_bufsize=2**18,
        )

    @classmethod
    async def connect(
        cls, kubeconfig: str | None = None, context: str | None = None, overrides: Overrides | None = None
    ) -> Self:
        """Load the configuration; no request is made.

        Args:
            kubeconfig: path; without it `$KUBECONFIG`, `~/.kube/config`, then the pod's service account.
            context: a context of the kubeconfig instead of its current one.
            overrides: what counts in place of what the kubeconfig has.

        Raises:
            ConfigError: no usable configuration; the text names the file, the field and the fix.
        """
        timeout = overrides.timeout if overrides is not None else None
        source = await asyncio.to_thread(ConnectionSource, kubeconfig, context, overrides=overrides)
        client = cls(source, timeout=REQUEST_TIMEOUT if timeout is None else timeout or None)
        try:
            await client._credentials.load()
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session; requests and watches under way end with `ApiError`."""
        await self._session.close()

    async def base_url(self) -> str:
        """The API server's URL without a trailing slash."""
        return (await self._credentials.current()).base_url

    async def token(self) -> str:
        """The bearer token that requests carry; empty where a certificate or nothing says who we are."""
        kind, _, token = (await self._credentials.current()).authorization.partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    async def impersonates(self) -> bool:
        """Whether requests are made as somebody else."""
        return bool((await self._credentials.current()).impersonation)

    async def namespace(self) -> str:
        """The namespace of the chosen context, or of the pod; `default` where none is named."""
        return await asyncio.to_thread(self._source.namespace)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it is aiohttp's total time limit, which also frees the connection
    ) -> bytes:
        """Make one request and give the answer's body.

        A 401, or a certificate that is not trusted, has credentials and CA read again, and it is made once more.

        Args:
            method: HTTP verb.
            path: absolute path, names in it already percent-encoded where they need it.
            params: query parameters.
            body: JSON bytes as they are, or a mapping to encode.
            content_type: of the body.
            headers: further ones.
            timeout: seconds for the whole request; None for the client's own.

        Raises:
            ApiError: the server refused (HTTP status), or was not reached (status 0).
        """
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        total = self._timeout if timeout is None else timeout
        limit = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_TIMEOUT)
        sent = {**(headers or {}), **({"Content-Type": content_type} if data is not None else {})}
        async with self._open(method, path, params, limit, data=data, headers=sent) as response:
            return await response.read()

    async def watch(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        idle_timeout: float = WATCH_IDLE_TIMEOUT,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Watch a resource and give the raw lines, without newline, until the server ends the watch.

        Wrap it in `contextlib.aclosing` when the loop may be left early.

        Args:
            path: the resource's list path.
            params: query parameters; `watch=true` is added.
            idle_timeout: seconds without a byte after which the connection counts as dead.
            on_open: called when the server has accepted the watch.

        Raises:
            ApiError: the server refused, or the connection failed, fell silent or was cut within a line.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=idle_timeout)
        splitter = LineSplitter()
        async with self._open("WATCH", path, {**params, "watch": "true"}, limit) as response:
            if on_open is not None:
                on_open()
            try:
                async for chunk in response.content.iter_any():
                    for line in splitter.feed(chunk):
                        yield line
            except WireError as error:
                raise ApiError(f"WATCH {path}: {error}", reason="LineTooLong") from error
            if splitter.pending:
                raise ApiError(f"WATCH {path}: the stream ended within a line", reason="Truncated")

    @asynccontextmanager
    async def websocket(
        self, path: str, params: Mapping[str, str], protocol: str, *, heartbeat: float = HEARTBEAT
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket, for the length of the block; where one side does not trust the other, as `request` does.

        Args:
            path: absolute path.
            params: query parameters.
            protocol: the subprotocol to speak.
            heartbeat: seconds between pings; a connection that leaves one unanswered for half of that is dead.

        Raises:
            ApiError: the server refused (HTTP status), was not reached, or does not speak the protocol (status 0).
        """
        socket = await self._upgrade(path, params, protocol, heartbeat)
        try:
            if socket.protocol != protocol:
                raise ApiError(f"GET {path}: the server does not speak {protocol}", reason="Protocol")
            yield socket
        finally:
            await socket.close()

    async def _upgrade(
        self, path: str, params: Mapping[str, str], protocol: str, heartbeat: float
    ) -> aiohttp.ClientWebSocketResponse:
        retry = True
        while True:
            connection = await self._credentials_for("GET", path)
            # Container runtimes, which the handshake comes to, answer 406 to who wants JSON.
            headers = connection.headers({"Accept": "*/*"})
            try:
                async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                    return await self._session.ws_connect(
                        URL(connection.base_url + path, encoded=True).with_query(params),
                        protocols=(protocol,),
                        headers=headers,
                        heartbeat=heartbeat,
                        ssl=connection.tls or True,
                        server_hostname=connection.server_name,
                        proxy=connection.proxy,
                    )
            except aiohttp.WSServerHandshakeError as error:
                refused = ApiError(f"GET {path}: {error.status}", status=error.status, reason=error.message)
                if error.status != 401 or not retry or not await self._renewed(refused, connection):
                    raise await self._not_upgraded(path, params, error) from error
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                refused = unreached("GET", path, connection, error)
                if not is_distrust(error) or not retry or not await self._renewed(refused, connection):
                    raise refused from error
            retry = False

    async def _renewed(self, refused: ApiError, connection: Connection) -> bool:
        """Whether there may be other credentials now, or another CA, than those that `refused` came of."""
        try:
            return await self._credentials.renew(connection)
        except ConfigError as error:
            raise ApiError(f"{refused}; {error}", status=refused.status, reason=refused.reason) from error

    async def _not_upgraded(
        self, path: str, params: Mapping[str, str], error: aiohttp.WSServerHandshakeError
    ) -> ApiError:
        """The error of a handshake. Its answer's body is lost; asked without an upgrade, the server refuses alike."""
        try:
            await self.request("GET", path, params=params)
        except ApiError as told:
            if told.status == error.status:
                return told
        reason = HTTPStatus(error.status).phrase if error.status in _KNOWN_STATUSES else ""
        return ApiError(f"GET {path}: {error.status} {reason}", status=error.status, reason=reason)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        limit: aiohttp.ClientTimeout,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; the answer given is below 300. When one side does not trust the other, credentials and CA are
        renewed and it is sent once more.

        `method` is for texts too: WATCH is sent as GET.
        """
        retry, answered = True, False
        while True:
            connection = await self._credentials_for(method, path)
            sent = connection.headers(headers or {})
            began = self._clock()
            try:
                async with self._session.request(
                    "GET" if method == "WATCH" else method,
                    URL(connection.base_url + path, encoded=True).with_query(params),
                    data=data,
                    headers=sent,
                    timeout=limit,
                    allow_redirects=False,
                    ssl=connection.tls or True,
                    server_hostname=connection.server_name,
                    proxy=connection.proxy,
                ) as response:
                    answered = True
                    self.observe(method, path, response.status, self._clock() - began)
                    if response.status < 300:
                        yield response
                        return
                    refused = refusal(method, path, response, await response.read())
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                if not answered:
                    self.observe(method, path, 0, self._clock() - began)
                if answered or not retry or not is_distrust(error):
                    raise unreached(method, path, connection, error) from error
                refused = unreached(method, path, connection, error)
            else:
                if refused.status != 401 or not retry:
                    raise refused
            retry = answered = False
            if not await self._renewed(refused, connection):
                raise refused

    async def _credentials_for(self, method: str, path: str) -> Connection:
        try:
            return await self._credentials.current()
        except ConfigError as error:
            raise ApiError(f"{method} {path}: {error}", reason="NoCredentials") from error
