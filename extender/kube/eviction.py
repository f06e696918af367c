"""The Eviction API: one POST for one pod, and what its answer means.

The API server answers 201 when the pod is being ended; 429 when a PodDisruptionBudget allows no disruption (with
Retry-After when the budget's status is not current, or the server is busy); 500 when several budgets select the pod;
404 and 409 when there is no such pod any more; 403 when a right or a sane budget is missing
(`pkg/registry/core/pod/storage/eviction.go` of Kubernetes 1.36). A pod is never deleted in another way.
"""

from typing import Protocol

from extender.core.drift.eviction import Answer, Outcome
from extender.core.model.errors import ApiError
from extender.kube.paths import api_path
from extender.kube.seams import KubeApi
from extender.wire.drift_v1 import eviction

_SEVERAL_BUDGETS = "more than one PodDisruptionBudget"


class Evictable(Protocol):
    """One pod, and no namesake of it; `PodId` is one."""

    @property
    def namespace(self) -> str:
        """Its namespace."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def uid(self) -> str:
        """Its UID: a precondition of the eviction."""
        ...


class Evictor:
    """Evicts pods with their own grace periods.

    Args:
        api: the API client.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def evict(self, pod: Evictable, *, dry_run: bool = False) -> Outcome:
        """Ask once; never raises `ApiError`.

        Args:
            pod: the pod.
            dry_run: have the API server check everything, budgets too, and change nothing.
        """
        try:
            await self._api.request(
                "POST",
                api_path("", "v1", "pods", namespace=pod.namespace, name=pod.name, subresource="eviction"),
                params={"dryRun": "All"} if dry_run else None,
                body=eviction(pod.namespace, pod.name, pod.uid),
            )
        except ApiError as error:
            return Outcome(classify(error), error.status, str(error), error.retry_after)
        return Outcome(Answer.EVICTED, 201)


def classify(error: ApiError) -> Answer:
    """What a refused eviction says."""
    if error.status in {0, 408, 502, 503, 504}:
        return Answer.UNANSWERED
    if error.status == 404:
        return Answer.GONE
    if error.status == 409:
        return Answer.CHANGED
    if error.status == 429:
        return Answer.BUDGET if error.retry_after is None else Answer.LATER
    if error.status in {401, 403}:
        return Answer.FORBIDDEN
    if error.status == 500 and _SEVERAL_BUDGETS in str(error):
        return Answer.BUDGETS
    return Answer.FAILED
