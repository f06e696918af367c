"""Which of several replicas decides: the holder of the Lease, once it knows all that its predecessor did.

A follower knows the cluster as well as the leader does, but for the reservations of pods that are on their way to a
node. A leader that ends in order waits until those are bound before it gives the Lease away. One that is killed has had
`leaseDuration` less `renewDeadline` for that when another takes over. The new leader then makes sure that its watch has
delivered every pod up to now, and decides.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

from extender.core.model.errors import ApiError, WireError
from extender.core.model.reasons import Reason
from extender.core.policy.values import parse_duration
from extender.core.state.state import ClusterState
from extender.kube.incluster import own_namespace
from extender.kube.lease import Elector, LeaseLock, Note
from extender.kube.limits import Backoff
from extender.kube.ownpod import OwnPod
from extender.kube.paths import is_object_name
from extender.kube.seams import KubeWatchApi, Report, Timing
from extender.runtime.whoami import identity, needed_namespace, pod_name
from extender.settings.sections.process import LeaderElectionSettings
from extender.telemetry.logs import logger
from extender.wire.lease_v1 import decode_schedulers, encode_schedulers, micro_time

# How long the watch may take to deliver what there is before pods are listed anew (seconds).
CATCH_UP = 2.0
# How long a leader that ends waits for the pods it let pass last to be bound (seconds).
BINDING = 3.0
# How long such a leader waits for the gates of pods that were created last (seconds).
RELEASING = 2.0
LABELLING = 1.0
ATTEMPTS = 5
_POLL = 0.05


class Followed(Protocol):
    """What the state is kept current by; `ClusterFeed` is one."""

    async def fresh_version(self) -> str:
        """Give the resourceVersion of the store at this moment; raises `ApiError`."""
        ...

    async def catch_up(self, version: str, patience: float) -> None:
        """Return once every pod is known as it was at `version`."""
        ...


class Work(Protocol):
    """What only the leader does."""

    async def perform(self) -> None:
        """Do it until cancelled."""
        ...


class Leadership:
    """Takes the Lease, holds it, hands it over, and says whether this replica decides.

    Without leader election the process leads as soon as it is synced, and until it ends.

    Args:
        settings: of the election.
        client: a connected API client.
        feed: see `Followed`.
        state: holds the reservations.
        report: told of whatever goes wrong.
        timing: where clock, sleep and jitter come from.

    Raises:
        ConfigError: the namespace of the Lease is not known.
    """

    def __init__(
        self,
        settings: LeaderElectionSettings,
        client: KubeWatchApi,
        feed: Followed,
        state: ClusterState,
        report: Report,
        *,
        timing: Timing | None = None,
    ) -> None:
        self._feed = feed
        self._state = state
        self._report = report
        self._timing = timing or Timing()
        self._log = logger()
        self._elector: Elector | None = None
        self._pod: OwnPod | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._synced = self._ready = self._resigning = self._resigned = False
        if settings.enabled:
            namespace = settings.namespace or needed_namespace("leaderElection", " or leaderElection.namespace")
            lock = LeaseLock(
                namespace,
                settings.name,
                settings.identity or identity(),
                parse_duration(settings.lease_duration),
                parse_duration(settings.renew_deadline),
                parse_duration(settings.retry_period),
            )
            note = Note(
                f"{state.workloads.rules.prefixes[0]}/schedulers",
                lambda: encode_schedulers(state.schedulers.asks),
                lambda text: state.schedulers.hear(decode_schedulers(text)),
            )
            self._elector = Elector(client, lock, report, timing=self._timing, note=note)
            if pod_name() and own_namespace():
                self._pod = OwnPod(client, own_namespace()[0], pod_name(), report, timing=self._timing)

    @property
    def leads(self) -> bool:
        """Whether this replica holds the Lease now; always true without leader election."""
        return not self._resigned and (self._elector is None or self._elector.leader)

    @property
    def led(self) -> bool:
        """Whether a replica leads now, this one or another, and goes on to."""
        return not self._resigning and (self.leads or (self._elector is not None and self._elector.led))

    def faults(self) -> list[str]:
        """Why this replica is not ready as far as the election goes, a line each.

        Until it has seen the Lease it cannot tell whether anybody would decide, and so would admit pods ungated. It
        looks at it once the cluster is known, a moment after the last list has come.
        """
        if not self._synced:
            return ["the election has not begun: it waits for the cluster to be read"]
        unknown = self._elector is not None and not self._elector.looked
        return ["the Lease of the leader has not been read yet"] if unknown else []

    def obstacle(self) -> Reason | None:
        """Why no decision may be made now; None when it may."""
        if not self._synced:
            return Reason.NOT_SYNCED
        if not self.leads:
            return Reason.NOT_LEADER
        return None if self._ready else Reason.TAKING_OVER

    @property
    def decides(self) -> bool:
        """Whether this replica decides now."""
        return self.obstacle() is None

    def stays(self) -> bool:
        """Whether clients are at the right replica."""
        return not self._synced or self.leads

    def start(self) -> None:
        """Take the leader's label off the own pod, which may carry it since before a crash."""
        if self._pod is not None:
            self._tasks.append(asyncio.create_task(self._pod.run(), name="own pod"))

    def synced(self, work: Work) -> None:
        """The state is complete: compete for the Lease, and do the leader's work while it is ours."""
        self._synced = True

        async def lead() -> None:
            await self._lead(work)

        run = self._alone(work) if self._elector is None else self._elector.run(lead)
        self._tasks.append(asyncio.create_task(run, name="leadership"))

    async def resign(self) -> None:
        """Decide no more, and hand over."""
        self._resigning = True
        if self.decides:
            await self._see_released()
        if self._elector is not None:
            decided, self._resigned = self.decides, True
            if self._pod is not None:
                self._pod.leads(leads=False)
                await self._pod.written(LABELLING)
            if decided:
                await self._see_bound()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._elector is not None:
            await self._elector.release()

    async def _alone(self, work: Work) -> None:
        self._ready = True
        await work.perform()

    async def _lead(self, work: Work) -> None:
        """One term."""
        elector = self._elector
        if elector is None:  # `synced` runs this for an elector alone
            raise AssertionError("a term without a Lease")
        self._log.info("leader", former=elector.former)
        try:
            await self._take_over()
            if not elector.resumed:
                self._state.depose()
            self._ready = True
            if self._pod is not None:
                self._pod.leads(leads=True)
            self._log.info("deciding")
            async with asyncio.TaskGroup() as group:
                group.create_task(self._depose(elector.former))
                group.create_task(work.perform())
        finally:
            self._ready = False
            if self._pod is not None:
                self._pod.leads(leads=False)
            self._log.info("leader no more")

    async def _take_over(self) -> None:
        """Know every pod as it was after the term began."""
        backoff = Backoff(self._timing.uniform, cap=1.0)
        while True:
            try:
                version = await self._fresh_version()
            except (ApiError, WireError) as error:
                self._report("leadership", str(error))
                await self._timing.sleep(backoff.next())
            else:
                break
        await self._feed.catch_up(version, CATCH_UP)

    async def _fresh_version(self) -> str:
        """A resourceVersion of now. A write of our own on a pod is best: the watch will tell of it at once."""
        if self._pod is not None:
            try:
                return await self._pod.begin_term(micro_time(datetime.now(UTC)))
            except ApiError as error:
                self._report("own pod", str(error))
        return await self._feed.fresh_version()

    async def _depose(self, former: str) -> None:
        """Take the label off the pod that led before: if its node is lost, nobody else will."""
        if self._pod is None or former == self._pod.name or not is_object_name(former):
            return
        backoff = Backoff(self._timing.uniform)
        for _ in range(ATTEMPTS):
            try:
                await self._pod.depose(former)
            except ApiError as error:
                self._report("own pod", str(error))
                await self._timing.sleep(backoff.next(error.retry_after))
            else:
                return

    async def _see_released(self) -> None:
        """Wait for the pods that have just been gated: there may be nobody else to take their gates away."""
        deadline = self._timing.clock() + RELEASING
        while self._timing.clock() < deadline and any(len(pod.gates) == 1 for pod in self._state.gated.values()):
            await self._timing.sleep(_POLL)

    async def _see_bound(self) -> None:
        """Wait for the pods that passed a moment ago: the next leader counts them only once they are bound."""
        passed = set(self._state.reserved_since(time.time() - BINDING))
        deadline = self._timing.clock() + BINDING
        while passed.intersection(self._state.reserved_since(0.0)) and self._timing.clock() < deadline:
            await self._timing.sleep(_POLL)
