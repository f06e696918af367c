"""Everything Spotmix follows in the cluster: the built-in resources, and owners of other kinds once met."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.core.model.objects import Announcement, OwnerRef
from extender.core.state.events import Event, Forgotten, Listed, Upsert
from extender.kube.discovery import (
    MAX_MISSES,
    TRANSIENT_PATIENCE,
    TRANSIENT_SECONDS,
    UNAVAILABLE_SECONDS,
    Discovery,
    NotWatchable,
)
from extender.kube.limits import Backoff
from extender.kube.reflector import PAGE_SIZE, Health, Reflector, WatchOptions
from extender.kube.resources import (
    AUTOSCALING,
    BUILT_IN,
    DRIFT_ONLY,
    NO_OWNERS,
    PODS,
    ApiResource,
    may_be_followed,
)
from extender.kube.seams import KubeWatchApi, Report, Timing
from extender.wire.watch import Decoder

# A follower that ran this long (seconds) is started again at once after a crash.
CRASH_MEMORY = 60.0
# What autoscalers say is looked for again after this time (seconds).
ABSENT_SECONDS = 30.0
_NOT_SERVED = 404
# For so long (seconds) it is taken for granted that what was seen is seen still.
SEEN_SECONDS = 0.25

OnUnavailable = Callable[[str, str, str], None]
"""Takes the group and kind of an owner that cannot be followed, and why. Must not raise."""


OnAbsent = Callable[[str, str], None]
"""Takes the key of a resource that is done without, and why. Must not raise."""


class FeedOptions(Struct, frozen=True):
    """What is followed from the start, and how.

    Attributes:
        built_in: has to be known before anything is decided.
        drift_only: is followed beside that; nobody waits for it.
        policies: is followed from the start as far as it is served and we may; nobody waits for it.
        autoscaling: likewise, once pods are known.
        absent: is told of each of these that is done without.
        page_size: objects per list page.
    """

    built_in: Sequence[ApiResource] = BUILT_IN
    drift_only: Sequence[ApiResource] = DRIFT_ONLY
    policies: Sequence[ApiResource] = ()
    autoscaling: Sequence[ApiResource] = ()
    absent: OnAbsent = lambda _key, _why: None
    page_size: int = PAGE_SIZE


class ClusterFeed:
    """Runs a reflector for each resource, and keeps it running whatever happens.

    Args:
        api: the API client.
        decoder_for: gives the decoder of a resource, built in or discovered.
        sink: takes every event, on the event loop.
        report: told of whatever goes wrong, by resource key.
        on_unavailable: told of each owner kind that cannot be followed.
        timing: where clock, sleep and jitter come from.
        options: what to follow from the start, and how.
    """

    def __init__(
        self,
        api: KubeWatchApi,
        decoder_for: Callable[[ApiResource], Decoder],
        sink: Callable[[Event], None],
        report: Report,
        *,
        on_unavailable: OnUnavailable | None = None,
        timing: Timing | None = None,
        options: FeedOptions | None = None,
    ) -> None:
        options = options or FeedOptions()
        self._api = api
        self._decoder_for = decoder_for
        self._sink = sink
        self._report = report
        self._on_unavailable = on_unavailable or (lambda _group, _kind, _why: None)
        self._timing = timing or Timing()
        self._page_size, self._absent = options.page_size, options.absent
        self._discovery = Discovery(api, timing=self._timing)
        self._built_in = {resource.key: self._reflector(resource) for resource in options.built_in}
        self._drift_only = {resource.key: self._reflector(resource) for resource in options.drift_only}
        self._policies = {each.key: self._reflector(each, optional=True) for each in options.policies}
        self._autoscaling = {each.key: self._reflector(each, optional=True) for each in options.autoscaling}
        self._heard: dict[str, Reflector] = {}
        self._spoken = asyncio.Event()
        self._met: dict[str, Reflector] = {}
        self._by_kind = {(each.resource.group, each.resource.kind): each for each in self._built_in.values()}
        self._seen_until = 0.0
        self._always = [self._by_kind[kind] for kind in self._by_kind if kind in NO_OWNERS]
        self._kinds = {(resource.group, resource.kind) for resource in options.built_in} - NO_OWNERS
        # A pod that controls others is known as what it is.
        self._kinds.add((PODS.group, PODS.kind))
        self._misses: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._looks_again = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start following the built-in resources, pods once all others are listed: then classes are known."""
        for key, reflector in (self._built_in | self._drift_only).items():
            self._spawn(key, partial(self._run, reflector))
        for key, reflector in self._policies.items():
            self._spawn(key, partial(self._run_if_served, reflector))
        for key, reflector in self._autoscaling.items():
            self._spawn(key, partial(self._run_after_pods, reflector))

    def ensure(self, owner: OwnerRef) -> None:
        """Follow the kind of `owner` from now on, if that is not done already.

        Costs nothing for a known kind. Discovery and its retries go on in the background.
        """
        key = (owner.group, owner.kind)
        if key in self._kinds or key in self._misses:
            return
        if not may_be_followed(*key):
            # A volume's importer is controlled by the claim, say.
            self._miss(key, "", "it is no workload")
            return
        self._kinds.add(key)
        self._spawn(f"{owner.api_version} {owner.kind}", partial(self._follow, owner.api_version, owner.kind))

    def _miss(self, key: tuple[str, str], api_version: str, why: str) -> None:
        """A kind cannot be followed, and takes nobody's place: who was missed longest ago is forgotten.

        Those with an `api_version` are looked for again.
        """
        if api_version and not self._looks_again:
            self._looks_again = True
            self._spawn("kinds that were missed", self._look_again)
        self._misses.pop(key, None)
        self._misses[key] = api_version
        if len(self._misses) > MAX_MISSES:
            oldest, _ = self._misses.popitem(last=False)
            self._sink(Forgotten(*oldest))
        self._on_unavailable(*key, why)

    async def _look_again(self) -> None:
        """Kinds are installed later than their objects are named."""
        while True:
            await self._timing.sleep(UNAVAILABLE_SECONDS)
            for key, api_version in [each for each in self._misses.items() if each[1]]:
                del self._misses[key]
                self.ensure(OwnerRef("", api_version, key[1], ""))

    def health(self) -> Mapping[str, Health]:
        """Give a snapshot by resource key. A kind that cannot be followed is not in it."""
        followed = self._built_in | self._drift_only | self._met | self._heard
        return {key: reflector.health() for key, reflector in followed.items()}

    def sees_all(self, stale_after: float) -> bool:
        """Whether everything is known as it is now, or was a moment ago; asked before each decision, so remembered.

        Args:
            stale_after: see `blind`.
        """
        now = self._timing.clock()
        if now >= self._seen_until and not any(each.blind(now, stale_after) for each in self._by_kind.values()):
            self._seen_until = now + SEEN_SECONDS
        return now < self._seen_until

    def blind(self, kinds: Iterable[tuple[str, str]], stale_after: float) -> bool:
        """Whether pods, nodes, namespaces, or owners of one of these kinds (group, kind) may not be known as they are.

        Args:
            kinds: of owners. One that is being looked for is not known.
            stale_after: seconds after which what was not heard of is out of date.
        """
        now = self._timing.clock()
        if any(reflector.blind(now, stale_after) for reflector in self._always):
            return True
        found = (self._by_kind.get(kind) for kind in kinds)
        return any(reflector is None or reflector.blind(now, stale_after) for reflector in found)

    def faults(self, stale_after: float) -> list[str]:
        """What keeps pods from being placed: built-in resources that are not known as they are now, a line each.

        A kind of somebody else's holds up the pods of its own objects alone.

        Args:
            stale_after: seconds after which what was not heard of is out of date.
        """
        return [fault for each in self._built_in.values() if (fault := self._fault(each, stale_after))]

    def _fault(self, reflector: Reflector, stale_after: float) -> str:
        key, health = reflector.resource.key, reflector.health()
        reason = f" ({health.last_error})" if health.last_error else ""
        if not health.synced:
            return f"{key}: not listed yet{reason}"
        if reason:
            return f"{key}: not watched{reason}"
        silence = self._timing.clock() - health.last_contact if health.last_contact is not None else 0.0
        return f"{key}: not heard of for {silence:.0f} s" if silence > stale_after else ""

    async def wait_synced(self) -> None:
        """Return once every built-in resource has been listed."""
        for reflector in self._built_in.values():
            await reflector.synced.wait()

    async def fresh_version(self) -> str:
        """The resourceVersion of the store at this moment.

        Raises:
            ApiError: the server refused, or was not reached.
        """
        body = await self._api.request("GET", PODS.path, params={"limit": "1"})
        return self._decoder_for(PODS).page(body).resource_version

    async def catch_up(self, version: str, patience: float) -> None:
        """Return once every pod is known as it was at `version`; see `Reflector.reach`."""
        await self._built_in[PODS.key].reach(version, patience)

    def list_anew(self, keys: Collection[str]) -> None:
        """List resources (by key) again, as far as they are followed: their objects are decoded in another way now."""
        for reflector in (self._built_in | self._drift_only | self._met | self._heard).values():
            if reflector.resource.key in keys:
                reflector.list_anew()

    async def stop(self) -> None:
        """End all watches and wait until they have ended."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reflector(self, resource: ApiResource, *, optional: bool = False) -> Reflector:
        return Reflector(
            self._api,
            resource,
            self._decoder_for(resource),
            self._hear if resource in AUTOSCALING else self._sink,
            self._report,
            timing=self._timing,
            options=WatchOptions(page_size=self._page_size, optional=optional),
        )

    def _spawn(self, name: str, run: Callable[[], Awaitable[bool | None]]) -> None:
        task = asyncio.create_task(self._supervise(name, run), name=f"follow {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervise(self, name: str, run: Callable[[], Awaitable[bool | None]]) -> None:
        """Run `run` until it says that it has ended for good; a crash of it is reported and made good."""
        backoff = Backoff(self._timing.uniform, base=1.0, cap=30.0)
        while True:
            started = self._timing.clock()
            try:
                if await run():
                    return
            except Exception as error:  # noqa: BLE001 - a bug in one follower must not end the others
                # Nor may a bug in the report.
                with contextlib.suppress(Exception):
                    self._report(name, f"follower crashed, starting it again: {error!r}")
            if self._timing.clock() - started >= CRASH_MEMORY:
                backoff.reset()
            await self._timing.sleep(backoff.next())

    async def _run(self, reflector: Reflector) -> None:
        if reflector.resource == PODS:
            for other in self._built_in.values():
                if other is not reflector:
                    await other.synced.wait()
        await reflector.run()

    async def _run_after_pods(self, reflector: Reflector) -> None:
        await self._built_in[PODS.key].synced.wait()
        await self._run_if_served(reflector)

    async def _run_if_served(self, reflector: Reflector) -> None:
        """Follow what may not be served, or be forbidden to us: say so once, and look again from time to time."""
        key, told = reflector.resource.key, False
        while True:
            self._heard[key] = reflector
            try:
                await reflector.run()
            except ApiError as error:
                if not told:
                    self._absent(key, str(error))
                told = True
                if reflector.synced.is_set() and error.status == _NOT_SERVED:
                    # The kind was uninstalled, and its objects with it.
                    self._sink(Listed(key, frozenset()))
            finally:
                del self._heard[key]
            self._spoken.clear()
            # Whoever may write Events does not make us ask the more.
            await self._timing.sleep(TRANSIENT_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ABSENT_SECONDS):
                    await self._spoken.wait()

    def _hear(self, event: Event) -> None:
        """An autoscaler that speaks is there: what it has is looked for at once."""
        self._sink(event)
        if isinstance(event, Upsert) and isinstance(event.object, Announcement) and not event.object.void:
            self._spoken.set()

    async def _follow(self, api_version: str, kind: str) -> bool:
        """Find a kind and follow it; whenever that is impossible, wait and try again. One that is not served is missed.

        Return whether it is.
        """
        followed, kept = "", (api_version.rpartition("/")[0], kind)
        since = self._timing.clock()
        while True:
            found = await self._discovery.find(api_version, kind)
            if isinstance(found, NotWatchable):
                if found.missing and followed:
                    # The kind was uninstalled, and its objects with it.
                    self._sink(Listed(followed, frozenset()))
                    followed = ""
                if found.missing:
                    self._kinds.discard(kept)
                    self._by_kind.pop(kept, None)
                    self._miss(kept, api_version, found.why)
                    return True
                # A server that starts or is busy cannot say: pods of the kind wait for that.
                if not found.transient or self._timing.clock() - since >= TRANSIENT_PATIENCE:
                    self._by_kind.pop(kept, None)
                    self._on_unavailable(*kept, found.why)
                await self._timing.sleep(max(1.0, found.retry_at - self._timing.clock()))
                continue
            followed = found.key
            reflector = self._met[followed] = self._by_kind[kept] = self._reflector(found, optional=True)
            try:
                await reflector.run()
            except ApiError as error:
                self._report(followed, str(error))
            finally:
                del self._met[followed]
                since = self._timing.clock()
            # Ask discovery before believing that it is gone.
            self._discovery.forget(found)
            await self._timing.sleep(TRANSIENT_SECONDS)
