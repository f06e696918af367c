"""How long one step of work holds up all others, and with them the scheduler's requests."""

from collections import deque

from extender.kube.seams import Report, Timing

BEAT = 0.05
"""How often is looked whether the event loop comes round in time (seconds)."""

WINDOW = 60.0
"""How far back the longest step is looked for (seconds): no scrape misses it."""

TOO_LONG = 1.0
"""A step that took longer is reported (seconds)."""


class Pulse:
    """Notes how late the event loop comes to what it should have done: for so long it was held up, less a beat.

    Args:
        report: told of a step that took too long.
        timing: where time comes from.
    """

    def __init__(self, report: Report, *, timing: Timing | None = None) -> None:
        self._report = report
        self._timing = timing or Timing()
        # The longest steps, each longer than all later ones: the first is the longest of the window.
        self._longest: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            began = self._timing.clock()
            await self._timing.sleep(BEAT)
            now = self._timing.clock()
            self._note(now, max(0.0, now - began - BEAT))

    def longest(self) -> float:
        """The longest step within the window, in seconds."""
        self._forget(self._timing.clock())
        return self._longest[0][1] if self._longest else 0.0

    def _note(self, now: float, step: float) -> None:
        if step > TOO_LONG:
            self._report("event loop", f"a step of work held up all others for {step:.1f} s")
        self._forget(now)
        while self._longest and self._longest[-1][1] <= step:
            self._longest.pop()
        self._longest.append((now, step))

    def _forget(self, now: float) -> None:
        while self._longest and now - self._longest[0][0] > WINDOW:
            self._longest.popleft()
