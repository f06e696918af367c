"""Kubernetes Events (`events.k8s.io/v1`): what `kubectl describe` shows of a pod or workload.

A repetition is written into the first Event as its `series`, half a minute after it unless there is much to tell. News
of workloads come before news of pods, and both before repetitions: what is about many pods does not hold up what is
about their owner.
"""

import asyncio
import contextlib
import re
import socket
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.core.model.eventreasons import EventReason
from extender.kube.limits import Backoff, Limits, TokenBucket, is_transient
from extender.kube.occurrences import POD_LIMIT, EventAllowances, Key, Occurrence, Occurrences
from extender.kube.paths import api_path
from extender.kube.regarding import Regarding
from extender.kube.seams import KubeApi, Report, Timing
from extender.wire.lease_v1 import micro_time

CONTROLLER = "spotmix.io/extender"
# Limits of the API (pkg/apis/core/validation/events.go), in bytes.
MAX_NOTE = 1024
MAX_FIELD = 128
# A repetition is written this long (seconds) after the first that was not written yet.
SERIES_DELAY = 30.0
ATTEMPTS = 4
LIMITS = Limits(rate=10.0, burst=50, waiting=1000)
_of_events = partial(api_path, "events.k8s.io", "v1", "events")


class _News(Struct, eq=False, gc=False):
    """An Event that waits to be posted to `path`."""

    key: Key
    path: str
    body: dict[str, Any]


class EventRecorder:
    """Takes Events without waiting and posts them; drops them rather than hold anything up.

    Args:
        api: the API client.
        report: told of Events that the server refused.
        counted: is told what became of each: posted, repeated (a series was brought up to date) or dropped.
        timing: where clock, sleep and jitter come from.
        now: the time of day, in UTC.
        limits: of Events, repetitions included; as many wait of workloads as of pods.
        allowed: asked right before an Event is sent; while it says no, what waits is dropped.
    """

    def __init__(
        self,
        api: KubeApi,
        report: Report,
        *,
        counted: Callable[[str], None] = lambda _outcome: None,
        timing: Timing | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Limits = LIMITS,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api = api
        self._report = report
        self._counted = counted
        self._timing = timing or Timing()
        self._now = now
        self._allowed = allowed
        self._bucket = TokenBucket(limits.rate, limits.burst, self._timing)
        self._limit = limits.waiting
        self._instance = socket.gethostname()[:MAX_FIELD] or "unknown"
        self._of_workloads: deque[_News] = deque()
        self._of_pods: deque[_News] = deque()
        self._repeats: OrderedDict[Key, float] = OrderedDict()
        # Pods come by the hundred thousand: they do not push out what is remembered of workloads.
        self._workloads_told = Occurrences(self._timing.clock)
        self._pods_told = Occurrences(self._timing.clock, POD_LIMIT)
        self._allowances = EventAllowances(self._timing.clock)
        self._stamp = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start posting."""
        self._draining = False
        self._task = asyncio.create_task(self._work(), name="post events")

    def emit(
        self,
        regarding: Regarding,
        reason: EventReason,
        action: str,
        note: str,
        *,
        same: str | None = None,
        related: Regarding | None = None,
    ) -> bool:
        """Record an Event; never raises or waits. False when there are too many, and it is dropped.

        Args:
            regarding: the object.
            reason: why.
            action: CamelCase, what was done or failed.
            note: for people; cut to 1024 bytes.
            same: another Event for the same object and reason with this is a repetition; None goes by the note.
            related: another object that has to do with it.
        """
        key = (regarding.uid, reason.value, hash(note if same is None else same))
        of_pod = regarding.kind == "Pod"
        told = self._pods_told if of_pod else self._workloads_told
        if told.repeated(key):
            if not self._repeats:
                self._wake.set()
            self._repeats.setdefault(key, self._timing.clock() + SERIES_DELAY)
            return True
        queue = self._of_pods if of_pod else self._of_workloads
        if len(queue) >= self._limit or not self._allowances.take(regarding.uid, reason.type):
            self._counted("dropped")
            return False
        namespace = regarding.namespace or "default"
        body = self._body(regarding, namespace, (reason, action, note), related)
        try:
            path = _of_events(namespace=namespace)
            posted = _of_events(namespace=namespace, name=body["metadata"]["name"])
        except ApiError:
            # What is in no namespace that there can be is not there either.
            self._counted("dropped")
            return False
        told.add(key, posted)
        queue.append(_News(key, path, body))
        self._idle.clear()
        self._wake.set()
        return True

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109 - cancelled requests must not outlive it
        """Post what waits for at most `timeout` seconds and stop; the number of Events left."""
        await self.flush(timeout)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        return self._waiting

    async def flush(self, timeout: float) -> None:  # noqa: ASYNC109 - as above
        """Post what waits, repetitions too, for at most `timeout` seconds. Those to come are posted at once."""
        if self._task is None:
            return
        self._draining = True
        self._wake.set()
        if self._repeats:
            self._idle.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()

    @property
    def _waiting(self) -> int:
        return len(self._of_workloads) + len(self._of_pods)

    def _body(
        self, regarding: Regarding, namespace: str, text: tuple[EventReason, str, str], related: Regarding | None
    ) -> dict[str, Any]:
        reason, action, note = text
        now = self._now()
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": self._name(regarding.name, now), "namespace": namespace},
            "eventTime": micro_time(now),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": _cut(action, MAX_FIELD),
            "reason": reason.value,
            "regarding": regarding.reference,
            "note": _cut(note, MAX_NOTE),
            "type": reason.type,
        }
        return body if related is None else {**body, "related": related.reference}

    def _name(self, name: str, now: datetime) -> str:
        """A fresh DNS subdomain name that begins with the object's.

        Names sort as the Events came: `kubectl describe` shows them in the order of their names.
        """
        prefix = re.sub(r"[^a-z0-9.-]", "-", name.lower())[:200].strip(".-") or "object"
        self._stamp = max(self._stamp + 1, int(now.timestamp() * 1e6) * 1000)
        return f"{prefix}.{self._stamp:016x}"

    async def _work(self) -> None:
        while True:
            queue = self._of_workloads or self._of_pods
            if queue:
                await self._bucket.take()
                # One that came meanwhile may go first.
                queue = self._of_workloads or self._of_pods
                await self._tell(queue[0])
                queue.popleft()
                continue
            key, due = next(iter(self._repeats.items()), (None, 0.0))
            if key is None:
                self._idle.set()
                await self._rest(None)
            elif self._draining or self._timing.clock() >= due:
                self._idle.clear()
                del self._repeats[key]
                await self._tell_again(key)
            else:
                self._idle.set()
                await self._rest(due - self._timing.clock())

    async def _rest(self, seconds: float | None) -> None:
        """Wait for something to do, for at most so long."""
        self._wake.clear()
        waits = [asyncio.ensure_future(self._wake.wait())]
        if seconds is not None:
            waits.append(asyncio.ensure_future(self._timing.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _tell(self, news: _News) -> None:
        told = self._told(news.key)
        if not await self._send("POST", news.path, news.body):
            # It may be tried again when its cause comes up again.
            self._forget(news.key)
        elif told is not None:
            told.posted = True

    async def _tell_again(self, key: Key) -> None:
        told = self._told(key)
        if told is None or not told.posted:
            return
        await self._bucket.take()
        last = self._now() - timedelta(seconds=self._timing.clock() - told.last)
        series = {"series": {"count": told.count, "lastObservedTime": micro_time(last)}}
        if not await self._send("PATCH", told.path, series):
            self._forget(key)

    def _told(self, key: Key) -> Occurrence | None:
        return self._workloads_told.get(key) or self._pods_told.get(key)

    def _forget(self, key: Key) -> None:
        self._workloads_told.forget(key)
        self._pods_told.forget(key)

    async def _send(self, method: str, path: str, body: dict[str, Any]) -> bool:
        """Send one; whether the API server has it."""
        try:
            if not await self._request(method, path, body):
                self._counted("dropped")
                return False
        except Exception as error:  # noqa: BLE001 - Events are a courtesy: nothing may end this loop
            # The first of a series expires, or somebody deletes it.
            if not (method == "PATCH" and isinstance(error, ApiError) and error.status == 404):
                self._counted("dropped")
                with contextlib.suppress(Exception):
                    self._report("events", str(error))
            return False
        self._counted("posted" if method == "POST" else "repeated")
        return True

    async def _request(self, method: str, path: str, body: dict[str, Any]) -> bool:
        """Send one, in several attempts; false when it may not be sent any more."""
        content_type = "application/json" if method == "POST" else "application/merge-patch+json"
        backoff = Backoff(self._timing.uniform)
        attempt = 0
        while self._allowed():
            attempt += 1
            try:
                await self._api.request(method, path, body=body, content_type=content_type)
            except ApiError as error:
                # A retry of one that did arrive.
                if method == "POST" and error.status == 409:
                    return True
                if attempt == ATTEMPTS or not is_transient(error.status):
                    raise
                await self._timing.sleep(backoff.next(error.retry_after))
            else:
                return True
        return False


def _cut(text: str, limit: int) -> str:
    """The first `limit` bytes, never half a character."""
    return text.encode()[:limit].decode(errors="ignore")
