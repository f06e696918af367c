"""A look at a cluster from a kubeconfig alone: everything is listed once, nothing is followed, nothing is written.

What `spotmix serve` follows is listed by the same feed into the same state, so that a command computes what a service
would decide. Where the service goes on, this ends: no list is repeated, and a refusal is an error.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from extender.core.model.errors import ApiError
from extender.core.model.objects import OwnerRef
from extender.core.model.policies import GROUP
from extender.core.policy.values import parse_duration
from extender.core.state.events import Continued, Event, Listed, Unavailable
from extender.core.state.intake import Intake, owner_met
from extender.core.state.state import ClusterState
from extender.kube.informers import ClusterFeed, FeedOptions
from extender.kube.paths import api_path
from extender.kube.resources import BUILT_IN, DRIFT_ONLY, POLICIES, ApiResource
from extender.kube.seams import KubeApi, Timing
from extender.settings import Settings
from extender.settings.rules import rules_of
from extender.wire.objects_v1 import Decoders
from extender.wire.watch import Decoder

REPEATED = frozenset({410, 429})
"""Refusals of a list that say no more than to begin it anew, or to be patient: the feed knows how."""

ATTEMPTS = 3
"""Failures of one list in a row after which it is given up."""

_NOT_SERVED = 404
_NEEDED = ", ".join(resource.key for resource in BUILT_IN)


class Listing:
    """What was seen.

    Attributes:
        state: the cluster.
        missing: why a resource that only moves of pods depend on could not be listed, or policy objects, by its key.
    """

    def __init__(self, state: ClusterState, missing: Mapping[str, str]) -> None:
        self.state = state
        self.missing = missing


async def list_cluster(api: KubeApi, settings: Settings, timing: Timing | None = None) -> Listing:
    """List all that Spotmix looks at.

    Args:
        api: the API client.
        settings: how nodes and policies are read.
        timing: where clock, sleep and jitter come from, for what is tried again.

    Raises:
        ApiError: the API server cannot be reached, or does not let us list something that is needed.
    """
    lister = _Lister(api, settings, timing)
    try:
        return await lister.listing()
    finally:
        await lister.feed.stop()


class _ListsOnly:
    """The API client as the feed sees it. The first list that is refused for good is told of; a watch never begins."""

    def __init__(self, api: KubeApi, refused: Callable[[str, ApiError], None]) -> None:
        self._api, self._refused = api, refused

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        try:
            return await self._api.request(method, path, params=params, body=body, content_type=content_type)
        except ApiError as error:
            if error.status not in REPEATED:
                self._refused(path, error)
            raise

    async def watch(
        self,
        path: str,  # noqa: ARG002 - the port's signature
        params: Mapping[str, str],  # noqa: ARG002 - likewise
        *,
        idle_timeout: float,  # noqa: ARG002 - likewise
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        if on_open is not None:
            on_open()
        await asyncio.Event().wait()
        yield b""


class _Lister:
    def __init__(self, api: KubeApi, settings: Settings, timing: Timing | None) -> None:
        self._api = api
        self._decoders = Decoders(settings.classes, settings.policy.prefixes)
        self._state = ClusterState(
            rules_of(settings), half_life=parse_duration(settings.extender.interruption_half_life)
        )
        self._intake = Intake(self._state, [self._observe])
        self._essential = {resource.key for resource in BUILT_IN}
        self._needed = {resource.path for resource in BUILT_IN}
        self._optional = {resource.path: resource.key for resource in DRIFT_ONLY}
        self._policies = {resource.path: resource.key for resource in POLICIES}
        self._awaited = {resource.key for resource in (*BUILT_IN, *DRIFT_ONLY, *POLICIES)}
        self._kinds: dict[tuple[str, str], str] = {}
        self._missing: dict[str, str] = {}
        self._failure: ApiError | None = None
        self._progress = asyncio.Event()
        self.feed = ClusterFeed(
            _ListsOnly(api, self._refused),
            self._decoder_for,
            self._sink,
            self._report,
            on_unavailable=self._unavailable,
            timing=timing,
            options=FeedOptions(policies=POLICIES, page_size=settings.cache.page_size),
        )

    async def listing(self) -> Listing:
        self.feed.start()
        while self._awaited:
            await self._progress.wait()
            self._progress.clear()
            if self._failure is not None:
                raise self._failure
        await self._forget_unserved()
        while self._state.workloads.is_behind:
            self._sink(Continued())
        self._state.outbox.clear()
        return Listing(self._state, self._missing)

    async def _forget_unserved(self) -> None:
        """Policy objects may not be there at all: whoever has no right to list them is told 403 even so."""
        if self._missing.keys().isdisjoint(self._policies.values()):
            return
        try:
            await self._api.request("GET", api_path(GROUP))
        except ApiError as error:
            if error.status == _NOT_SERVED:
                self._missing = {key: why for key, why in self._missing.items() if key not in self._policies.values()}

    def _settled(self, key: str) -> None:
        self._awaited.discard(key)
        self._progress.set()

    def _decoder_for(self, resource: ApiResource) -> Decoder:
        # A kind that was met is known by its resource from here on.
        awaited = self._kinds.get((resource.group, resource.kind))
        if awaited in self._awaited:
            self._awaited.discard(awaited)
            self._awaited.add(resource.key)
        return self._decoders.make(resource.key, resource.api_version, resource.kind, resource.size_path)

    def _sink(self, event: Event) -> None:
        self._intake.take(event, time.time())

    def _observe(self, event: Event, _now: float) -> None:
        if isinstance(event, Listed):
            self._settled(event.resource)
        elif isinstance(event, Unavailable):
            self._settled(self._kinds.get((event.group, event.kind), ""))
        else:
            met = owner_met(event)
            if met is not None:
                self._meet(met)

    def _meet(self, owner: OwnerRef) -> None:
        kind = (owner.group, owner.kind)
        if kind not in self._kinds:
            self._kinds[kind] = key = f"{owner.api_version} {owner.kind}"
            if not any((each.group, each.kind) == kind for each in (*BUILT_IN, *DRIFT_ONLY)):
                self._awaited.add(key)
            self.feed.ensure(owner)

    def _unavailable(self, group: str, kind: str, _why: str) -> None:
        self._sink(Unavailable(group, kind))

    def _refused(self, path: str, error: ApiError) -> None:
        if path in self._optional:
            self._missing[self._optional[path]] = str(error)
            self._settled(self._optional[path])
        elif path in self._policies:
            if error.status != _NOT_SERVED:
                self._missing[self._policies[path]] = str(error)
            self._settled(self._policies[path])
        elif path in self._needed:
            self._failure = self._failure or _explained(error)
            self._progress.set()

    def _report(self, source: str, text: str) -> None:
        """What was refused for good is known from the request; what the feed tries again and again is not."""
        if source not in self._awaited:
            return
        health = self.feed.health()[source]
        if source not in self._essential:
            if health.failures or not health.undecodable:
                self._missing[source] = text
                self._settled(source)
        elif health.failures >= ATTEMPTS:
            self._failure = self._failure or ApiError(f"{source} cannot be listed: {text}")
            self._progress.set()


def _explained(error: ApiError) -> ApiError:
    if error.status != 403:
        return error
    hint = f"Spotmix has to list {_NEEDED} in all namespaces; ask for a role that allows it"
    return ApiError(f"{error}; {hint}", status=error.status, reason=error.reason)
