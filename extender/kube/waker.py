"""Makes the scheduler try a rejected pod again: it does not see what changes inside an extender.

Three ways in: a pod may fall back from a moment on (`wake_at`), something about its workload changed (`Wake`), or a
node was chosen for it that the scheduler's sample missed (`node`). The last is written to `status.nominatedNodeName`
after the scheduler has written PodScheduled=False, since that write clears the field.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from extender.core.model.objects import Pod, PodId
from extender.core.state.waiting import Waiting
from extender.kube.queue import PatchQueue

# How long PodScheduled=False is waited for: the scheduler leaves the write out when nothing changed (seconds).
UNWRITTEN = 1.0
UNCHANGED = 0.25
# Timers fire early by a rounding error at times; a wake before its time would be in vain (seconds).
MARGIN = 0.02


class Waker:
    """See the module. Lives on the event loop.

    Args:
        queue: sends the patches.
        annotation: key of the annotation that wakes a pod.
        counted: is told how a pod was woken: `annotate` or `nominate`.
        clock: seconds since the epoch, the clock of the decisions.

    Attributes:
        unscheduled: the pods that the scheduler has given up for now, by UID.
    """

    def __init__(
        self, queue: PatchQueue, annotation: str, counted: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._annotation = annotation
        self._counted = counted
        self._clock = clock
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._nominees: dict[str, tuple[PodId, str]] = {}
        self.unscheduled: dict[str, PodId] = {}

    def rejected(self, waiting: Waiting, *, written: bool) -> None:
        """A pod was rejected; `written` says that PodScheduled=False is on it already."""
        pod = PodId(waiting.namespace, waiting.name, waiting.pod)
        self.forget(pod.uid)
        if waiting.node:
            self._nominees[pod.uid] = (pod, waiting.node)
            self._later(pod.uid, UNCHANGED if written else UNWRITTEN, lambda: self._nominate(pod.uid))
        elif waiting.wake_at:
            self._later(pod.uid, waiting.wake_at - self._clock() + MARGIN, lambda: self.wake(pod))

    def gone(self, uid: str) -> None:
        """A pod was deleted."""
        self.unscheduled.pop(uid, None)
        self.forget(uid)

    def forget(self, uid: str) -> None:
        """A pod was passed."""
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()
        self._nominees.pop(uid, None)

    def seen(self, pod: Pod) -> None:
        """The watch delivered a pod."""
        if pod.unscheduled and not (pod.node or pod.terminating or pod.ended):
            self.unscheduled[pod.uid] = PodId(pod.namespace, pod.name, pod.uid)
        else:
            self.unscheduled.pop(pod.uid, None)
        if pod.uid in self._timers:
            if pod.node or pod.terminating or pod.ended:
                self.forget(pod.uid)
            elif pod.unscheduled and pod.uid in self._nominees:
                self._nominate(pod.uid)

    def wake(self, pod: PodId) -> None:
        """Have the scheduler try a pod again."""
        self.forget(pod.uid)
        stamp = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        if self._queue.annotate(pod, {self._annotation: stamp}):
            self._counted("annotate")

    def stop(self) -> None:
        """Cancel what is to come."""
        for uid in list(self._timers):
            self.forget(uid)

    def _later(self, uid: str, delay: float, call: Callable[[], None]) -> None:
        self._timers[uid] = asyncio.get_running_loop().call_later(max(0.0, delay), call)

    def _nominate(self, uid: str) -> None:
        nominee = self._nominees.get(uid)
        self.forget(uid)
        if nominee is not None and self._queue.nominate(*nominee):
            self._counted("nominate")
