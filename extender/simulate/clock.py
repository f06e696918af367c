"""Virtual time: calls in the order of their time, those of the same time in the order in which they were planned."""

import heapq
from collections.abc import Callable

from msgspec import Struct

Call = Callable[[], None]


class Timer(Struct, eq=False):
    """A planned call; `call` is None once it was made or cancelled."""

    call: Call | None

    def cancel(self) -> None:
        """Do not make the call."""
        self.call = None

    @property
    def pending(self) -> bool:
        """Whether the call is still to be made."""
        return self.call is not None


class Clock:
    """Makes planned calls in the order of their time.

    Args:
        start: when it begins (seconds since the epoch).

    Attributes:
        now: the virtual time, in seconds since the epoch.
        calls: how many calls were made.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self.calls = 0
        self._heap: list[tuple[float, int, Timer]] = []
        self._planned = 0

    def at(self, when: float, call: Call) -> Timer:
        """Plan a call for a time; one that is past means now."""
        timer = Timer(call)
        heapq.heappush(self._heap, (max(when, self.now), self._planned, timer))
        self._planned += 1
        return timer

    def after(self, delay: float, call: Call) -> Timer:
        """Plan a call for `delay` seconds from now."""
        return self.at(self.now + delay, call)

    def run(self, until: float) -> None:
        """Make every call up to and including `until`, and let it be `until` then."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            when, _, timer = heapq.heappop(heap)
            call, timer.call = timer.call, None
            if call is not None:
                self.now = when
                self.calls += 1
                call()
        self.now = max(self.now, until)


class Worker:
    """Handles keys, each once however often it was asked for meanwhile, `latency` seconds after the first ask."""

    def __init__(self, clock: Clock, latency: float, handle: Callable[[str], None]) -> None:
        self._clock = clock
        self._latency = latency
        self._handle = handle
        self._asked: set[str] = set()

    def ask(self, key: str, delay: float = 0.0) -> None:
        """Have a key handled, `delay` seconds later than usual."""
        if delay:
            self._clock.after(delay, lambda: self.ask(key))
        elif key not in self._asked:
            self._asked.add(key)
            self._clock.after(self._latency, lambda: self._run(key))

    def _run(self, key: str) -> None:
        self._asked.discard(key)
        self._handle(key)
