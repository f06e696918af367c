"""Which Events have been told: a repetition belongs to the series of the first one, and no object is flooded.

Bounded, for 10,000 workloads and whatever pods they have: what was told longest ago is forgotten first, and at worst
told anew. An entry takes some 600 bytes, its key and the name of its Event included.
"""

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

# Silence (seconds) after which the same is news again.
WINDOW = 2400.0
# How often a state that lasts is told again (seconds): the API server forgets an Event an hour after its last change.
RETELL = 1800.0
# Events remembered.
LIMIT = 30_000
POD_LIMIT = 10_000
# Further Events of one object and type at once, and how long one more takes (seconds); client-go has 25 and 300.
BURST = 50
REFILL = 60.0

Key = tuple[str, str, int]
"""The UID of the object, the reason, and a hash of what else makes it the same: many notes would take much memory."""


class Occurrence(Struct, eq=False, gc=False):
    """One Event and its repetitions.

    `path` is where the Event is; `last` is when it was told the last time (seconds of the clock); `posted` says that
    the API server has it.
    """

    path: str
    last: float
    count: int = 1
    posted: bool = False


class Occurrences:
    """The Events told so far, with their series.

    Args:
        clock: seconds.
        limit: most entries.
    """

    def __init__(self, clock: Callable[[], float], limit: int = LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._known: OrderedDict[Key, Occurrence] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Key) -> Occurrence | None:
        """What is remembered under a key."""
        return self._known.get(key)

    def repeated(self, key: Key) -> bool:
        """Count a repetition if this is one."""
        found = self._known.get(key)
        now = self._clock()
        if found is None or now - found.last >= WINDOW:
            return False
        found.count += 1
        found.last = now
        self._known.move_to_end(key)
        return True

    def add(self, key: Key, path: str) -> None:
        """Remember a first one."""
        now = self._clock()
        # Oldest first: a key that is told anew goes to the end.
        self._known.pop(key, None)
        self._known[key] = Occurrence(path, now)
        while len(self._known) > self._limit or now - next(iter(self._known.values())).last >= WINDOW:
            self._known.popitem(last=False)

    def forget(self, key: Key) -> None:
        """It is news when it comes up again."""
        self._known.pop(key, None)


class EventAllowances:
    """How many Events each object may have: `BURST` at once, then one each `REFILL` seconds.

    Args:
        clock: seconds.
        limit: most objects remembered; one that is forgotten may have a burst again.
    """

    def __init__(self, clock: Callable[[], float], limit: int = LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        # When each will have its full burst again.
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, uid: str, type_: str) -> bool:
        """Take one for an Event of a type on an object: what is told of each move leaves warnings their own."""
        now = self._clock()
        key = (uid, type_)
        full_at = max(now, self._full_at.get(key, now)) + REFILL
        if full_at - now > BURST * REFILL:
            return False
        self._full_at.pop(key, None)
        self._full_at[key] = full_at
        while len(self._full_at) > self._limit or next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
        return True
