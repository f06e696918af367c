"""Asks the core what callers want to know, and puts it into messages: the replies.

What takes long is made in steps, between which the extender gets its turn.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from extender.core.answers.decisions import Entry
from extender.core.answers.faults import answering
from extender.core.answers.overview import narrowed
from extender.core.answers.plan import DriftReport, report
from extender.core.answers.pod import explain_pod_in_steps
from extender.core.answers.scope import EVERYWHERE, Scope
from extender.core.answers.workload import explain_owner
from extender.core.model.objects import Owner
from extender.core.state.lookup import find_owner, find_pod, kind_named
from extender.servers.answers.pace import in_turns, some_of
from extender.servers.answers.shared import SharedAnswers
from extender.servers.answers.sources import Sources
from extender.servers.grpc import simulating
from extender.servers.grpc.calls import missing
from extender.servers.grpc.filling import fill
from extender.servers.grpc.requests import WorkloadQuery
from extender.servers.grpc.simulating import Supposition
from extender.wire.placement_v1 import number_of, to_message
from spotmix.placement.v1 import placement_pb2 as pb


class Replies:
    """Makes the message that each call is answered with.

    Args:
        shared: the overview and the plan, and what there is to tell of.
    """

    def __init__(self, shared: SharedAnswers) -> None:
        self._sources = shared.sources
        self._shared = shared

    async def workloads(self, asked: WorkloadQuery) -> pb.ListWorkloadsResponse:
        """A page of workloads."""
        seen, state, scope = await self._shared.overview(), self._sources.state, asked.scope
        if scope != EVERYWHERE:
            told = await some_of(seen.workloads, lambda row: scope.has(state, row.namespace, row.uid))
            seen = narrowed(seen, told)
        rows = asked.sorted(seen.workloads)
        end = asked.start + asked.size
        overview: pb.Overview = to_message(replace(seen, workloads=()))
        await fill(overview.workloads, rows[asked.start : end])
        return pb.ListWorkloadsResponse(
            overview=overview,
            next_page_token=asked.token(end) if end < len(rows) else "",
            total_size=len(rows),
            obstacle=self._obstacle(),
            selected=scope.selector is not None,
        )

    async def workload(self, namespace: str, kind: str, name: str, decisions: int) -> pb.GetWorkloadResponse:
        """One workload.

        Raises:
            RefusedError: there is none of this name.
            WorkloadFaultError: its workload met a fault of our own.
        """
        sources = self._sources
        owner = _owner(sources, namespace, kind, name)
        if owner is None:
            raise missing(kind, namespace, name)
        with answering(sources.state, namespace, owner.ref, sources.met):
            explained = explain_owner(sources.state, owner, sources.now())
            uids = self._carriers(explained.workload.uid)
            drift = self._plan_for(uids) if explained.row is not None else None
        told: pb.WorkloadExplanation = to_message(replace(explained, pods=()))
        await fill(told.pods, explained.pods)
        message = pb.GetWorkloadResponse(workload=told, obstacle=self._obstacle())
        await asyncio.sleep(0)
        message.decisions.extend(to_message(entry) for entry in self._decisions(uids, decisions))
        if drift is not None:
            message.drift.CopyFrom(to_message(drift))
        return message

    async def pod(self, namespace: str, name: str, decisions: int) -> pb.ExplainPodResponse:
        """One pod.

        Raises:
            RefusedError: there is none of this name.
            WorkloadFaultError: its workload met a fault of our own.
        """
        sources = self._sources
        record = find_pod(sources.state, namespace, name)
        if record is None:
            raise missing("Pod", namespace, name)
        owner = record.revision.owner if record.revision is not None else None
        with answering(sources.state, namespace, owner, sources.met):
            explained = await in_turns(explain_pod_in_steps(sources.state, record, sources.now()))
        message = pb.ExplainPodResponse(pod=to_message(explained), obstacle=self._obstacle())
        await asyncio.sleep(0)
        message.decisions.extend(to_message(entry) for entry in sources.decisions.of_pod(record.uid, decisions))
        return message

    async def plan(self, scope: Scope) -> pb.PlanDriftResponse:
        """What the drift loop would do."""
        made = await self._shared.plan()
        drifting = self._sources.drifting
        told = report(self._sources.state, made.plan, drifting.history(), made.at, scope)
        await asyncio.sleep(0)
        message: pb.DriftReport = to_message(replace(told, moves=(), stays=(), off_target=()))
        await fill(message.moves, told.moves)
        await fill(message.stays, told.stays)
        await fill(message.off_target, told.off_target)
        return pb.PlanDriftResponse(
            report=message,
            off=made.off,
            mode=drifting.mode,
            obstacle=self._obstacle(),
            selected=scope.selector is not None,
        )

    async def what_if(self, asked: Supposition) -> pb.SimulateResponse:
        """What a change would come to.

        Raises:
            RefusedError: it cannot be, or is of something that is not there.
        """
        return await simulating.answer(self._sources, asked)

    def _obstacle(self) -> Any:
        return number_of(self._sources.obstacle())

    def _carriers(self, uid: str) -> list[str]:
        """UIDs of the objects that carry a workload's policy: of a CronJob its Jobs, else its own."""
        known = self._sources.state.workloads
        owner = known.owners.get(uid)
        if owner is None or owner.kind != "CronJob":
            return [uid]
        return [job for job in known.children.get(uid, ()) if job in known.by_uid]

    def _decisions(self, uids: Sequence[str], count: int) -> Sequence[Entry]:
        """The last decisions on pods of these objects, newest first."""
        return self._sources.decisions.of_workloads(frozenset(uids), count)

    def _plan_for(self, uids: Sequence[str]) -> DriftReport:
        """What the drift loop would do with these objects alone."""
        history = self._sources.drifting.history()
        told = report(self._sources.state, self._shared.plan_for(*uids), history, self._sources.now())
        pods = {each.move.pod for uid in uids if (known := history.get(uid)) is not None for each in known.in_flight}
        return replace(told, in_flight=tuple(each for each in told.in_flight if each.pod in pods))


def _owner(sources: Sources, namespace: str, kind: str, name: str) -> Owner | None:
    return find_owner(sources.state, *kind_named(kind), namespace, name)
