"""Leader election by a Lease, with the semantics of client-go (`tools/leaderelection/leaderelection.go`).

Whoever wants to lead writes its name into the Lease and renews it. Others take it over when they have seen it unchanged
for the duration that it names, by their own monotonic clock: clocks of two machines are never compared. Every write
carries the resourceVersion that was read, so of two that try at once one is refused.

`leader` turns false by the clock alone `renew_deadline` after the last renewal that succeeded was *sent*; others wait
`duration`, which is longer, from when they *saw* it. So there are never two leaders, whatever becomes of the network.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import Struct

from extender.core.model.errors import ApiError, WireError
from extender.kube.changes import wait_for_change
from extender.kube.client import MERGE_PATCH
from extender.kube.paths import api_path
from extender.kube.seams import KubeWatchApi, Report, Timing
from extender.wire.lease_v1 import LeaseSpec, decode_lease, micro_time, note_on

# Candidates wait up to this many times longer between two attempts, so that they do not go in step.
JITTER = 1.2
# Refusals which say that the Lease is not what it was when it was read.
CHANGED = frozenset({404, 409, 422})
NEVER = -math.inf


class LeaseLock(Struct, frozen=True):
    """Which Lease, in whose name, and the times in seconds (duration > renew_deadline > retry_period * JITTER)."""

    namespace: str
    name: str
    identity: str
    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


class Note(Struct, frozen=True):
    """What the leader tells the others: an annotation of the Lease. `say` gives its text, `hear` takes another's."""

    key: str
    say: Callable[[], str]
    hear: Callable[[str], None]


class Elector:
    """Competes for a Lease for as long as `run` runs; see the module.

    Args:
        api: the API client.
        lock: the Lease.
        report: told of whatever goes wrong, under the name `lease`.
        timing: where clock and jitter come from; its sleep is not used.
        now: the time of day, in UTC, which is written and never read.
        note: see `Note`.

    Attributes:
        former: who held the Lease before the present or last term; empty when nobody did, or we did.
        resumed: whether nobody else held the Lease between this term and our term before.
    """

    def __init__(
        self,
        api: KubeWatchApi,
        lock: LeaseLock,
        report: Report,
        *,
        timing: Timing | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        note: Note | None = None,
    ) -> None:
        self.former = ""
        self.resumed = False
        self._api = api
        self._lock = lock
        self._report = report
        self._timing = timing or Timing()
        self._now = now
        self._note = note
        leases = partial(api_path, "coordination.k8s.io", "v1", "leases", namespace=lock.namespace)
        self._collection, self._path = leases(), leases(name=lock.name)
        self._version = ""
        self._spec = LeaseSpec()
        self._seen = NEVER
        self._until = NEVER
        self._acquired = ""

    @property
    def leader(self) -> bool:
        """Whether we lead at this moment."""
        return self._timing.clock() < self._until

    @property
    def led(self) -> bool:
        """Whether somebody leads, as far as this replica has seen."""
        return self.leader or (bool(self.holder) and self._timing.clock() < self._expiry())

    @property
    def looked(self) -> bool:
        """Whether the Lease has been seen, so that it is known who leads."""
        return self._seen != NEVER

    @property
    def holder(self) -> str:
        """Who holds the Lease, as far as we have seen; empty when nobody does."""
        return self._spec.holder_identity or ""

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Compete until cancelled.

        Args:
            lead: run as a task whenever we lead, and cancelled when we lead no more. If it ends by itself, the Lease is
                given back, so that another may try.
        """
        while True:
            await self._acquire()
            term = asyncio.ensure_future(lead())
            try:
                await self._keep(term)
            finally:
                self._until = NEVER
                term.cancel()
                await asyncio.gather(term, return_exceptions=True)
            # Whatever ended the term may last: let the others try first.
            await asyncio.sleep(self._pause())

    async def release(self) -> None:
        """Give the Lease back if it is ours, so that another can take it at once. `run` must have ended."""
        self._until = NEVER
        if self.holder != self._lock.identity:
            return
        now = micro_time(self._now())
        try:
            await self._write(
                {
                    "holderIdentity": "",
                    "leaseDurationSeconds": 1,
                    "acquireTime": now,
                    "renewTime": now,
                    "leaseTransitions": self._spec.lease_transitions or 0,
                }
            )
        except (ApiError, WireError) as error:
            self._tell(f"{error}; it runs out by itself")

    async def _acquire(self) -> None:
        while True:
            try:
                if await self._attempt():
                    return
            except ApiError as error:
                # Another candidate was faster: that is how it works.
                if error.status != 409:
                    self._tell(str(error))
            except WireError as error:
                self._tell(str(error))
            pause = self._pause()
            left = self._expiry() - self._timing.clock()
            await wait_for_change(
                self._api, self._collection, self._lock.name, self._version, min(pause, left) if left > 0 else pause
            )

    async def _keep(self, term: asyncio.Future[None]) -> None:
        """Renew until it is lost, or the term ends by itself."""
        clock, period = self._timing.clock, self._lock.retry_period
        while True:
            left = self._until - clock()
            # The nearer the end, the more often: an answer just before it saves the term.
            await asyncio.wait({term}, timeout=max(0.0, min(period, max(left / 2, period / 10), left)))
            if term.done():
                fault = None if term.cancelled() else term.exception()
                self._tell(f"the leader's work ended: {fault!r}; the Lease is given back")
                await self.release()
                return
            try:
                async with asyncio.timeout(max(0.0, self._until - clock())):
                    if not await self._attempt():
                        self._tell(f"the Lease was taken by {self.holder!r}")
                        return
            except TimeoutError:
                self._tell(f"not renewed within {self._lock.renew_deadline:g} s")
                return
            except (ApiError, WireError) as error:
                self._tell(str(error))

    async def _attempt(self) -> bool:
        """Get or renew the Lease; False when another holds it."""
        if self.leader and self._version:
            try:
                await self._take()
            except ApiError as error:
                if error.status not in CHANGED:
                    raise
            else:
                return True
        await self._read()
        if self.holder not in {"", self._lock.identity} and self._timing.clock() < self._expiry():
            return False
        await self._take()
        return True

    async def _read(self) -> None:
        try:
            body = await self._request("GET", self._path)
        except ApiError as error:
            if error.status != 404:
                raise
            # Deleted while another held it: it may not know yet, so its time is waited out all the same.
            self._version = ""
        else:
            self._observe(body)

    async def _take(self) -> None:
        """Write ourselves into the Lease as it was read."""
        sent = self._timing.clock()
        now = micro_time(self._now())
        holder, spec = self.holder, self._spec
        ours = holder == self._lock.identity
        resumed = ours and bool(self._acquired) and spec.acquire_time == self._acquired
        transitions = spec.lease_transitions or 0
        await self._write(
            {
                "holderIdentity": self._lock.identity,
                "leaseDurationSeconds": math.ceil(self._lock.duration),
                "acquireTime": spec.acquire_time if resumed else now,
                "renewTime": now,
                "leaseTransitions": transitions if ours or self._seen == NEVER else transitions + 1,
            }
        )
        if sent >= self._until:
            self.resumed, self.former = resumed, "" if ours else holder
        self._acquired = self._spec.acquire_time or ""
        self._until = sent + self._lock.renew_deadline

    async def _write(self, spec: dict[str, Any]) -> None:
        name, namespace = self._lock.name, self._lock.namespace
        note = {"annotations": {self._note.key: self._note.say()}} if self._note is not None else {}
        if self._version:
            body = await self._request(
                "PATCH",
                self._path,
                {"metadata": {"resourceVersion": self._version, **note}, "spec": spec},
            )
        else:
            metadata = {"name": name, "namespace": namespace, **note}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            body = await self._request("POST", self._collection, lease)
        self._observe(body)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        # A connection that died without a word must not cost the whole deadline.
        limit = max(1.0, self._lock.renew_deadline / 2)
        try:
            async with asyncio.timeout(limit):
                kind = MERGE_PATCH if method == "PATCH" else "application/json"
                return await self._api.request(method, path, body=body, content_type=kind)
        except TimeoutError as error:
            raise ApiError(f"{method} {path}: no answer within {limit:g} s", reason="Timeout") from error

    def _observe(self, body: bytes) -> None:
        spec, self._version = decode_lease(body)
        if spec != self._spec or self._seen == NEVER:
            self._spec, self._seen = spec, self._timing.clock()
        if self._note is not None and self.holder != self._lock.identity:
            self._note.hear(note_on(body, self._note.key))

    def _expiry(self) -> float:
        """When the Lease as last seen runs out, by our clock."""
        duration = self._spec.lease_duration_seconds
        return self._seen + (self._lock.duration if duration is None else duration)

    def _pause(self) -> float:
        return self._timing.uniform(self._lock.retry_period, self._lock.retry_period * (1 + JITTER))

    def _tell(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._report("lease", f"Lease {self._lock.namespace}/{self._lock.name}: {text}")
