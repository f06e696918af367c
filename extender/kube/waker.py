"""Writes on rejected pods what makes the scheduler try them again."""

from collections.abc import Callable
from datetime import UTC, datetime

from extender.core.placement.controller import Action, Annotate
from extender.kube.queue import PatchQueue


class Waker:
    """Puts the patches into the queue that wake pods.

    Args:
        queue: sends the patches.
        annotation: key of the annotation that wakes a pod.
        counted: is told how a pod was woken: `annotate` or `nominate`.
        clock: seconds since the epoch, the clock of the decisions.
    """

    def __init__(
        self, queue: PatchQueue, annotation: str, counted: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._annotation = annotation
        self._counted = counted
        self._clock = clock

    def perform(self, action: Action) -> None:
        """Hand a patch to the queue."""
        if isinstance(action, Annotate):
            stamp = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
            if self._queue.annotate(action.pod, {self._annotation: stamp}):
                self._counted("annotate")
        elif self._queue.nominate(action.pod, action.node):
            self._counted("nominate")
