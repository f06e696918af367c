"""Patches on pods, sent in the background: bounded, rate limited, newest value first."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Literal

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.core.placement.gates import Release
from extender.kube.limits import Backoff, Limits, TokenBucket, is_transient
from extender.kube.patches import PodPatches
from extender.kube.seams import Report, Timing

Kind = Literal["annotate", "nominate", "cost", "release"]
Value = Mapping[str, str | None] | str | int | Release | None

ATTEMPTS = 8
LIMITS = Limits(rate=100.0, burst=200, waiting=20_000)


class PatchQueue:
    """Takes patches without waiting and sends them.

    Two values for the same pod and kind become one: annotations merge, of the others the newest wins. Patches
    of one pod and kind never overlap. A transient refusal is retried with back-off; a gone pod ends it.

    Args:
        patches: sends one patch.
        report: told of patches given up.
        timing: where clock, sleep and jitter come from.
        limits: of patches.
        concurrency: requests in flight.
        allowed: asked right before a patch is sent; while it says no, patches are dropped.
    """

    def __init__(
        self,
        patches: PodPatches,
        report: Report,
        *,
        timing: Timing | None = None,
        limits: Limits = LIMITS,
        concurrency: int = 16,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._patches = patches
        self._report = report
        self._timing = timing or Timing()
        self._bucket = TokenBucket(limits.rate, limits.burst, self._timing)
        self._concurrency = concurrency
        self._limit = limits.waiting
        self._allowed = allowed
        # Insertion order is the order of service.
        self._waiting: OrderedDict[tuple[str, Kind], tuple[PodId, Value]] = OrderedDict()
        self._busy: set[tuple[str, Kind]] = set()
        self._ready = asyncio.Semaphore(0)
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._workers: list[asyncio.Task[None]] = []
        self.sent = 0
        self.given_up = 0

    def allow(self, rate: float, burst: int) -> None:
        """Send no more than this from now on, see `Limits`."""
        self._bucket.allow(rate, burst)

    def start(self) -> None:
        """Start sending."""
        self._workers = [asyncio.create_task(self._work(), name=f"patch pods {n}") for n in range(self._concurrency)]

    def annotate(self, pod: PodId, values: Mapping[str, str | None]) -> bool:
        """Set annotations (None removes one); False when the queue is full or closed."""
        return self._put(pod, "annotate", values)

    def nominate(self, pod: PodId, node: str) -> bool:
        """Set the nominated node; False when the queue is full or closed."""
        return self._put(pod, "nominate", node)

    def set_deletion_cost(self, pod: PodId, cost: int | None) -> bool:
        """Set the deletion cost (None removes it); False when the queue is full or closed."""
        return self._put(pod, "cost", cost)

    def release(self, release: Release) -> bool:
        """Take our gate off a pod; False when the queue is full or closed."""
        return self._put(release.pod, "release", release)

    @property
    def pending(self) -> int:
        """Patches waiting or in flight."""
        return len(self._waiting) + len(self._busy)

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109 - cancelled requests must not outlive it
        """Take no more, send what waits for at most `timeout` seconds, stop; the number left unsent."""
        self._closed = True
        if self._workers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._idle.wait()
        left = self.pending
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        return left

    def _put(self, pod: PodId, kind: Kind, value: Value) -> bool:
        key = (pod.uid, kind)
        waiting = self._waiting.get(key)
        if self._closed or (waiting is None and len(self._waiting) >= self._limit):
            return False
        if waiting is not None and isinstance(value, Mapping) and isinstance(waiting[1], Mapping):
            value = {**waiting[1], **value}
        self._waiting[key] = (pod, value)
        self._idle.clear()
        # A key in flight is picked up again by the worker that has it.
        if waiting is None and key not in self._busy:
            self._ready.release()
        return True

    async def _work(self) -> None:
        while True:
            await self._ready.acquire()
            key = next(key for key in self._waiting if key not in self._busy)
            self._busy.add(key)
            try:
                while key in self._waiting:
                    await self._deliver(key)
            except Exception as error:  # noqa: BLE001 - a bug in one patch must not end a worker
                self._give_up(f"patch {key}: {error!r}")
            finally:
                self._busy.discard(key)
                # Only after a bug: what came in meanwhile is anyone's now.
                if key in self._waiting:
                    self._ready.release()
                if not self._waiting and not self._busy:
                    self._idle.set()

    async def _deliver(self, key: tuple[str, Kind]) -> None:
        """Send the newest value of `key`, which may change while a retry is waited for."""
        pod, value = self._waiting.pop(key)
        backoff = Backoff(self._timing.uniform)
        for attempt in range(1, ATTEMPTS + 1):
            await self._bucket.take()
            if key in self._waiting:
                pod, newer = self._waiting.pop(key)
                if isinstance(newer, Mapping) and isinstance(value, Mapping):
                    newer = {**value, **newer}
                value = newer
            if not self._allowed():
                return
            try:
                alive = await self._send(pod, key[1], value)
            except ApiError as error:
                if attempt == ATTEMPTS or not is_transient(error.status):
                    self._give_up(str(error))
                    return
                await self._timing.sleep(backoff.next(error.retry_after))
            else:
                self.sent += alive
                return

    async def _send(self, pod: PodId, kind: Kind, value: Value) -> bool:
        if isinstance(value, Mapping):
            return await self._patches.annotate(pod, value)
        if kind == "nominate":
            return await self._patches.nominate(pod, str(value))
        if isinstance(value, Release):
            return await self._patches.release(value)
        return await self._patches.set_deletion_cost(pod, None if value is None else int(value))

    def _give_up(self, text: str) -> None:
        self.given_up += 1
        with contextlib.suppress(Exception):
            self._report("patches", text)
