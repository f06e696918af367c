"""Kubernetes Events (`events.k8s.io/v1`): what `kubectl describe` shows of a pod or workload."""

import asyncio
import contextlib
import re
import socket
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from msgspec import Struct

from extender.core.errors import ApiError
from extender.core.eventreasons import EventReason
from extender.core.records import Workload
from extender.kube.limits import Backoff, TokenBucket, is_transient
from extender.kube.ports import Api, Ports, Report

CONTROLLER = "spotmix.io/extender"
# Limits of the API (pkg/apis/core/validation/events.go), in bytes.
MAX_NOTE = 1024
MAX_FIELD = 128
# The same Event for the same object is not repeated within this time (seconds).
WINDOW = 600.0
MAX_REMEMBERED = 8192
ATTEMPTS = 4


class Regarding(Struct, frozen=True, gc=False):
    """The object an Event is about; `namespace` is empty for a cluster-scoped one."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """A workload."""
        return cls(workload.kind, workload.api_version, workload.namespace, workload.name, workload.uid)


class EventRecorder:
    """Takes Events without waiting and posts them; drops them rather than hold anything up.

    Args:
        api: the API client.
        report: told of Events that the server refused.
        ports: time and chance.
        now: the time of day, in UTC.
        rate: Events per second over time.
        burst: Events at once.
        limit: Events waiting; beyond that new ones are dropped.
    """

    def __init__(
        self,
        api: Api,
        report: Report,
        *,
        ports: Ports | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        rate: float = 10.0,
        burst: int = 50,
        limit: int = 1000,
    ) -> None:
        self._api = api
        self._report = report
        self._ports = ports or Ports()
        self._now = now
        self._bucket = TokenBucket(rate, burst, self._ports)
        self._limit = limit
        self._instance = socket.gethostname()[:MAX_FIELD] or "unknown"
        self._queue: deque[tuple[tuple[str, str, str], str, dict[str, Any]]] = deque()
        self._seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self.posted = 0
        self.dropped = 0

    def start(self) -> None:
        """Start posting."""
        self._task = asyncio.create_task(self._work(), name="post events")

    def emit(
        self,
        regarding: Regarding,
        reason: EventReason,
        action: str,
        note: str,
        *,
        once: bool = False,
    ) -> bool:
        """Record an Event; never raises or waits. False when there are too many, and it is dropped.

        Args:
            regarding: the object.
            reason: why.
            action: CamelCase, what was done or failed.
            note: for people; cut to 1024 bytes.
            once: whether another note for the same object and reason counts as a repetition too.
        """
        key = (regarding.uid, reason.value, "" if once else note)
        clock = self._ports.clock()
        last = self._seen.get(key)
        if last is not None and clock - last < WINDOW:
            return True
        if len(self._queue) >= self._limit:
            self.dropped += 1
            return False
        self._remember(key, clock)
        namespace = regarding.namespace or "default"
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        self._queue.append((key, path, self._body(regarding, namespace, (reason, action, note))))
        self._idle.clear()
        self._wake.set()
        return True

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109 - cancelled requests must not outlive it
        """Post what waits for at most `timeout` seconds and stop; the number left."""
        if self._task is None:
            return len(self._queue)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        return len(self._queue)

    def _remember(self, key: tuple[str, str, str], clock: float) -> None:
        # Oldest first: a key emitted again is put at the end.
        self._seen.pop(key, None)
        self._seen[key] = clock
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) <= MAX_REMEMBERED and clock - self._seen[oldest] < WINDOW:
                break
            del self._seen[oldest]

    def _body(self, regarding: Regarding, namespace: str, text: tuple[EventReason, str, str]) -> dict[str, Any]:
        reason, action, note = text
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": _event_name(regarding.name), "namespace": namespace},
            "eventTime": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": _cut(action, MAX_FIELD),
            "reason": reason.value,
            "regarding": {
                "kind": regarding.kind,
                "apiVersion": regarding.api_version,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
            "note": _cut(note, MAX_NOTE),
            "type": reason.type,
        }

    async def _work(self) -> None:
        while True:
            if not self._queue:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            await self._bucket.take()
            key, path, body = self._queue[0]
            try:
                await self._post(path, body)
                self.posted += 1
            except Exception as error:  # noqa: BLE001 - Events are a courtesy: nothing may end this loop
                self.dropped += 1
                # It may be tried again when its cause comes up again.
                self._seen.pop(key, None)
                with contextlib.suppress(Exception):
                    self._report("events", str(error))
            self._queue.popleft()

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        backoff = Backoff(self._ports.uniform)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._api.request("POST", path, body=body)
            except ApiError as error:
                # A retry of one that did arrive.
                if error.status == 409:
                    return
                if attempt == ATTEMPTS or not is_transient(error.status):
                    raise
                await self._ports.sleep(backoff.next(error.retry_after))
            else:
                return


def _cut(text: str, limit: int) -> str:
    """The first `limit` bytes, never half a character."""
    return text.encode()[:limit].decode(errors="ignore")


def _event_name(name: str) -> str:
    """A fresh DNS subdomain name that begins with the object's."""
    prefix = re.sub(r"[^a-z0-9.-]", "-", name.lower())[:200].strip(".-") or "object"
    return f"{prefix}.{uuid.uuid4().hex[:16]}"
