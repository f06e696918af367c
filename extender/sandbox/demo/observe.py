"""Looking at the cluster a few times a second, as anyone with `kubectl get` could."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from extender.core.model.classes import ClassRules
from extender.core.model.errors import ApiError
from extender.core.model.objects import Node, Owner
from extender.kube.client import ApiClient
from extender.kube.resources import DEPLOYMENTS, JOBS, NODES, PODS, REPLICASETS, STATEFULSETS
from extender.sandbox.demo.facts import PREFIX, REVISION, Look, PodFact
from extender.wire.kube_v1 import DELETION_COST, Metadata
from extender.wire.objects_v1 import Decoders

POLLS_PER_SECOND = 5
_PATIENCE = 10.0  # seconds without an answer before the demo gives up


class _Condition(Struct, frozen=True):
    type: str = ""
    status: str = ""
    message: str = ""


class _Status(Struct, frozen=True):
    phase: str = ""
    conditions: tuple[_Condition, ...] = ()


class _Spec(Struct, frozen=True, rename="camel"):
    node_name: str = ""


class _Pod(Struct, frozen=True):
    metadata: Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _Pods(Struct, frozen=True):
    items: list[_Pod] | None = None


_pods_decoder = msgspec.json.Decoder(_Pods)
_OWNERS = (DEPLOYMENTS, REPLICASETS, STATEFULSETS, JOBS)


def decode_pods(body: bytes) -> list[PodFact]:
    """The live pods of a list: neither terminating nor ended."""
    return [
        _fact(pod)
        for pod in _pods_decoder.decode(body).items or ()
        if pod.metadata.deletion_timestamp is None and pod.status.phase not in ("Succeeded", "Failed")
    ]


def _fact(pod: _Pod) -> PodFact:
    owner = pod.metadata.controller()
    conditions = {each.type: each for each in pod.status.conditions}
    ready, scheduled = conditions.get("Ready"), conditions.get("PodScheduled")
    return PodFact(
        name=pod.metadata.name,
        owner=owner.uid if owner else "",
        node=pod.spec.node_name,
        ready=ready is not None and ready.status == "True",
        seated=DELETION_COST in (pod.metadata.annotations or {}),
        message=scheduled.message if scheduled is not None and scheduled.status == "False" else "",
    )


class Observer:
    """Polls one namespace and the nodes, as an asynchronous context manager.

    Attributes:
        latest: the newest snapshot.
    """

    def __init__(self, api: ApiClient, namespace: str, seen: Callable[[Look], None]) -> None:
        """Say what to look at; entering the block starts it.

        Args:
            api: with rights to list; not closed here.
            namespace: whose workloads and pods.
            seen: is told of each snapshot.
        """
        self.latest = Look()
        self._api = api
        self._namespace = namespace
        self._seen = seen
        decoders = Decoders(ClassRules(), (PREFIX, REVISION.partition("/")[0]))
        self._nodes = decoders.make("nodes", "v1", "Node")
        self._owners = [
            (each.path_in(namespace), decoders.make(each.key, each.api_version, each.kind)) for each in _OWNERS
        ]
        self._next = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="observer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ApiError):
                await self._task

    async def after(self, moment: float) -> Look:
        """Return the first snapshot that was asked for after a moment of the monotonic clock.

        Raises:
            ApiError: the API server has not answered for a while.
        """
        while self.latest.began <= moment:
            if self._task is None or self._task.done():
                if self._task is not None:
                    self._task.result()
                raise ApiError("the demo's observer has ended")
            await self._next.wait()
        return self.latest

    async def _run(self) -> None:
        heard = time.monotonic()
        try:
            while True:
                began = time.monotonic()
                try:
                    self.latest = await self._look(began)
                except ApiError:
                    if time.monotonic() - heard > _PATIENCE:
                        raise
                else:
                    heard = began
                    self._seen(self.latest)
                    self._announce()
                await asyncio.sleep(max(0.0, began + 1 / POLLS_PER_SECOND - time.monotonic()))
        finally:
            asyncio.get_running_loop().call_soon(self._announce)

    def _announce(self) -> None:
        """Let all who wait look again, and those to come wait for the next time."""
        self._next.set()
        self._next = asyncio.Event()

    async def _look(self, began: float) -> Look:
        pods, nodes, *owners = await asyncio.gather(
            self._api.request("GET", PODS.path_in(self._namespace)),
            self._api.request("GET", NODES.path),
            *(self._api.request("GET", path) for path, _ in self._owners),
        )
        return Look(
            began,
            decode_pods(pods),
            {node.name: node for node in self._nodes.page(nodes).objects if isinstance(node, Node)},
            [
                owner
                for (_, decoder), body in zip(self._owners, owners, strict=True)
                for owner in decoder.page(body).objects
                if isinstance(owner, Owner)
            ],
        )
