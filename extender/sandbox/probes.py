"""Asking a component whether it is ready: a health address over TLS, or a Unix socket that accepts."""

import asyncio
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from extender.sandbox.credentials import PlaneCredentials
from extender.sandbox.process import READY, Probe

_TIMEOUT = 3.0


def https_probe(url: str, credentials: PlaneCredentials) -> Probe:
    """Return a probe that is content with a 200 from `url`, asked as system:masters over TLS 1.2 or newer."""
    context = ssl.create_default_context(cafile=str(credentials.ca_path))
    context.load_cert_chain(credentials.probe)
    return _http(url, context)


def http_probe(url: str, ca: str = "") -> Probe:
    """Return a probe that is content with a 200 from `url`, by TLS if there is a `ca` (a PEM file) to trust."""
    return _http(url, ssl.create_default_context(cafile=ca) if ca else None)


def socket_probe(path: Path) -> Probe:
    """Return a probe that is content when the Unix socket accepts a connection."""

    async def probe() -> str:
        try:
            folder = os.open(path.parent, os.O_PATH)
            try:
                # The address of a socket has 108 bytes, which the path of a run directory may exceed.
                _, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
        except OSError as error:
            return f"{path.name}: {error.strerror or error}"
        writer.close()
        return READY

    return probe


def _http(url: str, context: ssl.SSLContext | None) -> Probe:
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()

    async def probe() -> str:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return _missing(url, await _exchange(str(parts.hostname), int(parts.port or 0), context, request))
        except TimeoutError:
            return f"{url} does not answer"
        except OSError as error:
            return f"{url}: {error.strerror or error}"

    return probe


async def _exchange(host: str, port: int, context: ssl.SSLContext | None, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        # The answer is whole (HTTP/1.0 ends with the connection): no need to wait for a TLS farewell.
        writer.transport.abort()


def _missing(url: str, answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return READY
    # /readyz lists every check, one a line, the failed ones with [-].
    failed = [line for line in body.decode(errors="replace").splitlines() if line.startswith("[-]")]
    return f"{url} answers {status[0].decode() if status else 'nothing'} {' '.join(failed)}".strip()
