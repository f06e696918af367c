"""What every controller of the core looks like to whoever drives it.

A controller says what is to be done and when, and does nothing itself: it has no I/O, no clock and no tasks. The
asyncio driver of `runtime.drive` and the virtual one of `simulate.drive` drive the same controllers, so that a
simulated day runs the code that a service runs.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

Action = TypeVar("Action", covariant=True)  # noqa: PLC0105 - it reads better where it is used
NEVER = float("inf")
"""The time of what comes only after something else has happened (seconds since the epoch)."""


class Controller(Protocol[Action]):
    """Actions are values that say all a driver needs to carry them out.

    A controller has besides, with types of its own:

    * `observe(event, now)`, where it cannot see in the state what it cares about: something happened;
    * `done(action, result, now)`, where it goes on from there: what became of an action that `due` gave. Each action
      is answered once, also when it failed. Others may become due by it, at once or later.
    """

    def due(self, now: float) -> Sequence[Action]:
        """What is to be done now (seconds since the epoch). Each action is given once: it is under way from then on."""
        ...

    @property
    def next_at(self) -> float:
        """When `due` has to be asked again at the latest, if nothing happens before; NEVER where nothing is to come."""
        ...
