"""The scheduler extender: bytes in, decision, bytes out."""

from collections.abc import Callable
from typing import Protocol

from extender.core.model.errors import WireError
from extender.core.model.reasons import Reason
from extender.core.placement.decide import Decision, PodView, decide, wanted_class
from extender.core.placement.score import relative_scores, score_nodes
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Managed, Missing
from extender.core.state.state import ClusterState
from extender.wire.extender_v1 import ExtenderArgs, decode_args, encode_error, encode_scores


class Owners(Protocol):
    """Waits for owners the watch has not delivered yet."""

    async def arrival(self, missing: Missing) -> bool:
        """Return true when the state may know the owner now, false when it is not worth waiting any longer."""
        ...


class Observer(Protocol):
    """Is told what was decided, to log, count, wake and nominate."""

    def decided(self, pod: PodView, decision: Decision) -> None:
        """A decision of filter was made and applied to the state."""
        ...

    def scored(self, pod: PodView, workload: Workload | None, reason: Reason, capacity_class: str) -> None:
        """Prioritize preferred a class; none (empty) where it prefers no node."""
        ...

    def refused(self, verb: str, pod: PodView, reason: Reason) -> None:
        """Nothing may be decided now."""
        ...

    def failed(self, verb: str, text: str) -> None:
        """A request could not be answered as asked."""
        ...


class Extender:
    """Answers filter and prioritize from the cluster state. One decision is made at a time, without an await in it.

    Args:
        state: the cluster state, kept current by others.
        owners: see `Owners`.
        observer: see `Observer`.
        obstacle: why no decision on a managed pod may be made now (NOT_SYNCED, NOT_LEADER, TAKING_OVER), or None.
        clock: seconds since the epoch, as `state.apply` is given them.
        limit: most nodes that pass filter for a managed pod; 0 passes all of the class.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        state: ClusterState,
        owners: Owners,
        observer: Observer,
        obstacle: Callable[[], Reason | None],
        clock: Callable[[], float],
        limit: int,
    ) -> None:
        self._state = state
        self._owners = owners
        self._observer = observer
        self._obstacle = obstacle
        self._clock = clock
        self._limit = limit

    async def filter(self, body: bytes) -> bytes:
        """Answer a filter request; a failure is an answer with `Error`."""
        try:
            args = decode_args(body)
            return await self._filter(args)
        except WireError as error:
            return self.filter_error(str(error))

    def filter_error(self, text: str) -> bytes:
        """Report a failure of filter."""
        self._observer.failed("filter", text)
        return encode_error(text)

    async def _filter(self, args: ExtenderArgs) -> bytes:
        pod, state = args.pod, self._state
        if state.workloads.may_manage(pod.namespace, pod.owner) and self._obstacle() is Reason.NOT_SYNCED:
            return self._refuse(pod, Reason.NOT_SYNCED)
        owner = await self._resolve(pod)
        # Whoever follows the cluster can tell that a pod is not managed; asked last, for the wait may have been long.
        obstacle = self._obstacle() if owner is not None else None
        if obstacle is not None:
            return self._refuse(pod, obstacle)
        if owner is None:
            self._observer.decided(pod, Decision(Reason.UNMANAGED))
            return args.all_pass()
        now = self._clock()
        decision = decide(state, pod, owner, args.offered(), now, self._limit)
        for event in decision.events:
            state.apply(event, now)
        self._observer.decided(pod, decision)
        if decision.nodes is None:
            return args.all_pass()
        return args.some_pass(decision.nodes) if decision.nodes else args.none_pass(decision.reason.text)

    def _refuse(self, pod: PodView, obstacle: Reason) -> bytes:
        self._observer.refused("filter", pod, obstacle)
        return self.filter_error(obstacle.text)

    async def prioritize(self, body: bytes) -> bytes:
        """Answer a prioritize request; its answer has no place for an error, so a failure prefers no node."""
        try:
            args = decode_args(body)
            managed = self._state.workloads.resolve(args.pod.namespace, args.pod.owner)
            if not isinstance(managed, Managed):
                return self._no_scores(args.pod, None, Reason.UNMANAGED if managed is None else Reason.OWNER_UNKNOWN)
            if managed.workload.policy.mode == "audit":
                return self._no_scores(args.pod, managed.workload, Reason.AUDIT)
            obstacle = self._obstacle()
            if obstacle is not None:
                self._observer.refused("prioritize", args.pod, obstacle)
                return b"[]"
            return self._scores(args, managed)
        except WireError as error:
            return self.prioritize_error(str(error))

    def prioritize_error(self, text: str) -> bytes:
        """Report a failure of prioritize."""
        self._observer.failed("prioritize", text)
        return b"[]"

    def _no_scores(self, pod: PodView, workload: Workload | None, reason: Reason) -> bytes:
        self._observer.scored(pod, workload, reason, "")
        return b"[]"

    def _scores(self, args: ExtenderArgs, managed: Managed) -> bytes:
        state = self._state
        revision = state.revisions.get(managed.revision.uid)
        reservation = revision.reservations.get(args.pod.uid) if revision is not None else None
        if reservation is not None:
            wanted, reason = reservation.capacity_class, Reason.FALLBACK if reservation.stand_in else Reason.SEAT
        else:
            wanted, reason = wanted_class(state, managed, managed.workload.policy, args.pod)
        self._observer.scored(args.pod, managed.workload, reason, wanted)
        return encode_scores(relative_scores(score_nodes(state, revision, wanted, args.offered(), self._clock())))

    async def _resolve(self, pod: PodView) -> Managed | Missing | None:
        while True:
            owner = self._state.workloads.resolve(pod.namespace, pod.owner)
            if not isinstance(owner, Missing) or not await self._owners.arrival(owner):
                return owner
