"""What the watch delivers: into the state, and on to whoever acts on it."""

from collections.abc import Callable

from extender.core.model.objects import Owner, OwnerRef, Pod
from extender.core.policy.workloads import NEVER_MANAGED
from extender.core.state.events import Event, Upsert
from extender.core.state.outbox import Effect
from extender.core.state.state import ClusterState

Observer = Callable[[Event | Effect, float], None]
"""Is told of each event once the state knows it, then of what follows from it, with the time (seconds)."""


class Intake:
    """See the module.

    Args:
        state: the cluster.
        observers: are told in this order.
    """

    def __init__(self, state: ClusterState, *observers: Observer) -> None:
        self._state = state
        self._observers = observers

    def take(self, event: Event, now: float) -> None:
        """Take in what happened; `now` as of `ClusterState.apply`."""
        self._state.apply(event, now)
        for observe in self._observers:
            observe(event, now)
        if self._state.outbox.effects:
            for effect in self._state.outbox.take_effects():
                for observe in self._observers:
                    observe(effect, now)


def owner_met(event: Event | Effect) -> OwnerRef | None:
    """The owner that a pod or another owner names, unless its kind is never managed.

    Its kind is to be followed from then on, so that its objects are known when pods come.
    """
    if not isinstance(event, Upsert) or not isinstance(event.object, Pod | Owner):
        return None
    owner = event.object.owner
    return owner if owner is not None and owner.kind not in NEVER_MANAGED else None
