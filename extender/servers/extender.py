"""The scheduler extender: bytes in, decision, bytes out."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from extender.core.model.errors import WireError
from extender.core.model.reasons import Reason
from extender.core.placement.controller import PlacementController, Preference
from extender.core.placement.decide import Decision, PodView
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.workload import Workload
from extender.wire.extender_v1 import ExtenderArgs, decode_args, decode_front, encode_error, encode_scores


class Owners(Protocol):
    """Waits for owners the watch has not delivered yet."""

    async def arrival(self, missing: Missing) -> bool:
        """Return true when the state may know the owner now, false when it is not worth waiting any longer."""
        ...


class DecisionObserver(Protocol):
    """Is told what was decided, to log and count it."""

    def decided(self, pod: PodView, decision: Decision) -> None:
        """A decision of filter was made and applied to the state."""
        ...

    def scored(self, pod: PodView, preference: Preference) -> None:
        """Prioritize preferred a class, or none."""
        ...

    def refused(self, verb: str, pod: PodView, reason: Reason) -> None:
        """Nothing may be decided now."""
        ...

    def broke(self, pod: PodView, workload: Workload, error: Exception) -> None:
        """A decision met a fault of our own."""
        ...

    def failed(self, verb: str, text: str) -> None:
        """A request could not be answered as asked."""
        ...


class Extender:
    """Answers filter and prioritize from the cluster state. One decision is made at a time, without an await in it.

    Args:
        placement: decides, from a cluster state that others keep current.
        owners: see `Owners`.
        observer: see `DecisionObserver`.
        obstacle: why no decision on a managed pod may be made now (NOT_SYNCED, NOT_LEADER, TAKING_OVER), or None.
        clock: seconds since the epoch, as the state is given them.
        blind: whether what is known of an owner, or of the cluster, may not be how it is now.
        early: waits for a pod, by UID, that the watch has not delivered yet; true when it may have by now.
    """

    def __init__(
        self,
        placement: PlacementController,
        owners: Owners,
        observer: DecisionObserver,
        obstacle: Callable[[], Reason | None],
        clock: Callable[[], float],
        *,
        blind: Callable[[Managed | Missing], bool] = lambda _owner: False,
        early: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._placement = placement
        self._owners = owners
        self._observer = observer
        self._obstacle = obstacle
        self._blind = blind
        self._clock = clock
        self._early = early

    async def passes(self, verb: str, begun: bytes | bytearray) -> int:
        """Where the part of a request begins that is to pass as it is, because its pod is not managed; else 0.

        Args:
            verb: filter or prioritize.
            begun: the first part of the request, which should hold the pod.

        Raises:
            WireError: it does not decode, or it cannot be told now whose the pod is.
        """
        asked, rest = decode_front(begun)
        if asked is None:
            return 0
        if self._unknown(asked):
            raise WireError(Reason.NOT_SYNCED.text)
        pod, owner = await self._resolve(asked)
        if owner is not None:
            return 0
        if verb == "filter":
            self._observer.decided(pod, Decision(Reason.UNMANAGED))
        else:
            self._observer.scored(pod, Preference(Reason.UNMANAGED))
        return rest

    def _unknown(self, pod: PodView) -> bool:
        """Whether the pod may be managed, and too little of the cluster is known to tell."""
        if self._obstacle() is not Reason.NOT_SYNCED:
            return False
        return self._placement.state.workloads.may_manage(pod.namespace, pod.owner)

    async def filter(self, body: bytes | bytearray) -> bytes:
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
        if self._unknown(args.pod):
            return self._refuse(args.pod, Reason.NOT_SYNCED)
        pod, owner = await self._resolve(args.pod)
        # Whoever follows the cluster can tell that a pod is not managed; asked last, for the wait may have been long.
        obstacle = self._obstacle() if owner is not None else None
        if owner is not None and obstacle is None and self._blind(owner):
            obstacle = Reason.NOT_WATCHED
        if obstacle is not None:
            return self._refuse(pod, obstacle)
        if owner is None:
            self._observer.decided(pod, Decision(Reason.UNMANAGED))
            return args.all_pass()
        try:
            decision = self._placement.filter(pod, owner, args.offered(), self._clock())
        except Exception as error:
            self._broke(pod, owner, error)
            raise
        self._observer.decided(pod, decision)
        if decision.nodes is None:
            return args.all_pass()
        return args.some_pass(decision.nodes) if decision.nodes else args.none_pass(decision.reason.text)

    def _refuse(self, pod: PodView, obstacle: Reason) -> bytes:
        self._observer.refused("filter", pod, obstacle)
        return self.filter_error(obstacle.text)

    async def prioritize(self, body: bytes | bytearray) -> bytes:
        """Answer a prioritize request; its answer has no place for an error, so a failure prefers no node."""
        try:
            args = decode_args(body)
            try:
                return self._prioritize(args)
            except Exception as error:
                self._broke(args.pod, self._placement.owner(args.pod), error)
                raise
        except WireError as error:
            return self.prioritize_error(str(error))

    def _prioritize(self, args: ExtenderArgs) -> bytes:
        pod = self._checked(args.pod)
        preference = self._placement.preference(pod)
        obstacle = self._obstacle() if preference.capacity_class else None
        if obstacle is not None:
            self._observer.refused("prioritize", pod, obstacle)
            return b"[]"
        self._observer.scored(pod, preference)
        if not preference.capacity_class:
            return b"[]"
        return encode_scores(self._placement.scores(preference, args.offered(), self._clock()))

    def prioritize_error(self, text: str) -> bytes:
        """Report a failure of prioritize."""
        self._observer.failed("prioritize", text)
        return b"[]"

    def _broke(self, pod: PodView, owner: Managed | Missing | None, error: Exception) -> None:
        """Tell of a fault; whoever serves requests answers it, and goes on with the next."""
        if isinstance(owner, Managed) and not isinstance(error, WireError):
            self._observer.broke(pod, owner.workload, error)

    async def _resolve(self, asked: PodView) -> tuple[PodView, Managed | Missing | None]:
        while True:
            pod = self._checked(asked)
            if self._early is not None and self._placement.is_early(pod) and await self._early(pod.uid):
                continue
            owner = self._placement.owner(pod)
            if not isinstance(owner, Missing):
                return pod, owner
            if not await self._owners.arrival(owner):
                # It may have become known in another way than by its own event.
                return pod, self._placement.owner(pod)

    def _checked(self, pod: PodView) -> PodView:
        checked = self._placement.checked(pod)
        if checked is None:
            raise WireError("spotmix: the cluster has a pod of this uid under another name; did a scheduler ask this?")
        return checked
