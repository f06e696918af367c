"""Evictions: what is sent, and what the answers mean. Texts are those of Kubernetes 1.36."""

from typing import Any

import pytest
from support.doubles_kube import KubeClient, StoredObjects

from extender.core.drift.eviction import Answer, Outcome
from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.kube.eviction import Evictor, classify

POD = PodId("shop", "web-1", "uid-1")
PATH = "/api/v1/namespaces/shop/pods/web-1/eviction"


def refused(status: int, text: str = "", retry_after: float | None = None) -> ApiError:
    return ApiError(f"POST {PATH}: {status} {text}", status=status, retry_after=retry_after)


class Api(KubeClient):
    """Answers as told, and keeps what it was sent."""

    def __init__(self, fault: ApiError | None = None) -> None:
        super().__init__(StoredObjects())
        self.fault = fault
        self.sent: list[tuple[str, str, Any, Any]] = []

    async def request(self, method: str, path: str, **given: Any) -> bytes:
        self.sent.append((method, path, given.get("params"), given.get("body")))
        if self.fault is not None:
            raise self.fault
        return b"{}"


@pytest.mark.parametrize(("dry_run", "params"), [(False, None), (True, {"dryRun": "All"})])
async def test_one_post_for_one_pod(dry_run: bool, params: Any) -> None:
    api = Api()
    assert await Evictor(api).evict(POD, dry_run=dry_run) == Outcome(Answer.EVICTED, 201)
    ((method, path, given, body),) = api.sent
    assert (method, path, given) == ("POST", PATH, params)
    assert body["deleteOptions"] == {"preconditions": {"uid": "uid-1"}}


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (refused(404, 'NotFound: pods "web-1" not found'), Answer.GONE),
        (
            refused(409, "Conflict: Precondition failed: UID in precondition: uid-1, UID in object meta: 2"),
            Answer.CHANGED,
        ),
        (refused(429, "Cannot evict pod as it would violate the pod's disruption budget."), Answer.BUDGET),
        (refused(429, "The disruption budget web is still being processed by the server.", 10.0), Answer.LATER),
        (refused(500, "This pod has more than one PodDisruptionBudget, which the eviction"), Answer.BUDGETS),
        (refused(500, "InternalError: failed calling webhook"), Answer.FAILED),
        (refused(403, "Forbidden: pods is forbidden"), Answer.FORBIDDEN),
        (refused(401, "Unauthorized"), Answer.FORBIDDEN),
        (refused(422, "Invalid"), Answer.FAILED),
        (refused(400, "BadRequest"), Answer.FAILED),
        (refused(503, "ServiceUnavailable", 1.0), Answer.UNANSWERED),
        (refused(504, "Timeout: request did not complete within requested timeout"), Answer.UNANSWERED),
        (refused(0, "no answer in time"), Answer.UNANSWERED),
    ],
)
async def test_statement_13_every_answer_is_classified(fault: ApiError, answer: Answer) -> None:
    api = Api(fault)
    outcome = await Evictor(api).evict(POD)
    assert outcome == Outcome(answer, fault.status, str(fault), fault.retry_after)
    assert [method for method, *_ in api.sent] == ["POST"]
    assert classify(fault) is answer
