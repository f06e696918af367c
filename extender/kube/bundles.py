"""Keeps the CA bundle of webhook configurations as it shall be, whoever changes it.

Replicas that have not yet heard of a new bundle must not put the old one back. So the bundle is read anew *after* the
configuration was found to differ, and the patch carries the version of the configuration that was read before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from extender.core.model.errors import ApiError
from extender.kube.changes import wait_for_change
from extender.kube.paths import api_path
from extender.kube.seams import KubeWatchApi, Timing
from extender.wire.certificates_v1 import bundle_fields, decode_configuration

_of_group = partial(api_path, "admissionregistration.k8s.io", "v1")
_RESOURCES = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
COLLECTIONS = tuple(map(_of_group, _RESOURCES))
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
# A configuration is looked at this often (seconds) even if nothing tells that it has changed.
LOOK = 60.0


class Bundles:
    """The CA bundle of webhook configurations, kept as it shall be.

    Args:
        api: the API client.
        newest: reads the bundle anew; empty when there is none to be written.
        timing: where clock, sleep and jitter come from.
    """

    def __init__(self, api: KubeWatchApi, newest: Callable[[], Awaitable[bytes]], timing: Timing) -> None:
        self._api = api
        self._newest = newest
        self._timing = timing
        self._bundle = b""
        self._changed = asyncio.Event()
        # What each configuration holds, as far as known; one that does not exist is not here.
        self._held: dict[str, frozenset[bytes]] = {}
        self._unknown: set[str] = set()

    def tenders(self, names: Sequence[str]) -> list[Callable[[], Awaitable[None]]]:
        """Give a function for each configuration, to be called for ever: it looks, mends, and waits."""
        found = [(resource, name) for name in names for resource in _RESOURCES]
        self._unknown = {_of_group(resource, name=name) for resource, name in found}
        return [partial(self._tend, resource, name) for resource, name in found]

    def changed(self, bundle: bytes) -> None:
        """The bundle is another."""
        self._bundle = bundle
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def trust(self, bundle: bytes) -> bool:
        """Whether every configuration that exists is known to hold this bundle."""
        return not self._unknown and all(held <= {bundle} for held in self._held.values())

    async def _tend(self, resource: str, name: str) -> None:
        changed = self._changed
        version = await self._mend(_of_group(resource, name=name))
        waits = [
            asyncio.ensure_future(wait_for_change(self._api, _of_group(resource), name, version, LOOK)),
            asyncio.ensure_future(changed.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _mend(self, path: str) -> str:
        """Have the configuration hold the bundle; its version, empty when it does not exist."""
        try:
            found = decode_configuration(await self._api.request("GET", path))
        except ApiError as error:
            if error.status != 404:
                raise
            self._held.pop(path, None)
            self._unknown.discard(path)
            return ""
        bundle = self._bundle
        if any(held != bundle for held in found.bundles.values()):
            bundle = await self._newest()
        wrong = [name for name, held in found.bundles.items() if held != bundle]
        if wrong and bundle:
            fields = bundle_fields(wrong, bundle, found.version)
            try:
                body = await self._api.request("PATCH", path, body=fields, content_type=STRATEGIC_MERGE_PATCH)
            except ApiError as error:
                if error.status != 409:
                    raise
                # Changed meanwhile, so the wait for a change ends at once.
                return found.version
            found = decode_configuration(body)
        self._held[path] = frozenset(found.bundles.values())
        self._unknown.discard(path)
        return found.version
