"""What one process writes to the cluster beside its Lease: patches of pods, and Events."""

import asyncio
import time
from collections.abc import Callable

from extender.core.policy.policy import parse_duration
from extender.core.state.state import ClusterState
from extender.kube.client import ApiClient
from extender.kube.foreigncosts import ForeignCosts
from extender.kube.patches import PodPatches
from extender.kube.queue import PatchQueue
from extender.kube.recorder import EventRecorder
from extender.kube.seams import Report
from extender.kube.seatwriter import SeatWriter
from extender.kube.waker import Waker
from extender.settings import Settings
from extender.telemetry.metrics import Metrics

DRAIN_SECONDS = 5.0


class Writers:
    """See the module. Patches are sent while this replica decides.

    Args:
        settings: the configuration.
        client: sends what is written.
        state: the cluster state.
        metrics: counts.
        report: told of whatever goes wrong.
        decides: whether this replica decides now.

    Attributes:
        recorder: sends Events.
        waker: has the scheduler look at pods again.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        settings: Settings,
        client: ApiClient,
        state: ClusterState,
        metrics: Metrics,
        report: Report,
        decides: Callable[[], bool],
    ) -> None:
        self._settings = settings.scale_in
        self._state = state
        self.recorder = EventRecorder(client, report, counted=metrics.told)
        self._foreign = ForeignCosts(state, self.recorder, metrics.sent_cost)
        patches = PodPatches(client, self._foreign.told)
        self._wakes = PatchQueue(patches, report, allowed=decides)
        self._costs = PatchQueue(patches, report, rate=settings.scale_in.rate, allowed=decides)
        self.waker = Waker(self._wakes, f"{settings.policy.prefixes[0]}/wake", metrics.woke, time.time)

    def seats(self) -> SeatWriter | None:
        """What writes deletion costs, from a synced state; None when the settings say that nothing does."""
        if not self._settings.deletion_cost:
            return None
        return SeatWriter(self._state, self._costs, self._foreign, parse_duration(self._settings.settle))

    def start(self) -> None:
        """Start sending."""
        self._wakes.start()
        self._costs.start()
        self.recorder.start()

    async def drain(self) -> None:
        """Send what waits, within some seconds, and end."""
        await asyncio.gather(
            self._wakes.drain(DRAIN_SECONDS),
            self._costs.drain(DRAIN_SECONDS),
            self.recorder.drain(DRAIN_SECONDS),
        )
