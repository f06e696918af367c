"""Back-off and rate: what every loop against the API needs so as not to hammer it."""

from collections.abc import Callable

from msgspec import Struct

from extender.kube.seams import Timing

# Never wait longer than this (seconds) because a server says so: it may be wrong about its own recovery.
MAX_RETRY_AFTER = 120.0
# Who is away is tried at least this often (seconds): until it is back nothing can be decided.
AWAY_CAP = 2.0


class Backoff:
    """Exponential back-off with full jitter: the n-th delay is uniform in [0, min(cap, base * 2^n)] seconds.

    Full jitter is what spreads a thousand clients best after an outage
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    __slots__ = ("_attempt", "_base", "_cap", "_uniform")

    def __init__(self, uniform: Callable[[float, float], float], base: float = 0.1, cap: float = 10.0) -> None:
        self._uniform = uniform
        self._base = base
        self._cap = cap
        self._attempt = 0

    def next(self, retry_after: float | None = None) -> float:
        """Seconds to wait before the next attempt; never less than the server asked for."""
        ceiling = min(self._cap, self._base * 2.0 ** min(self._attempt, 30))
        self._attempt += 1
        delay = self._uniform(0.0, ceiling)
        return delay if retry_after is None else min(retry_after, MAX_RETRY_AFTER) + delay

    def reset(self) -> None:
        """Start again from the base: the last attempt was a success."""
        self._attempt = 0


class RetryPace:
    """How soon a server is tried again: ever later, but often while it is away, and soon once it answers again."""

    __slots__ = ("_answering", "_away", "_was_away")

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._answering = Backoff(uniform)
        self._away = Backoff(uniform, cap=AWAY_CAP)
        self._was_away = False

    def next(self, retry_after: float | None, *, away: bool) -> float:
        """Seconds to wait before the next attempt; `away` when the last one got no answer."""
        if self._was_away and not away:
            self._answering.reset()
        self._was_away = away
        return (self._away if away else self._answering).next(retry_after)

    def reset(self) -> None:
        """The last attempt was a success."""
        self._answering.reset()
        self._away.reset()


class Limits(Struct, frozen=True):
    """How much is sent: `rate` per second over time, `burst` at once; `waiting` is how much may wait for its turn."""

    rate: float
    burst: int
    waiting: int


class TokenBucket:
    """At most `burst` actions at once and `rate` per second over time."""

    __slots__ = ("_burst", "_filled", "_rate", "_timing", "_tokens")

    def __init__(self, rate: float, burst: int, timing: Timing) -> None:
        self._rate = rate
        self._burst = burst
        self._timing = timing
        self._tokens = float(burst)
        self._filled = timing.clock()

    def allow(self, rate: float, burst: int) -> None:
        """Be as fast as this from now on; who waits already waits as long as was said."""
        self._fill()
        self._rate, self._burst = rate, burst

    def _fill(self) -> None:
        now = self._timing.clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now

    async def take(self) -> None:
        """Take a token, waiting for it; waiters are served in the order they came."""
        self._fill()
        # A debt is booked before the wait, so that whoever comes meanwhile queues up behind it.
        self._tokens -= 1
        if self._tokens < 0:
            await self._timing.sleep(-self._tokens / self._rate)


def is_transient(status: int) -> bool:
    """Whether the same request may succeed later: no answer, throttled, or the server's own trouble."""
    return status in {0, 408, 429} or status >= 500
