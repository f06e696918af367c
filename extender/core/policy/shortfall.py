"""Whether a workload can have a spot replica at its size at all, when its owner asks for a share of them.

All that tells of it (the Event, the answer to `kubectl apply`, the pages and commands) says it in these words.
"""

from msgspec import Struct

from extender.core.model.classes import SPOT
from extender.core.policy.policy import Policy
from extender.core.policy.seats import TwoClassSeats


class Shortfall(Struct, frozen=True, gc=False):
    """Why a policy that asks for spot gives no spot replica at a size.

    `keys` are what does it together, with their values, the first to blame first; `first` is the size from which on
    there is a spot replica, None when there is none at any.
    """

    keys: tuple[tuple[str, int], ...]
    first: int | None

    def of(self, key: str) -> str:
        """What is wrong, as said of one of the keys."""
        others = [f"{name}={value}" for name, value in self.keys if name != key]
        beside = f"with {' and '.join(others)} " if others else ""
        size = f"below {self.first} replicas" if self.first is not None else "at any size"
        return f"{beside}gives no spot replica {size}"

    @property
    def consequence(self) -> str:
        """What that means, and what to do."""
        if self.first is None:
            return "all are on-demand: raise max-spot, or remove spot-percentage"
        return "all are on-demand until then"

    def text(self, written: str) -> str:
        """One line, the same at every size at which it holds; `written` is the first key with its value, as written."""
        return f"{written} {self.of(self.keys[0][0])}; {self.consequence}"


def alone(kind: str) -> str:
    """What to do where each object of a kind has so few pods, and there are many of them."""
    return f"each {kind} is counted alone: annotate those that may be on spot with spot-percentage 100"


def shortfall(policy: Policy, replicas: int | None) -> Shortfall | None:
    """Why a policy that asks for spot gives no spot replica at this size; None when it does, or asks for none.

    Told of the split that annotations say; there is no key to blame for one of more classes, nor is there a size at
    which a workload gets spot that is counted with others.

    Without a size, or at 0, that is told which holds at every size.
    """
    seats = policy.seats
    if (
        policy.fleet is not None
        or not isinstance(seats, TwoClassSeats)
        or not seats.percentage
        or (replicas and seats.spot(replicas))
    ):
        return None
    first = seats.seat_of(SPOT, 1)
    share = ("spot-percentage", seats.percentage)
    if first is None:
        return Shortfall((("max-spot", 0), share), None)
    if not replicas:
        return None
    taken = tuple((key, n) for key, n in (("min-on-demand", seats.floor), ("on-demand-base", seats.base)) if n)
    return Shortfall((share, *taken), first)
