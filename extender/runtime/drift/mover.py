"""Makes one move: looks at the pod once more, remembers the move, and asks the API server to evict the pod.

Whether this replica still decides is asked before each request, and last of all right before the eviction is sent.
"""

from collections.abc import Awaitable, Callable, Mapping

from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.moves import Move
from extender.core.model.errors import ApiError, WireError
from extender.core.model.objects import Object, Pod
from extender.core.model.reasons import Reason
from extender.core.policy.workload import Workload
from extender.kube.eviction import Evictor
from extender.kube.seams import KubeApi
from extender.wire.drift_v1 import grace_period

Commit = Callable[[float], Awaitable[None]]
"""Takes the pod's grace period (seconds); remembers the move. Raises `ApiError` or `WireError` when it cannot."""


class Mover:
    """See the module.

    Args:
        api: the API client.
        evictor: sends evictions.
        read_pod: makes a pod of an answer's body; raises `WireError`.
        workloads: those that are managed, by UID.
        interrupted: whether the node of a pod (UID) is about to be taken away.
        decides: whether this replica decides now.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        api: KubeApi,
        evictor: Evictor,
        read_pod: Callable[[bytes], Object],
        workloads: Mapping[str, Workload],
        interrupted: Callable[[str], bool],
        decides: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._workloads = workloads
        self._interrupted = interrupted
        self._evictor = evictor
        self._read_pod = read_pod
        self._decides = decides
        self._clock = clock

    async def attempt(self, move: Move, commit: Commit | None = None, *, dry: bool = False) -> Outcome:
        """Try to make a move; never raises `ApiError` or `WireError`.

        Args:
            move: as planned.
            commit: called when all is well with the pod, before its eviction is sent.
            dry: have the API server check the eviction, and change nothing.
        """
        if not self._decides():
            return Outcome(Answer.DROPPED, sent=False)
        try:
            body = await self._api.request("GET", f"/api/v1/namespaces/{move.pod.namespace}/pods/{move.pod.name}")
            pod, grace = self._read_pod(body), grace_period(body)
        except ApiError as error:
            return _failed(error, Answer.GONE if error.status == 404 else Answer.FAILED)
        except WireError as error:
            return _failed(error)
        fault = self._fault_of(move, pod) or self._fault_with(move, pod, dry=dry)
        if fault:
            return Outcome(Answer.CHANGED, text=f"Pod {move.pod.namespace}/{move.pod.name} {fault}", sent=False)
        if commit is not None:
            try:
                await commit(grace)
            except ApiError as error:
                return _failed(error)
            except WireError as error:
                return _failed(error)
        if not self._decides():
            return Outcome(Answer.DROPPED, sent=False)
        return await self._evictor.evict(move.pod, dry_run=dry)

    def _fault_of(self, move: Move, pod: Object) -> str:
        """Why the pod is not to be evicted as it is now; empty when it is."""
        if not isinstance(pod, Pod):
            return "is no pod"
        if pod.uid != move.pod.uid:
            return "was made anew"
        if pod.terminating or pod.ended:
            return "ends already"
        if pod.node != move.node:
            return f"is on node {pod.node!r}, not {move.node!r}"
        if move.reason is Reason.INTERRUPTED and not self._interrupted(pod.uid):
            return f"is on node {pod.node!r}, which is not about to be taken away any more, or drained by somebody else"
        if pod.pending:
            return "is not running yet"
        protection = pod.protection
        if protection is not None and protection.holds(self._clock()):
            return f"may not be moved: {protection.key}={protection.value}"
        return ""

    def _fault_with(self, move: Move, pod: Object, *, dry: bool) -> str:
        """Why its workload does not let it be evicted any more; empty when it does."""
        workload = self._workloads.get(move.workload.uid)
        if workload is None:
            return "is not managed any more"
        if workload.policy.mode != "enforce" and not dry:
            return "is of a workload in audit mode"
        opt_out = workload.opt_out
        if opt_out is not None and isinstance(pod, Pod):
            protection = opt_out.of_pod(pod.created)
            if protection.holds(self._clock()):
                return f"may not be moved: its workload has {protection.key}={protection.value}"
        return ""


def _failed(error: ApiError | WireError, answer: Answer = Answer.FAILED) -> Outcome:
    """Nothing was sent, as something that comes before it failed."""
    status, retry_after = (error.status, error.retry_after) if isinstance(error, ApiError) else (0, None)
    return Outcome(answer, status, str(error), retry_after, sent=False)
