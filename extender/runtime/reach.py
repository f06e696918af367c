"""Tells the owners of workloads whose policy gives no spot replica at their size, and again while that lasts.

It is told when it is found at two looks in a row, as an autoscaler may be about to let the workload grow. Sizes that
come and go afterwards are no news: the text says from which on there is a spot replica.
"""

import asyncio
from collections.abc import Iterable

from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import Owner
from extender.core.policy.managed import Managed
from extender.core.policy.provenance import key_as_written
from extender.core.policy.shortfall import alone, shortfall
from extender.core.policy.workload import Workload
from extender.core.state.controllers import size_of
from extender.core.state.state import ClusterState
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import Timing
from extender.runtime.retelling import Retelling

# Seconds between two looks.
LOOK = 30.0
# Workloads looked at between two looks at the event loop.
SLICE = 500


class ReachReports:
    """Events about policies that give no spot replica.

    Args:
        state: the cluster.
        recorder: posts Events.
        timing: where time comes from.
    """

    def __init__(self, state: ClusterState, recorder: EventRecorder, *, timing: Timing | None = None) -> None:
        self._state = state
        self._recorder = recorder
        self._timing = timing or Timing()
        self._found: dict[str, str] = {}
        self._retelling = Retelling(self._timing.clock)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await self._timing.sleep(LOOK)

    async def _look(self) -> None:
        workloads = list(self._state.workloads.by_uid.values())
        found: dict[str, str] = {}
        for start in range(0, len(workloads), SLICE):
            self._look_at(workloads[start : start + SLICE], found)
            await asyncio.sleep(0)
        self._found = found
        owners = self._state.workloads.owners
        self._retelling.keep(lambda about: about in owners or about in found)

    def _look_at(self, workloads: Iterable[Workload], found: dict[str, str]) -> None:
        for workload in workloads:
            owner = self._state.workloads.owners.get(workload.uid)
            try:
                # Runs are as many as come: by itself no Job of them has to have spot.
                sized = owner if owner is not None and not Managed(workload, owner).runs else None
                lacking = shortfall(workload.policy, size_of(self._state, sized)) if sized is not None else None
            except Exception:  # noqa: BLE001 - whoever counts the workload tells of it; the others have their turn
                lacking = None
            if owner is None or lacking is None:
                continue
            key, value = lacking.keys[0]
            written = key_as_written(self._state.workloads, workload, key, value)
            subject, text = self._subject(owner), lacking.text(written)
            about = subject.uid
            if owner.replicas is None or subject.kind == "Job":
                # There may be very many that come and go, runners say: one of them is told for all.
                text = f"{text}; {alone(owner.kind)}"
                about = f"{owner.namespace}/{owner.kind}/{text}"
            if about in found:
                continue
            found[about] = text
            if self._found.get(about) == text and self._retelling.is_due(about, text):
                what = Regarding(subject.kind, subject.api_version, subject.namespace, subject.name, subject.uid)
                if self._recorder.emit(what, EventReason.POLICY_UNACHIEVABLE, "HoldOnDemand", text):
                    self._retelling.told(about, text)

    def _subject(self, owner: Owner) -> Owner:
        """The object that its owner reads of: the Jobs of a CronJob come and go, as do runners of a set of them."""
        above = self._state.workloads.owners.get(owner.owner.uid) if owner.owner is not None else None
        passing = owner.kind == "Job" or owner.replicas is None
        return above if passing and above is not None else owner
