"""Waits until one object, named in advance, has changed."""

import asyncio
import contextlib
import math

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.kube.seams import KubeWatchApi


class _Line(Struct, frozen=True):
    type: str = ""


_decoder = msgspec.json.Decoder(_Line)


async def wait_for_change(api: KubeWatchApi, collection: str, name: str, version: str, seconds: float) -> None:
    """Return when an object has changed since `version`, or after `seconds`.

    It only wakes whoever then reads the object: when the watch is refused, fails or ends, the time is waited out. The
    watch names its one object, so that a role which names it too is enough.

    Args:
        api: the API client.
        collection: the object's list path.
        name: its name.
        version: the resourceVersion that is known; empty when the object is not there.
        seconds: how long to wait at most.
    """
    if seconds <= 0:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ApiError):
                if await _changed(api, collection, name, version, seconds):
                    return
            await asyncio.Event().wait()


async def _changed(api: KubeWatchApi, collection: str, name: str, version: str, seconds: float) -> bool:
    params = {"fieldSelector": f"metadata.name={name}", "timeoutSeconds": str(math.ceil(seconds) + 1)}
    if version:
        params["resourceVersion"] = version
    lines = api.watch(collection, params, idle_timeout=seconds + 1.0)
    async with contextlib.aclosing(lines):
        async for line in lines:
            try:
                kind = _decoder.decode(line).type
            except (msgspec.DecodeError, UnicodeDecodeError):
                return True
            return kind != "ERROR"
    return False
