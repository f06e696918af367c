"""What commands ask a running Spotmix, and its answers as the Structs that would be computed here."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from extender.cli.client import Client
from extender.cli.wanted import Wanted
from extender.core.answers.decisions import Entry
from extender.core.answers.overview import Overview, WorkloadRow
from extender.core.answers.plan import DriftReport
from extender.core.answers.pod import PodExplanation
from extender.core.answers.workload import WorkloadExplanation
from extender.core.model.errors import ServiceError
from extender.core.model.reasons import Reason
from extender.core.whatif.outlook import Change, WhatIf
from extender.wire.placement_v1 import NUMBERS, from_message, to_message
from spotmix.placement.v1 import placement_pb2 as pb

PAGE = 1000
"""Workloads in one answer: the most there may be."""

MOST_TOUCHED = 10_000
"""Workloads that a what-if tells of: the most there may be."""

_REASONS = {number: reason for reason, number in NUMBERS.items() if isinstance(reason, Reason)}


class StatusAnswer(Struct, frozen=True):
    """How workloads stand, and why the replica that answered makes no decisions, if it makes none."""

    overview: Overview
    obstacle: Reason | None


class ExplainAnswer(Struct, frozen=True):
    """A pod or workload: how it stands, the last decisions (newest first), and of a workload the loop's plan."""

    explanation: PodExplanation | WorkloadExplanation
    decisions: tuple[Entry, ...]
    obstacle: Reason | None
    drift: DriftReport | None = None


class WhatIfAnswer(Struct, frozen=True):
    """What a change would come to, and how many workloads it touches; no more than `MOST_TOUCHED` are told of."""

    answer: WhatIf
    touched: int
    obstacle: Reason | None


class PlanAnswer(Struct, frozen=True):
    """A plan, and what the drift loop does: `on`, `dry run` or `off`."""

    report: DriftReport
    mode: str
    obstacle: Reason | None


async def workloads(client: Client, wanted: Wanted) -> StatusAnswer:
    """All managed workloads that are wanted.

    Raises:
        ServiceError: the service knows no selectors.
    """
    rows: list[WorkloadRow] = []
    token = ""
    while True:
        request = pb.ListWorkloadsRequest(
            namespace=wanted.namespace, label_selector=wanted.selector, page_size=PAGE, page_token=token
        )
        answer = await client.call("ListWorkloads", request)
        _expect_selected(answer, wanted)
        page = from_message(answer.overview, Overview)
        rows += page.workloads
        token = answer.next_page_token
        if not token:
            return StatusAnswer(replace(page, workloads=tuple(rows)), reason_of(answer.obstacle))


async def pod(client: Client, namespace: str, name: str) -> ExplainAnswer:
    """A pod."""
    answer = await client.call("ExplainPod", pb.ExplainPodRequest(namespace=namespace, name=name))
    explanation = from_message(answer.pod, PodExplanation)
    return ExplainAnswer(explanation, entries_of(answer), reason_of(answer.obstacle))


async def workload(client: Client, namespace: str, kind: str, name: str) -> ExplainAnswer:
    """A workload; `kind` as people write it."""
    answer = await client.call("GetWorkload", pb.GetWorkloadRequest(namespace=namespace, kind=kind, name=name))
    explanation = from_message(answer.workload, WorkloadExplanation)
    drift = from_message(answer.drift, DriftReport) if answer.HasField("drift") else None
    return ExplainAnswer(explanation, entries_of(answer), reason_of(answer.obstacle), drift)


async def plan(client: Client, wanted: Wanted) -> PlanAnswer:
    """What the drift loop would do with the workloads that are wanted.

    Raises:
        ServiceError: the service knows no selectors.
    """
    request = pb.PlanDriftRequest(namespace=wanted.namespace, label_selector=wanted.selector)
    answer = await client.call("PlanDrift", request)
    _expect_selected(answer, wanted)
    report = from_message(answer.report, DriftReport)
    return PlanAnswer(report, answer.mode, reason_of(answer.obstacle))


async def what_if(client: Client, change: Change, policies: Sequence[str] = ()) -> WhatIfAnswer:
    """What a change would come to, with policy objects, each as its manifest in JSON.

    Raises:
        ServiceError: the service does not know policy objects.
    """
    request = pb.SimulateRequest(change=to_message(change), workload_limit=MOST_TOUCHED, policy_objects=policies)
    answer = await client.call("Simulate", request)
    if len(answer.what_if.policies) < len(policies):
        raise ServiceError("the service is of a version that tries no policy objects: use --local")
    return WhatIfAnswer(from_message(answer.what_if, WhatIf), answer.total_size, reason_of(answer.obstacle))


def _expect_selected(answer: Any, wanted: Wanted) -> None:
    if wanted.selector and not answer.selected:
        raise ServiceError("the service is of a version that knows no label selectors: use --local")


def entries_of(answer: Any) -> tuple[Entry, ...]:
    """The decisions of an answer."""
    return tuple(from_message(each, Entry) for each in answer.decisions)


def reason_of(number: int) -> Reason | None:
    """The reason of the API's number; None for unspecified, and for one that this version does not know."""
    return _REASONS.get(number)
