"""List and watch of one resource, for ever.

The reflector of client-go (`tools/cache/reflector.go`) reduced to what we need: it keeps no objects, only the
version it has seen, and hands every change to a sink. What it must survive, each with a test: expired
versions (410) at any point, deletes missed while it was away, servers that end a watch at once, connections
that die without a word, objects that do not decode, a sink that raises, a store that is restored from a backup.

A version says where in the history of a store a watch goes on. So it is kept over a watch that was cut, once the server
has shown that its store is not older; after the server was away there may be another store behind it, with another
history up to the same version, and only a list tells what is in it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from msgspec import Struct

from extender.core.model.errors import ApiError, WireError
from extender.core.model.objects import Object
from extender.core.state.events import Event, Gone, Listed, Upsert
from extender.kube.client import WATCH_IDLE_TIMEOUT
from extender.kube.limits import RetryPace
from extender.kube.resources import ApiResource
from extender.kube.salvage import salvage_change, salvage_page, version_of
from extender.kube.seams import KubeWatchApi, Report, Timing
from extender.kube.versions import is_as_new, is_older
from extender.wire.watch import Decoder, Page, WatchEvent

PAGE_SIZE = 200
# An expired continue token means that the list took longer than etcd keeps versions: ask for bigger pages.
PAGE_GROWTH = 4
# The server ends a watch after a random time in this range (seconds), so that clients move among API servers.
WATCH_SECONDS = (300.0, 600.0)
# Likewise where there are no bookmarks: before its silence is taken for that of a dead connection.
SILENT_WATCH_SECONDS = (60.0, 90.0)
# A watch that lived this long (seconds) was a success, whatever ended it.
LIVED = 5.0
# Answers of whoever stands before the server while it is away.
AWAY = frozenset({0, 502, 503, 504})
# What could be followed once is given up when it is forbidden for so long (seconds): a starting API server may refuse
# for want of its roles.
FORBIDDEN_PATIENCE = 60.0
# Refusals that say nothing about the version we watch from: repeating the list would not help.
KEEP_VERSION = frozenset({401, 403, 408, 429})


class Health(Struct, frozen=True):
    """How well a resource is followed.

    Attributes:
        synced: a list has been completed.
        last_contact: monotonic seconds of the last proof of freshness (list end, watch accepted, event,
            bookmark), or None. A quiet resource has one about every minute.
        failures: failed lists and watches since the start.
        last_error: text of the last failure; empty again once a watch is accepted.
        relists: lists after the first one.
        rewatches: watches that the server accepted after the first one; it ends each after some minutes.
        events: objects taken from lists and watches.
        undecodable: objects that did not decode; each was reported.
    """

    synced: bool = False
    last_contact: float | None = None
    failures: int = 0
    last_error: str = ""
    relists: int = 0
    rewatches: int = 0
    events: int = 0
    undecodable: int = 0


class WatchOptions(Struct, frozen=True):
    """How a resource is listed and watched.

    Attributes:
        page_size: objects per list page.
        idle_timeout: seconds of silence after which a watch is opened anew.
        optional: end with `ApiError` when the server says that the resource does not exist, or it was forbidden from
            the start, instead of trying for ever.
    """

    page_size: int = PAGE_SIZE
    idle_timeout: float = WATCH_IDLE_TIMEOUT
    optional: bool = False


DEFAULT = WatchOptions()


class _Attempt(Struct):
    """One go at following: since when (monotonic), whether it begins with a list, whether a watch was opened."""

    started: float
    from_list: bool
    accepted: bool = False


class _SinkError(Exception):
    """The sink raised: what it holds is unknown until the next list."""


class _WentBackError(Exception):
    """The store was restored from a backup: what was seen of it since is no more."""


class Reflector:
    """Feeds `sink` with every object of one resource and every change of it, for as long as `run` runs.

    Args:
        api: the API client.
        resource: what to follow.
        decoder: decodes its lists and watch lines.
        sink: takes each event, in order, on the event loop; a relist ends in `Listed`, so that deletes missed
            meanwhile are made up for.
        report: called with the resource's key and a text for whatever went wrong.
        timing: where clock, sleep and jitter come from.
        options: how it is listed and watched.
    """

    def __init__(
        self,
        api: KubeWatchApi,
        resource: ApiResource,
        decoder: Decoder,
        sink: Callable[[Event], None],
        report: Report,
        *,
        timing: Timing | None = None,
        options: WatchOptions = DEFAULT,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self._api = api
        self._decoder = decoder
        self._sink = sink
        self._report = report
        self._timing = timing or Timing()
        self._options = options
        self._selected = {"fieldSelector": resource.selector} if resource.selector else {}
        self._pace = RetryPace(self._timing.uniform)
        self._attempt = _Attempt(0.0, from_list=True)
        self._forbidden_since: float | None = None
        self._version = ""
        self._former = ""
        self._progressed: asyncio.Event | None = None
        self._watching: asyncio.Timeout | None = None
        self._anew = False
        self._expired_lists = 0
        self._last_contact: float | None = None
        self._failures = 0
        self._last_error = ""
        self._lists = 0
        self._watches = 0
        self._events = 0
        self._undecodable = 0

    def health(self) -> Health:
        """Give a snapshot."""
        return Health(
            synced=self.synced.is_set(),
            last_contact=self._last_contact,
            failures=self._failures,
            last_error=self._last_error,
            relists=max(0, self._lists - 1),
            rewatches=max(0, self._watches - 1),
            events=self._events,
            undecodable=self._undecodable,
        )

    def blind(self, now: float, stale_after: float) -> bool:
        """Whether what is known may be out of date: not listed, the watch is down, or silent for `stale_after` seconds.

        `now` is in monotonic seconds.
        """
        contact = self._last_contact
        return bool(self._last_error) or contact is None or now - contact > stale_after or not self.synced.is_set()

    async def run(self) -> None:
        """Follow the resource until cancelled.

        Raises:
            ApiError: the resource is optional and the server does not let us list it.
        """
        while True:
            attempt = self._attempt = _Attempt(self._timing.clock(), from_list=not self._version)
            retry_after: float | None = None
            away = False
            try:
                await self._follow(attempt)
            except ApiError as error:
                if self._options.optional and self._gone(error.status):
                    self._last_error = str(error)
                    raise
                self._failed(error)
                if error.status == 410 and not attempt.from_list:
                    continue
                away, retry_after = error.status == 0 and not attempt.accepted, error.retry_after
            except (_SinkError, _WentBackError, WireError) as error:
                self._version = ""
                self._failed(error)
            except Exception as error:
                # A bug: whoever runs us again starts from a list, not from the line that broke us.
                self._version, self._last_error = "", repr(error)
                raise
            # Only a watch that lived counts as a success: one that ends at once is retried ever more slowly.
            if self._version and self._timing.clock() - attempt.started >= LIVED:
                self._pace.reset()
            await self._timing.sleep(self._pace.next(retry_after, away=away))

    def list_anew(self) -> None:
        """List everything again soon, though nothing was missed: objects are to be decoded in another way."""
        self._anew = True
        if self._watching is not None:
            self._watching.reschedule(asyncio.get_running_loop().time())

    async def _follow(self, attempt: _Attempt) -> None:
        """Go on from where we are, or from a list, until the watch ends."""
        if self._anew:
            self._version = ""
        shown = ""
        if self._version:
            # Of any object: to find one that is selected the server may have to read all.
            body = await self._api.request("GET", self.resource.path, params={"limit": "1"})
            shown = version_of(body)
            if is_older(shown, self._version):
                self._report(self.resource.key, _went_back(self._version, shown))
                self._version = ""
        attempt.from_list = not self._version
        while not self._version or self._anew:
            self._anew, self._version = False, ""
            await self._list()
            attempt.started = self._timing.clock()
        opened = self._timing.clock()
        await self._watch()
        lived = self._timing.clock() - opened
        if not self.resource.bookmarked and lived >= SILENT_WATCH_SECONDS[0] and is_older(self._version, shown):
            # What had happened before it began it has told long since. From a version that nothing moves on there is
            # no watch once the store has forgotten it, and all is listed.
            self._advance(shown)

    async def reach(self, version: str, patience: float) -> None:
        """Return once the sink has been given all that happened up to `version`, a resourceVersion of the whole store.

        A watch is in order, so its next event or bookmark proves it, and so does a list. When neither comes within
        `patience` seconds, because nothing happens or because the watch is dead, the resource is listed anew.
        """
        while not is_as_new(self._version, version):
            try:
                async with asyncio.timeout(patience):
                    await self._progress()
            except TimeoutError:
                # Without a watch a list is under way, or comes, and will do as well.
                if self._watching is not None:
                    await self._list_anew(self._watching)
                    return

    async def _list_anew(self, watching: asyncio.Timeout) -> None:
        lists = self._lists
        watching.reschedule(asyncio.get_running_loop().time())
        while self._lists == lists:
            await self._progress()

    async def _progress(self) -> None:
        """Return once the version is another."""
        self._progressed = self._progressed or asyncio.Event()
        await self._progressed.wait()

    def _advance(self, version: str) -> None:
        self._version = version
        if self._progressed is not None:
            self._progressed.set()
            self._progressed = None

    def _gone(self, status: int) -> bool:
        """Whether an optional resource is given up because of a refusal."""
        now = self._timing.clock()
        if status != 403:
            self._forbidden_since = None
            return status == 404 and not self._version
        self._forbidden_since = now if self._forbidden_since is None else self._forbidden_since
        return not self.synced.is_set() or now - self._forbidden_since >= FORBIDDEN_PATIENCE

    def _failed(self, error: Exception) -> None:
        status = error.status if isinstance(error, ApiError) else None
        # The server asks to come again in a moment, as while the storage of a new definition starts.
        asked = status == 429 and not self._last_error
        self._failures += 1
        self._last_error = str(error)
        if status is not None:
            refused = 400 <= status < 500 and status not in KEEP_VERSION
            if refused or (status in AWAY and not self._attempt.accepted):
                self._former, self._version = self._version or self._former, ""
        if status != 410 and not asked:
            self._report(self.resource.key, str(error))

    def _contact(self) -> None:
        self._last_contact = self._timing.clock()

    def _opened(self) -> None:
        self._watches += 1
        self._attempt.accepted = True
        self._forbidden_since = None
        self._last_error = ""
        self._contact()

    def _emit(self, event: Event) -> None:
        try:
            self._sink(event)
        except Exception as error:
            raise _SinkError(
                f"{self.resource.key}: the state did not take {type(event).__name__}: {error!r}"
            ) from error

    async def _list(self) -> None:
        # No resourceVersion: the most recent state. An older one could be from before a watch we already saw.
        params = {"limit": str(self._options.page_size * PAGE_GROWTH**self._expired_lists), **self._selected}
        uids: set[str] = set()
        page = self._page(await self._fetch(params), uids)
        while page.token:
            # The server works on the next page while we work on this one.
            coming = asyncio.create_task(self._fetch({**params, "continue": page.token}))
            try:
                # Let the request out, and others run between the two halves of the work on a page.
                await asyncio.sleep(0)
                self._emit_all(page.objects, uids)
                page = self._page(await coming, uids)
            finally:
                coming.cancel()
        await asyncio.sleep(0)
        self._emit_all(page.objects, uids)
        self._emit(Listed(self.resource.key, frozenset(uids)))
        if is_older(page.resource_version, self._former):
            self._report(self.resource.key, _went_back(self._former, page.resource_version))
        self._former = ""
        self._expired_lists = 0
        self._lists += 1
        self._advance(page.resource_version)
        self._contact()
        self.synced.set()

    async def _fetch(self, params: Mapping[str, str]) -> bytes:
        try:
            return await self._api.request("GET", self.resource.path, params=params)
        except ApiError as error:
            if error.status == 410:
                self._expired_lists = min(self._expired_lists + 1, 4)
            raise

    def _page(self, body: bytes, uids: set[str]) -> Page:
        """Decode a page; `uids` takes in those of objects that do not decode."""
        try:
            return self._decoder.page(body)
        except WireError as error:
            page, lost = salvage_page(body, self._decoder, error)
            uids.update(lost)
            self._undecodable += len(lost)
            self._report(self.resource.key, f"{len(lost)} listed objects do not decode; first: {error}")
            return page

    def _emit_all(self, objects: Sequence[Object], uids: set[str]) -> None:
        for item in objects:
            self._emit(Upsert(item))
            uids.add(item.uid)
        self._events += len(objects)

    async def _watch(self) -> None:
        seconds = WATCH_SECONDS if self.resource.bookmarked else SILENT_WATCH_SECONDS
        params = {
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(self._timing.uniform(*seconds))),
            **self._selected,
        }
        lines = self._api.watch(
            self.resource.path, params, idle_timeout=self._options.idle_timeout, on_open=self._opened
        )
        try:
            # A timeout without a time: `reach` may set one.
            async with asyncio.timeout(None) as self._watching, aclosing(lines):
                async for line in lines:
                    self._take(line)
                    # A chunk may hold hundreds of lines: what one asks for is done before the last is read.
                    await asyncio.sleep(0)
        except TimeoutError:
            self._version = ""
        finally:
            self._watching = None

    def _take(self, line: bytes) -> None:
        """Apply one line of the watch."""
        try:
            change = self._decoder.change(line)
        except WireError as error:
            self._take_undecodable(line, error)
            return
        if change.type == "ERROR":
            raise _refused(self.resource, change)
        version = change.resource_version
        # Versions of a watch rise. Compared as text first: this is done for each event.
        if (version < self._version or len(version) < len(self._version)) and is_older(version, self._version):
            raise _WentBackError(_went_back(self._version, version))
        self._contact()
        if change.object is not None:
            if change.type == "DELETED":
                self._emit(Gone(self.resource.key, change.object.uid))
            else:
                self._emit(Upsert(change.object))
            self._events += 1
        if version:
            self._advance(version)

    def _take_undecodable(self, line: bytes, error: WireError) -> None:
        """Go on after a bad object; a delete needs no more than its uid."""
        salvaged = salvage_change(line, error)
        self._undecodable += 1
        self._report(self.resource.key, f"a watched object does not decode: {error}")
        self._contact()
        if salvaged.type == "DELETED" and salvaged.uid:
            self._emit(Gone(self.resource.key, salvaged.uid))
        if salvaged.resource_version:
            self._advance(salvaged.resource_version)


def _went_back(seen: str, shown: str) -> str:
    return f"the store went back from version {seen} to {shown}: it was restored, and is listed anew"


def _refused(resource: ApiResource, change: WatchEvent) -> ApiError:
    text = f"WATCH {resource.path}: the server ended it with {change.code}: {change.message}"
    return ApiError(text, status=change.code, reason="Expired" if change.code == 410 else "WatchError")
