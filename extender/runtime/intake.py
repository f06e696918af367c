"""What the watch delivers: into the state, and on to whoever waits for it."""

import time
from collections.abc import Callable, Sequence

from extender.core.model.objects import Owner, OwnerRef, Pod, PodId
from extender.core.policy.workloads import NEVER_MANAGED
from extender.core.state.events import Event, Gone, Unavailable, Upsert
from extender.core.state.outbox import Wake
from extender.core.state.state import ClusterState
from extender.kube.waker import Waker
from extender.runtime.policies import PolicyReports
from extender.servers.owners import AwaitedOwners
from extender.telemetry.logs import logger


class Intake:
    """See the module. All of it happens on the event loop.

    Args:
        state: the cluster.
        ensure: has a kind of owners followed from now on.
        waker: makes the scheduler try pods again.
        policies: tells of policies that are wrong.
        gates: decisions that wait for owners.
    """

    def __init__(
        self,
        state: ClusterState,
        ensure: Callable[[OwnerRef], None],
        waker: Waker,
        policies: PolicyReports,
        gates: Sequence[AwaitedOwners],
    ) -> None:
        self._state = state
        self._ensure = ensure
        self._waker = waker
        self._policies = policies
        self._gates = gates
        self._log = logger()

    def take(self, event: Event) -> None:
        """Take in what happened."""
        self._state.apply(event, time.time())
        if isinstance(event, Upsert):
            thing = event.object
            if isinstance(thing, Pod):
                self._waker.seen(thing)
                self._meet(thing.owner)
            elif isinstance(thing, Owner):
                for gate in self._gates:
                    gate.arrived(thing.uid)
                self._meet(thing.owner)
        elif isinstance(event, Gone) and event.resource == "pods":
            self._waker.gone(event.uid)
        if self._state.outbox.effects:
            self._take_effects()

    def unavailable(self, group: str, kind: str, why: str) -> None:
        """Owners of a kind cannot be followed."""
        self._log.warning("owners of this kind cannot be watched", kind=kind, group=group, error=why)
        self._state.apply(Unavailable(group, kind), time.time())
        for gate in self._gates:
            gate.open()
        self._take_effects()

    def _meet(self, owner: OwnerRef | None) -> None:
        """Follow a kind from the first reference to it on, so that its objects are known when pods come."""
        if owner is not None and owner.kind not in NEVER_MANAGED:
            self._ensure(owner)

    def _take_effects(self) -> None:
        for effect in self._state.outbox.take_effects():
            if isinstance(effect, Wake):
                self._waker.wake(PodId(effect.namespace, effect.name, effect.pod))
            else:
                self._policies.changed(effect)
