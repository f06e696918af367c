"""One simulated kubelet for all nodes: bound pods become Ready, deleted pods go, batch pods complete.

It makes one request for a pod that starts and one for a pod that goes. All else it knows from one watch of
the bound pods. Its own writes come back on that watch and are told from news by the stage it remembers for
each pod. Where it is asked to, it starts nodes too: see `nodestart`.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Any, Self

import msgspec

from extender.core.model.errors import ApiError, SandboxError
from extender.kube.client import MERGE_PATCH, STRATEGIC_PATCH, ApiClient
from extender.kube.resources import NODES, PODS
from extender.sandbox.nodestart import SandboxNode
from extender.sandbox.podstatus import RUN_FOR, START_AFTER, SandboxPod, ended, running
from extender.sandbox.watching import RETRY_FIRST, RETRY_MOST, ObjectWatch

# Only pods with a node: the pending ones are the scheduler's business and would cost a decode per change.
_BOUND = "spec.nodeName!="
# As after SIGTERM, what most programs' exit means that were told to go.
_EXIT_TERMINATED = 143


class _Stage(enum.IntEnum):
    """How far a pod is, in the kubelet's intention. It only ever grows."""

    STARTING = 1
    RUNNING = 2
    ENDING = 3
    GOING = 4


_Action = Callable[[], Awaitable[None]]


_pod_decoder = msgspec.json.Decoder(SandboxPod)
_node_decoder = msgspec.json.Decoder(SandboxNode)


class SimKubelet:
    """Runs the pods of all nodes, as an asynchronous context manager; use it within one event loop.

    Attributes:
        started: pods made Ready so far.
        removed: pods whose deletion it has finished so far.
        problems: what it could not do and why, newest last; empty in a good run.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        start_delay: float = 0.1,
        termination_delay: float = 0.0,
        concurrency: int = 24,
        startup_taints: Collection[str] | None = None,
    ) -> None:
        """Say how it behaves; entering the block starts it.

        Args:
            api: a client with rights to watch and delete pods and to patch their status; not closed here.
            start_delay: seconds from binding to Ready; a pod's annotation `sandbox.spotmix.io/start-after`
                wins.
            termination_delay: seconds from the deletion timestamp to the pod's end, whatever its grace
                period.
            concurrency: requests under way at a time.
            startup_taints: start nodes too, which then become Ready and lose the taints of these keys: for nodes
                that an autoscaler makes. None leaves nodes alone, which needs no rights on them.
        """
        self.started = 0
        self.removed = 0
        self.problems: list[str] = []
        self._api = api
        self._start_delay = start_delay
        self._termination_delay = termination_delay
        self._concurrency = concurrency
        self._stages: dict[str, _Stage] = {}
        self._dead: set[str] = set()
        self._held: dict[str, SandboxPod] = {}
        self._queue: asyncio.Queue[_Action] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._startup_taints = startup_taints
        self._nodes: set[str] = set()

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    def _begin(self) -> None:
        pods = ObjectWatch(self._api, PODS.path, _pod_decoder, self._see, self._forget, _BOUND)
        self._tasks = [asyncio.create_task(pods.run(), name="kubelet-watch")]
        if self._startup_taints is not None:
            nodes = ObjectWatch(self._api, NODES.path, _node_decoder, self._see_node, self._nodes.discard)
            self._tasks.append(asyncio.create_task(nodes.run(), name="kubelet-nodes"))
        self._tasks += [
            asyncio.create_task(self._work(), name=f"kubelet-{number}") for number in range(self._concurrency)
        ]
        for task in self._tasks:
            task.add_done_callback(self._died)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for result in await self._stop():
            if isinstance(result, Exception) and error is None:
                raise result

    async def _stop(self) -> list[BaseException | None]:
        for task in self._tasks:
            task.cancel()
        return await asyncio.gather(*self._tasks, return_exceptions=True)

    async def restart(self) -> None:
        """Know nothing, and begin anew with what the API server says: as after its data were restored."""
        await self._stop()
        self._stages, self._held, self._nodes = {}, {}, set()
        self._queue = asyncio.Queue()
        self._begin()

    def _died(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.problems.append(f"{task.get_name()} died of {type(error).__name__}: {error}")

    def fail_node(self, name: str) -> None:
        """Let a node fall silent: pods on it neither start, end nor go until `revive_node`."""
        self._dead.add(name)

    def revive_node(self, name: str) -> None:
        """Let a silent node catch up with what its pods have missed."""
        self._dead.discard(name)
        for uid, pod in list(self._held.items()):
            if pod.spec.node_name == name:
                del self._held[uid]
                self._see(pod)

    def _see(self, pod: SandboxPod) -> None:
        """Act on the state of a pod, once for each stage it reaches."""
        uid = pod.metadata.uid
        if pod.spec.node_name in self._dead:
            self._held[uid] = pod
            return
        stage = self._stages.get(uid, 0)
        if pod.metadata.deletion_timestamp:
            if stage < _Stage.GOING:
                self._stages[uid] = _Stage.GOING
                self._later(self._termination_delay, lambda: self._remove(pod))
        elif pod.finished():
            self._stages[uid] = _Stage.ENDING
        elif pod.status.phase == "Running":
            if stage < _Stage.ENDING and self._completes(pod):
                self._stages[uid] = _Stage.ENDING
                self._later(self._seconds(pod, RUN_FOR, 0.0), lambda: self._end(pod))
        elif stage < _Stage.STARTING:
            self._stages[uid] = _Stage.STARTING
            self._later(self._seconds(pod, START_AFTER, self._start_delay), lambda: self._start(pod))

    def _see_node(self, node: SandboxNode) -> None:
        """Start a node, as far as it is not."""
        ready = node.ready_patch()
        if ready is not None and node.metadata.uid not in self._nodes:
            self._nodes.add(node.metadata.uid)
            self._later(0.0, lambda: self._patch_node(node.path("status"), ready, STRATEGIC_PATCH))
        bare = node.taint_patch(self._startup_taints or ())
        if bare is not None:
            # Refused when the node has changed: that comes here too.
            self._later(0.0, lambda: self._patch_node(node.path(), bare, MERGE_PATCH))

    async def _patch_node(self, path: str, patch: dict[str, Any], content_type: str) -> None:
        await self._request("PATCH", path, patch, content_type)

    def _completes(self, pod: SandboxPod) -> bool:
        return pod.spec.restart_policy != "Always" and RUN_FOR in (pod.metadata.annotations or {})

    def _seconds(self, pod: SandboxPod, annotation: str, default: float) -> float:
        try:
            seconds = pod.seconds(annotation)
        except SandboxError as error:
            self.problems.append(str(error))
            return default
        return default if seconds is None else seconds

    def _later(self, delay: float, action: _Action) -> None:
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._queue.put_nowait, action)
        else:
            self._queue.put_nowait(action)

    async def _start(self, pod: SandboxPod) -> None:
        if self._still(pod, _Stage.STARTING) and await self._patch_status(pod, running(pod)):
            self.started += 1

    async def _end(self, pod: SandboxPod) -> None:
        if self._still(pod, _Stage.ENDING):
            await self._patch_status(pod, ended(pod, exit_code=0))

    async def _remove(self, pod: SandboxPod) -> None:
        if not self._still(pod, _Stage.GOING):
            return
        if pod.metadata.finalizers and not pod.finished():
            # Somebody, as a Job's controller, wants to see how it ended before it lets the pod go.
            await self._patch_status(pod, ended(pod, exit_code=_EXIT_TERMINATED))
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.metadata.uid}}
        if await self._request("DELETE", pod.path(), body, "application/json"):
            self.removed += 1

    def _still(self, pod: SandboxPod, stage: _Stage) -> bool:
        """Whether the pod is where it was when the action was put off, and its node not silent."""
        if pod.spec.node_name in self._dead:
            self._stages.pop(pod.metadata.uid, None)
            self._held.setdefault(pod.metadata.uid, pod)
            return False
        return self._stages.get(pod.metadata.uid) == stage

    async def _patch_status(self, pod: SandboxPod, patch: dict[str, Any]) -> bool:
        # The UID in the patch makes the server refuse (409) when another pod has taken the name.
        body = {"metadata": {"uid": pod.metadata.uid}, **patch}
        return await self._request("PATCH", pod.path("status"), body, MERGE_PATCH)

    async def _request(self, method: str, path: str, body: dict[str, Any], content_type: str) -> bool:
        """Send until the server has decided; whether it agreed."""
        delay = RETRY_FIRST
        while True:
            try:
                await self._api.request(method, path, body=body, content_type=content_type)
            except ApiError as error:
                if error.status in (404, 409):
                    return False
                if 400 <= error.status < 500 and error.status != 429:
                    self.problems.append(str(error))
                    return False
                await asyncio.sleep(error.retry_after or delay)
                delay = min(delay * 2, RETRY_MOST)
            else:
                return True

    async def _work(self) -> None:
        while True:
            action = await self._queue.get()
            await action()

    def _forget(self, uid: str) -> None:
        self._stages.pop(uid, None)
        self._held.pop(uid, None)
