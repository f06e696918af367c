"""Replaces pods whose class does not come, and tells of it, and of the stand-ins that are decided for that."""

import asyncio
import time
from collections.abc import Callable

from extender.core.model.errors import ApiError, WireError
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import Object, Pod
from extender.core.placement.gates import Release
from extender.core.placement.pending import Outcome, PendingController, Replace, is_as_judged
from extender.kube.deletion import Deleter
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import KubeApi, Report
from extender.runtime.drive import Drive
from extender.telemetry.metrics import Metrics

_CHANGED = frozenset({404, 409})


class PendingPods:
    """Carries out what a `PendingController` says.

    Args:
        controller: says which pods are to be replaced.
        client: reads and deletes them.
        read_pod: decodes a pod; raises `WireError`.
        recorder: posts Events.
        metrics: counts.
        decides: whether this replica decides now; asked right before a pod is deleted.
        report: told of whatever goes wrong.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        controller: PendingController,
        client: KubeApi,
        read_pod: Callable[[bytes], Object],
        recorder: EventRecorder,
        metrics: Metrics,
        decides: Callable[[], bool],
        report: Report,
    ) -> None:
        self._controller, self._deleter, self._read_pod = controller, Deleter(client), read_pod
        self._recorder, self._metrics = recorder, metrics
        self._decides, self._report = decides, report
        self._drive = Drive("pending pods", controller, self._start, report)
        self._tasks: set[asyncio.Task[None]] = set()

    def hasten(self) -> None:
        """Something happened."""
        self._drive.hasten()

    async def run(self) -> None:
        """Replace pods, from a synced state, until cancelled."""
        self._controller.take_over(time.time())
        try:
            await self._drive.run()
        finally:
            for task in self._tasks:
                task.cancel()

    def _start(self, action: Replace) -> None:
        task = asyncio.create_task(self._replace(action), name="replace a pod")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self, action: Replace) -> None:
        outcome: Outcome = "failed"
        try:
            outcome = await self._attempt(action)
        except (ApiError, WireError) as error:
            changed = isinstance(error, ApiError) and error.status in _CHANGED
            outcome = "changed" if changed else "failed"
            if not changed:
                self._report("patches", f"pod {action.pod.namespace}/{action.pod.name} is not replaced: {error}")
        finally:
            self._controller.done(action, outcome, time.time())
            self.hasten()
        if outcome == "replaced":
            self._metrics.replaced(action.capacity_class, action.why)
            self._tell(action)

    async def _attempt(self, action: Replace) -> Outcome:
        body = await self._deleter.read(action.pod)
        seen = self._read_pod(body)
        if not isinstance(seen, Pod) or not is_as_judged(seen, action) or not self._decides():
            return "changed"
        await self._deleter.delete(action.pod, body)
        return "replaced"

    def _tell(self, action: Replace) -> None:
        wanted, rule = action.capacity_class, self._controller.rule_of(action.workload)
        text = (
            f"waited for a {wanted} node in vain ({action.text}); its replacement may go to {action.stand_in} ({rule})"
        )
        on_pod, on_workload = Regarding.pod(action.pod), Regarding.of(action.workload)
        reason = EventReason.CLASS_UNAVAILABLE
        self._recorder.emit(on_workload, reason, "Replace", f"A pod {text}", same="", related=on_pod)
        self._recorder.emit(on_pod, reason, "Replace", f"It {text}", same="", related=on_workload)

    def released(self, release: Release) -> None:
        """A pod is let go to a class that stands in for its own."""
        if release.workload is None or not release.why:
            return
        wanted, given = release.wanted, release.capacity_class
        why = f"as no {wanted} node can be had ({release.why})"
        rule = self._controller.rule_of(release.workload)
        on_pod, on_workload = Regarding.pod(release.pod), Regarding.of(release.workload)
        of_all = f"Pods that were to go to {wanted} go to {given}, {why} ({rule})"
        of_one = f"It was to go to {wanted} and goes to {given}, {why} ({rule})"
        reason = EventReason.FALLBACK_TAKEN
        self._recorder.emit(on_workload, reason, "StandIn", of_all, same="", related=on_pod)
        self._recorder.emit(on_pod, reason, "StandIn", of_one, same="", related=on_workload)
