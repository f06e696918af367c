"""The service of proto/: each RPC checks what is asked, lets the caller in, and answers when it is its turn."""

from functools import partial

from extender.core.model.access import get_plan, get_pod, get_workload, list_workloads, watch_decisions
from extender.servers.answers.pace import Pace
from extender.servers.grpc import requests, simulating
from extender.servers.grpc.calls import Calls, Context, Door
from extender.servers.grpc.replies import Replies
from extender.servers.grpc.watches import Watches
from spotmix.placement.v1 import placement_pb2 as pb
from spotmix.placement.v1.placement_pb2_grpc import PlacementServiceServicer


class PlacementService(PlacementServiceServicer):
    """Checks what each RPC asks, lets its caller in, and replies when it is its turn.

    Args:
        replies: makes the messages.
        watches: those who follow decisions.
        door: lets callers in.
        calls: runs calls.
        pace: says whose turn it is.
    """

    def __init__(self, replies: Replies, watches: Watches, door: Door, calls: Calls, pace: Pace) -> None:
        self._replies = replies
        self._watches = watches
        self._door = door
        self._calls = calls
        self._pace = pace
        # It may take seconds: nobody else is to wait for it.
        self._simulating = Pace()

    async def ListWorkloads(self, request: pb.ListWorkloadsRequest, context: Context) -> pb.ListWorkloadsResponse:
        """See proto/."""

        async def work() -> pb.ListWorkloadsResponse:
            asked = requests.workload_query(request)
            async with self._door.admitted(context, list_workloads(asked.scope.namespace)), self._pace.turn():
                return await self._replies.workloads(asked)

        return await self._calls.run("ListWorkloads", context, work())

    async def GetWorkload(self, request: pb.GetWorkloadRequest, context: Context) -> pb.GetWorkloadResponse:
        """See proto/."""

        async def work() -> pb.GetWorkloadResponse:
            namespace, kind = requests.name("namespace", request.namespace), requests.name("kind", request.kind)
            name, limit = requests.name("name", request.name), requests.decisions(request.decision_limit)
            async with self._door.admitted(context, get_workload(namespace, name)), self._pace.turn():
                return await self._replies.workload(namespace, kind, name, limit)

        return await self._calls.run("GetWorkload", context, work())

    async def ExplainPod(self, request: pb.ExplainPodRequest, context: Context) -> pb.ExplainPodResponse:
        """See proto/."""

        async def work() -> pb.ExplainPodResponse:
            namespace, name = requests.name("namespace", request.namespace), requests.name("name", request.name)
            limit = requests.decisions(request.decision_limit)
            async with self._door.admitted(context, get_pod(namespace, name)), self._pace.turn():
                return await self._replies.pod(namespace, name, limit)

        return await self._calls.run("ExplainPod", context, work())

    async def PlanDrift(self, request: pb.PlanDriftRequest, context: Context) -> pb.PlanDriftResponse:
        """See proto/."""

        async def work() -> pb.PlanDriftResponse:
            scope = requests.scope(request.namespace, request.label_selector)
            async with self._door.admitted(context, get_plan(scope.namespace)), self._pace.turn():
                return await self._replies.plan(scope)

        return await self._calls.run("PlanDrift", context, work())

    async def Simulate(self, request: pb.SimulateRequest, context: Context) -> pb.SimulateResponse:
        """See proto/."""

        async def work() -> pb.SimulateResponse:
            asked = simulating.supposition(request)
            async with self._door.admitted(context, asked.right), self._simulating.turn():
                return await self._replies.what_if(asked)

        return await self._calls.run("Simulate", context, work())

    async def WatchDecisions(self, request: pb.WatchDecisionsRequest, context: Context) -> None:
        """See proto/."""

        async def work() -> None:
            asked = requests.following(request)
            renew = partial(self._door.admit, context, watch_decisions(asked.namespace))
            async with self._door.admitted(context, watch_decisions(asked.namespace), self._watches.allowance):
                await self._watches.follow(asked, context.write, renew)

        await self._calls.run("WatchDecisions", context, work())
