"""What the watch tells of owners: kinds of them are followed, and decisions that wait for one go on."""

from collections.abc import Callable, Sequence

from extender.core.model.objects import Owner, OwnerRef
from extender.core.state.events import Event, Unavailable, Upsert
from extender.core.state.intake import owner_met
from extender.servers.owners import AwaitedOwners


class OwnerNews:
    """Follows the kinds of owners that are met, and lets go on who waits for one. All of it happens on the event loop.

    Args:
        ensure: has a kind of owners followed from now on.
        gates: decisions that wait for owners.
    """

    def __init__(self, ensure: Callable[[OwnerRef], None], gates: Sequence[AwaitedOwners]) -> None:
        self._ensure = ensure
        self._gates = gates

    def observe(self, event: Event, _now: float) -> None:
        """Something was taken into the state."""
        met = owner_met(event)
        if met is not None:
            self._ensure(met)
        if isinstance(event, Upsert):
            if isinstance(event.object, Owner):
                for gate in self._gates:
                    gate.arrived(event.object.uid)
        elif isinstance(event, Unavailable):
            for gate in self._gates:
                gate.open()
