"""What one process writes to the cluster beside its Lease: patches of pods, and Events."""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from extender.core.answers.decisions import DecisionLog
from extender.core.model.objects import PodId
from extender.core.placement.controller import PlacementController
from extender.core.placement.gates import GateController, Release
from extender.core.placement.gatewatch import GateWatch
from extender.core.placement.pending import PendingController
from extender.core.policy.managed import Managed
from extender.core.policy.values import parse_duration
from extender.core.policy.workload import Workload
from extender.core.scalein.controller import SeatController
from extender.core.state.events import Event
from extender.core.state.outbox import Effect, Placed
from extender.kube.client import ApiClient
from extender.kube.foreigncosts import ForeignCosts
from extender.kube.patches import PodPatches
from extender.kube.queue import LIMITS, PatchQueue
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.resources import PODS
from extender.kube.seams import Report
from extender.kube.seatwriter import SeatWriter
from extender.kube.waker import Waker
from extender.runtime.drive import Drive
from extender.runtime.gates import GateReports
from extender.runtime.pending import PendingPods
from extender.runtime.workloadfaults import WorkloadFaults
from extender.settings import Settings
from extender.settings.sections.placing import PlacementSettings
from extender.telemetry.metrics import Metrics
from extender.wire.objects_v1 import Decoders

DRAIN_SECONDS = 5.0
# So many releases wait to be sent, for each that may be in flight: enough to send without a pause.
WAITING = 8
# How long the Lease is kept for the Events that wait.
TELL_SECONDS = 1.0


class Writers:
    """The queues of one process. What waits in them is sent while this replica decides, and dropped when it does not.

    Args:
        settings: the configuration.
        client: sends what is written.
        placement: says which pods are to be tried again.
        metrics: counts.
        report: told of whatever goes wrong.
        decides: whether this replica decides now.
        log: keeps decisions.

    Attributes:
        recorder: sends Events.
        faults: tells of faults that one workload met.
        wakes: has the scheduler try pods again.
        gates: says which gates are taken off pods.
        pending: says which pods are replaced, since their class does not come.
        gate_watch: sees what becomes of gated pods.
        gate_news: has it told.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        settings: Settings,
        client: ApiClient,
        placement: PlacementController,
        metrics: Metrics,
        report: Report,
        decides: Callable[[], bool],
        log: DecisionLog | None = None,
    ) -> None:
        self._decides, self._metrics = decides, metrics
        self._state = placement.state
        self._outbox = placement.state.outbox
        self._written = settings.scale_in.deletion_cost
        self._seats = SeatController(placement.state, parse_duration(settings.scale_in.settle))
        self.recorder = EventRecorder(client, report, counted=metrics.told, allowed=decides)
        foreign = ForeignCosts(placement.state, self._seats, self.recorder, metrics.sent_cost)
        self.gates = GateController(placement.state, self._room)
        patches = PodPatches(client, foreign.told, self._refused, self._releasing)
        self._wakes = PatchQueue(patches, report, allowed=decides)
        cost_limits = replace(LIMITS, rate=settings.scale_in.rate)
        self._costs = PatchQueue(patches, report, limits=cost_limits, allowed=decides)
        waker = Waker(self._wakes, f"{settings.policy.prefixes[0]}/wake", metrics.woke, time.time)
        self.wakes = Drive("placement", placement, waker.perform, report)
        self.faults = WorkloadFaults(self.recorder, metrics, decides)
        self.gate_watch = GateWatch(placement.state)
        # An empty log is false.
        kept = DecisionLog(0) if log is None else log
        gate_reports = GateReports(self.recorder, metrics, decides, kept, time.time)
        self.gates.kept = gate_reports.keep
        self.gate_news = Drive("gate news", self.gate_watch, gate_reports.perform, report)
        at_once = settings.placement.releases_in_flight
        rate, burst = _releases(settings.placement)
        limits = replace(LIMITS, rate=rate, burst=burst)
        self._releases = PatchQueue(patches, report, limits=limits, concurrency=at_once, allowed=decides)
        self._most_releases = WAITING * at_once
        self._gate_drive = Drive("gates", self.gates, self._release, report)
        self.pending = PendingController(
            placement.state,
            parse_duration(settings.placement.node_startup),
            replaces=settings.placement.replace_pending,
        )
        pods = Decoders(settings.classes, settings.policy.prefixes).make(PODS.key, PODS.api_version, PODS.kind)
        self._pending_pods = PendingPods(self.pending, client, pods.one, self.recorder, metrics, decides, report)
        seat_writer = SeatWriter(self._seats, self._costs, foreign, self._unseated)
        self._seat_drive = Drive("seats", self._seats, seat_writer.perform, report, now=time.monotonic)

    def go_by(self, settings: Settings) -> None:
        """Go by other settings from now on, as far as they may change while it runs."""
        placement = settings.placement
        self._seats.go_by(parse_duration(settings.scale_in.settle))
        self._costs.allow(settings.scale_in.rate, LIMITS.burst)
        self._releases.allow(*_releases(placement))
        self.pending.go_by(parse_duration(placement.node_startup), time.time(), replaces=placement.replace_pending)
        self._pending_pods.hasten()

    def _room(self) -> int:
        """How many more releases may wait to be sent."""
        return max(0, self._most_releases - self._releases.pending)

    def _unseated(self, workload: Workload, error: str) -> None:
        self.faults.met("costs", Regarding.of(workload), error)

    def observe(self, event: Event | Effect, now: float) -> None:
        """Something was taken into the state, and `placement` knows: do what follows from it in time."""
        if isinstance(event, Placed) and self._decides():
            self._metrics.placed(event.capacity_class, event.reason, max(0.0, now - event.created))
        self.wakes.hasten()
        self._gate_drive.hasten()
        self._pending_pods.hasten()
        self.gate_news.hasten()
        if self._outbox.reseat and self._written and self._decides():
            self._note_reseats()

    def _note_reseats(self) -> None:
        self._seats.observe(time.monotonic())
        self._seat_drive.hasten()

    async def write_seats(self) -> None:
        """Write deletion costs, from a synced state, until cancelled; nothing when the settings say so."""
        if self._written:
            self._note_reseats()
            await self._seat_drive.run()

    async def release(self) -> None:
        """Write classes on gated pods, from a synced state, until cancelled."""
        self.gates.take_over(time.time())
        await self._gate_drive.run()

    async def replace(self) -> None:
        """Replace pods whose class does not come, from a synced state, until cancelled."""
        await self._pending_pods.run()

    def _releasing(self, pod: PodId) -> None:
        seconds = self.gate_watch.waited(pod.uid, time.time())
        if seconds is not None:
            self._metrics.released(seconds)

    def _refused(self, pod: PodId) -> None:
        self.gates.refused(pod.uid, time.time())
        self._gate_drive.hasten()

    def _release(self, release: Release) -> None:
        if release.fault:
            self._tell(release)
        self._releases.release(release)
        self._pending_pods.released(release)
        if release.workload is not None:
            for reason in release.doubts:
                text = f"{reason.when} {reason.what_to_do}"
                self.recorder.emit(Regarding.of(release.workload), reason, "WriteClass", text, same="")

    def _tell(self, release: Release) -> None:
        """A decision on a gated pod met a fault of our own."""
        record = self._state.pods.get(release.pod.uid)
        revision = record.revision if record is not None else None
        managed = self._state.workloads.resolve(release.pod.namespace, revision.owner if revision is not None else None)
        self.faults.tell("decision", Regarding.pod(release.pod), release.fault)
        if isinstance(managed, Managed):
            self.faults.met("decision", Regarding.of(managed.workload), release.fault)

    def start(self) -> None:
        """Start sending."""
        self._releases.start()
        self._wakes.start()
        self._costs.start()
        self.recorder.start()

    async def tell(self) -> None:
        """Post the Events that wait, within a moment: once this replica decides no more, none is."""
        await self.recorder.flush(TELL_SECONDS)

    async def drain(self) -> None:
        """Send what waits, within some seconds, and end."""
        await asyncio.gather(
            self._wakes.drain(DRAIN_SECONDS),
            self._releases.drain(DRAIN_SECONDS),
            self._costs.drain(DRAIN_SECONDS),
            self.recorder.drain(DRAIN_SECONDS),
        )


def _releases(settings: PlacementSettings) -> tuple[float, int]:
    """How many releases are sent in a second, and at once."""
    # Two seconds' worth at once: what holds a burst of pods back is their number in flight.
    return settings.release_rate, max(1, int(2 * settings.release_rate))
