"""Makes one move: reads the pod once more, stores the move, and asks the API server to evict the pod.

Whether this replica still decides is asked before each request, and last of all right before the eviction is sent.
"""

from collections.abc import Awaitable, Callable

from extender.core.drift.actions import Evict
from extender.core.drift.eviction import Answer, Outcome
from extender.core.model.errors import ApiError, WireError
from extender.core.model.objects import Pod
from extender.kube.eviction import Evictor
from extender.kube.resources import PODS
from extender.runtime.drift.context import Context
from extender.wire.drift_v1 import grace_period
from extender.wire.unknown_v1 import with_unknown

Confirm = Callable[[Evict, Pod, float], str]
"""Takes the pod as it is now and its grace period (seconds); says why it is not to be evicted, if it is not."""


class Mover:
    """Makes moves, one request after another.

    Args:
        context: the API client, and whether this replica decides.
        confirm: has the last look at a pod.
        save: stores the history. Raises `ApiError` or `WireError` when it cannot.
    """

    def __init__(self, context: Context, confirm: Confirm, save: Callable[[], Awaitable[None]]) -> None:
        self._context = context
        self._evictor = Evictor(context.client)
        self._confirm = confirm
        self._save = save

    async def attempt(self, evict: Evict) -> Outcome:
        """Try to make a move; never raises `ApiError` or `WireError`."""
        pod, decides = evict.move.pod, self._context.decides
        name = f"{pod.namespace}/{pod.name}"
        if not decides():
            return Outcome(Answer.DROPPED, sent=False)
        try:
            body = await self._context.client.request("GET", PODS.path_in(pod.namespace, pod.name))
            found, grace = self._context.read_pod(body), grace_period(body)
            if isinstance(found, Pod):
                found = with_unknown(found, body)
        except (ApiError, WireError) as error:
            gone = isinstance(error, ApiError) and error.status == 404
            return _failed(error, Answer.GONE if gone else Answer.FAILED)
        fault = self._confirm(evict, found, grace) if isinstance(found, Pod) else "is no pod"
        if fault:
            return Outcome(Answer.CHANGED, text=f"Pod {name} {fault}", sent=False)
        if evict.recorded:
            try:
                await self._save()
            except (ApiError, WireError) as error:
                return _failed(error, Answer.FAILED)
        if not decides():
            return Outcome(Answer.DROPPED, sent=False)
        return await self._evictor.evict(pod, dry_run=evict.dry)


def _failed(error: ApiError | WireError, answer: Answer) -> Outcome:
    """Nothing was sent, as something that comes before it failed."""
    status, retry_after = (error.status, error.retry_after) if isinstance(error, ApiError) else (0, None)
    return Outcome(answer, status, str(error), retry_after, sent=False)
