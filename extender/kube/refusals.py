"""What is told of a request that failed: `ApiError`s of the API server's refusals, and of answers that never came."""

import ssl

import aiohttp
import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.kube.connection import Connection


class _Cause(Struct):
    reason: str | None = None
    message: str | None = None


class _Details(Struct):
    retryAfterSeconds: int | None = None  # noqa: N815 - as metav1.StatusDetails spells it
    causes: list[_Cause] | None = None


class _Status(Struct):
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


_status_decoder = msgspec.json.Decoder(_Status)


def refusal(method: str, path: str, response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    """Make the error of an answer, from its metav1.Status where it holds one."""
    try:
        status = _status_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = _Status(message=body[:200].decode(errors="replace").strip())
    retry_after: float | None = None
    header = response.headers.get("Retry-After", "")
    if header.isdecimal():
        retry_after = float(header)
    elif status.details and status.details.retryAfterSeconds:
        retry_after = float(status.details.retryAfterSeconds)
    reason = status.reason or response.reason or ""
    causes = status.details.causes or () if status.details else ()
    told = "; ".join(cause.message for cause in causes if cause.message)
    text = f"{method} {path}: {response.status} {reason}: {status.message or 'no message'}"
    return ApiError(
        f"{text} ({told})" if told and told not in text else text,
        status=response.status,
        reason=reason,
        retry_after=retry_after,
        causes=tuple(cause.reason for cause in causes if cause.reason),
    )


def is_distrust(error: BaseException) -> bool:
    """Whether a connection failed because one side does not trust the other's certificate."""
    return isinstance(error, aiohttp.ClientSSLError) or isinstance(error.__cause__, ssl.SSLError)


def unreached(method: str, path: str, connection: Connection, error: Exception) -> ApiError:
    """Make the error of a request that got no answer, or not all of one."""
    if isinstance(error, aiohttp.ClientPayloadError):
        detail = "the connection was cut within the answer"
    elif isinstance(error, aiohttp.ClientConnectorError):
        detail = str(error.os_error)
    else:
        detail = str(error) or "no answer in time"
    name = type(error).__name__
    return ApiError(f"{method} {path}: {connection.base_url}: {name}: {detail}", reason=name)
