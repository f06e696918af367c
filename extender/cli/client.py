"""The client of the gRPC API: one service, by its address or through a tunnel.

A token is sent when the service has asked for one, and not before: see `Bearer`.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

# gRPC writes its own view of failures to standard error, which is ours to tell.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

from extender.core.model.errors import ConfigError, NotFoundError, ServiceError
from spotmix.placement.v1.placement_pb2_grpc import PlacementServiceStub

DEADLINE = 30.0
"""Seconds that a call may take; following decisions has no end."""

MESSAGE = 64 * 1024 * 1024
"""Largest answer (bytes): a workload with tens of thousands of pods."""

PATIENCE = 10.0
"""Seconds that a service behind a tunnel has to say something."""

_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", MESSAGE),
    # A service that is gone is found within 40 s, also while nothing is decided.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Reconnecting is done here, with the service looked up anew.
    ("grpc.enable_retries", 0),
)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_Code = grpc.StatusCode
_Method = Callable[..., Any]


class Bearer(Protocol):
    """Says what token to show to a service that asks for one."""

    async def __call__(self) -> str:
        """The token; raises `ServiceError`, which says why there is none."""
        ...


class TlsFiles(Struct, frozen=True):
    """PEM files for TLS, each empty where there is none: authorities to trust, and a client's certificate with key."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def read(self, name: str) -> bytes | None:
        """One of the files.

        Raises:
            ConfigError: it cannot be read.
        """
        path = getattr(self, name)
        if not path:
            return None
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise ConfigError(f"--server-{name} {path}: {error.strerror}; give a PEM file") from error


class Client:
    """Calls of one service.

    Args:
        channel: to it.
        where: what it is called in texts.
        bearer: the token to show when it asks for one.
        fault: why the connection under the channel failed, empty when that is not known.
        deadline: seconds that a call may take; None for no limit.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        where: str,
        bearer: Bearer,
        fault: Callable[[], str],
        deadline: float | None = DEADLINE,
    ) -> None:
        self._stub = PlacementServiceStub(channel)  # type: ignore[no-untyped-call]  # made by protoc
        self._bearer = bearer
        self._fault = fault
        self._deadline = deadline
        self._metadata: tuple[tuple[str, str], ...] = ()
        self.where = where

    async def call(self, method: str, request: Any) -> Any:
        """Make one call.

        Raises:
            ServiceError: the service is away, or refuses.
            NotFoundError: there is no such object.
            ConfigError: the request asks for what cannot be.
        """
        made: _Method = getattr(self._stub, method)
        while True:
            try:
                return await made(request, metadata=self._metadata, timeout=self._deadline)
            except grpc.aio.AioRpcError as error:
                if not await self._wants_token(error):
                    raise self._error(error) from error

    async def stream(self, method: str, request: Any) -> AsyncGenerator[Any, None]:
        """Make one call that is answered many times, without end.

        Raises:
            ServiceError: the service is away, has gone, or refuses.
            ConfigError: the request asks for what cannot be.
        """
        made: _Method = getattr(self._stub, method)
        while True:
            call = made(request, metadata=self._metadata)
            try:
                async for answer in call:
                    yield answer
            except grpc.aio.AioRpcError as error:
                if not await self._wants_token(error):
                    raise self._error(error) from error
            else:
                raise ServiceError(f"{self.where} has ended the call")
            finally:
                call.cancel()

    async def _wants_token(self, error: grpc.aio.AioRpcError) -> bool:
        """Whether to try again with the token that the service asks for."""
        if error.code() is not _Code.UNAUTHENTICATED or self._metadata:
            return False
        self._metadata = (("authorization", f"Bearer {await self._bearer()}"),)
        return True

    def _error(self, error: grpc.aio.AioRpcError) -> Exception:
        code, text = error.code(), error.details() or "no text"
        if code is _Code.NOT_FOUND:
            return NotFoundError(text)
        if code is _Code.INVALID_ARGUMENT:
            return ConfigError(text)
        if code is _Code.UNAVAILABLE:
            return ServiceError(f"{self.where}: {self._fault() or text}")
        return ServiceError(f"{self.where}: {code.name}: {text}")


@contextlib.asynccontextmanager
async def direct(
    server: str, tls: TlsFiles, bearer: Bearer, *, deadline: float | None = DEADLINE
) -> AsyncIterator[Client]:
    """A client of a service by its address.

    Args:
        server: HOST:PORT, or with https:// before it for TLS whose authorities are the system's.
        tls: files; any of them means TLS.
        bearer: the token to show when the service asks for one; it is asked with TLS alone.
        deadline: seconds that a call may take; None for no limit.

    Raises:
        ConfigError: a file cannot be read.
    """
    secure = server.startswith("https://") or tls != TlsFiles()
    target = server.removeprefix("https://").removeprefix("http://").rstrip("/")
    options = [*_OPTIONS, *([("grpc.enable_http_proxy", 0)] if target.rpartition(":")[0] in _LOOPBACK else [])]

    async def no_token() -> str:
        raise ServiceError(
            f"{target} asks for a token, which is sent with TLS alone; give --server-ca, or https:// before the address"
        )

    if secure:
        channel = grpc.aio.secure_channel(target, _credentials(tls, tls.read("ca")), options=options)
    else:
        channel = grpc.aio.insecure_channel(target, options=options)
    async with channel:
        yield Client(channel, target, bearer if secure else no_token, str, deadline)


@contextlib.asynccontextmanager
async def tunnelled(
    path: str,
    where: str,
    tls: TlsFiles,
    bearer: Bearer,
    fault: Callable[[], str],
    *,
    patience: float = PATIENCE,
    deadline: float | None = DEADLINE,
) -> AsyncIterator[Client]:
    """A client of a service behind a Unix socket, with or without TLS as the service has it.

    The tunnel says who is at its other end, so that the certificate that is shown there is trusted.

    Args:
        path: of the socket.
        where: what the service is called in texts.
        tls: files; of an authority there is no need.
        bearer: the token to show when the service asks for one.
        fault: why the tunnel failed, empty when it did not.
        patience: seconds that the service has to say something.
        deadline: seconds that a call may take; None for no limit.

    Raises:
        ConfigError: a file cannot be read.
        ServiceError: nothing can be reached through the tunnel.
    """
    try:
        shown = await _shown_certificate(path, patience)
    except TimeoutError as error:
        raise ServiceError(f"{where}: {fault() or f'no answer within {patience:g} s'}") from error
    if shown is None and fault():
        raise ServiceError(f"{where}: {fault()}")
    if shown is None:
        channel = grpc.aio.insecure_channel(f"unix:{path}", options=_OPTIONS)
    else:
        name = _name_of(shown)
        named = [("grpc.ssl_target_name_override", name), ("grpc.default_authority", name)]
        pem = ssl.DER_cert_to_PEM_cert(shown).encode()
        channel = grpc.aio.secure_channel(f"unix:{path}", _credentials(tls, pem), options=[*_OPTIONS, *named])
    async with channel:
        yield Client(channel, where, bearer, fault, deadline)


def _credentials(tls: TlsFiles, authorities: bytes | None) -> grpc.ChannelCredentials:
    if bool(tls.cert) != bool(tls.key):
        raise ConfigError("--server-cert and --server-key belong together; give both or neither")
    return grpc.ssl_channel_credentials(authorities, tls.read("key"), tls.read("cert"))


async def _shown_certificate(path: str, patience: float) -> bytes | None:
    """The certificate (DER) that a server shows; None when it ends the connection: it speaks no TLS, or is away.

    Raises:
        TimeoutError: it does neither.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_unix_connection(path, ssl=context, server_hostname="")
    except TimeoutError:
        raise
    except OSError:
        return None
    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return shown


def _name_of(certificate: bytes) -> str:
    """A name that a certificate is good for."""
    from cryptography import x509

    loaded = x509.load_der_x509_certificate(certificate)
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "localhost"
    hosts = names.get_values_for_type(x509.DNSName) or [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    return hosts[0].replace("*", "any", 1) if hosts else "localhost"
