"""What the watch delivers: into the state, and on to whoever acts on it."""

from collections.abc import Callable, Sequence

from extender.core.model.objects import Owner, OwnerRef, Pod
from extender.core.policy.owners import NEVER_MANAGED
from extender.core.state.events import Event, Upsert
from extender.core.state.outbox import Effect
from extender.core.state.state import ClusterState

EventObserver = Callable[[Event, float], None]
"""Is told of each event once the state knows it, with the time (seconds)."""

EffectObserver = Callable[[Effect, float], None]
"""Is told of what follows from events, with the time (seconds)."""

_OWNED = (Pod, Owner)


class Intake:
    """Takes events into the state and tells observers of them.

    Args:
        state: the cluster.
        events: are told of events, in this order.
        effects: are told of effects after that, in this order.
    """

    def __init__(
        self, state: ClusterState, events: Sequence[EventObserver], effects: Sequence[EffectObserver] = ()
    ) -> None:
        self._state = state
        self._events = events
        self._effects = effects

    def take(self, event: Event, now: float) -> None:
        """Take in what happened; `now` as of `ClusterState.apply`."""
        self._state.apply(event, now)
        for observe in self._events:
            observe(event, now)
        if self._state.outbox.effects:
            for effect in self._state.outbox.take_effects():
                for tell in self._effects:
                    tell(effect, now)


def owner_met(event: Event) -> OwnerRef | None:
    """The owner that a pod or another owner names, unless its kind is never managed.

    Its kind is to be followed from then on, so that its objects are known when pods come.
    """
    if isinstance(event, Upsert) and isinstance(event.object, _OWNED):
        owner = event.object.owner
        if owner is not None and owner.kind not in NEVER_MANAGED:
            return owner
    return None
