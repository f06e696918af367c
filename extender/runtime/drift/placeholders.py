"""Carries out what the controller of placeholders says is due: makes and deletes them, and tells of them."""

import asyncio
from collections.abc import Awaitable, Callable

from extender.core.drift.moves import WorkloadRef
from extender.core.drift.placeholder import Action, Ask, Clear, Drop, Ended, Ending, Made, NotMade
from extender.core.drift.placeholders import Placeholders
from extender.core.model.errors import ApiError, WireError
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import OwnerRef
from extender.core.state.state import ClusterState
from extender.kube.placeholders import PlaceholderPods
from extender.kube.regarding import Regarding
from extender.kube.resources import PODS
from extender.runtime.drift.context import Channels, Context
from extender.runtime.drive import Drive
from extender.telemetry.logs import logger
from extender.telemetry.vocabulary import named
from extender.wire.placeholder_v1 import Making, placeholder

NAME = "placeholders"
LEAVING = 3.0
"""How long a replica that ends takes to delete placeholders, at most (seconds)."""


class PlaceholderLoop:
    """The placeholders of a running replica.

    Args:
        state: the cluster.
        controller: says what is due.
        context: what it is connected with.
        channels: where it tells of what it does.
        making: how placeholders are made, but for whose they are.
        owner: gives the object that takes them along when it is deleted, if there is one.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        state: ClusterState,
        controller: Placeholders,
        context: Context,
        channels: Channels,
        making: Making,
        owner: Callable[[PlaceholderPods], Awaitable[OwnerRef | None]],
    ) -> None:
        self.controller = controller
        self._state, self._context = state, context
        self._recorder, self._metrics = channels.recorder, channels.metrics
        self._making, self._owner = making, owner
        self._pods = PlaceholderPods(context.client, making.namespace, making.prefix)
        self._log = logger()
        self._group = asyncio.TaskGroup()
        self._asks: set[asyncio.Task[None]] = set()
        self._drive: Drive[Action] = Drive(
            NAME, controller, self._perform, context.report, timing=context.timing, now=context.now
        )
        controller.on_wish = self._drive.wake

    async def run(self) -> None:
        """Make and delete placeholders until cancelled; those that are left then are the next leader's to delete."""
        self.controller.take_over(self._context.now())
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._drive.run()
        finally:
            self.controller.stop()

    async def leave(self) -> None:
        """This process ends in order: while it still decides, delete what it made."""
        if not self._context.decides():
            return
        self.controller.stop()
        try:
            async with asyncio.timeout(LEAVING):
                await asyncio.gather(*self._asks, return_exceptions=True)
                await self._pods.clear()
        except (ApiError, WireError, TimeoutError) as error:
            self._context.report(NAME, f"placeholders may be left: {error!r}")

    def _perform(self, action: Action) -> None:
        match action:
            case Ended():
                self._ended(action)
            case Ask():
                task = self._group.create_task(self._ask(action), name=action.name)
                self._asks.add(task)
                task.add_done_callback(self._asks.discard)
            case Drop():
                self._group.create_task(self._delete(action), name=f"delete {action.name}")
            case Clear():
                self._group.create_task(self._delete(action), name="clear placeholders")

    async def _ask(self, action: Ask) -> None:
        try:
            result = await self._make(action)
        except Exception as error:  # noqa: BLE001 - a bug with one must not end the others
            self._context.report(NAME, f"{action.name} met a fault: {error!r}")
            result = NotMade("unanswered", repr(error))
        if isinstance(result, Made):
            self._asked(action)
        else:
            self._context.report(NAME, f"{action.name} was not made: {result.text}")
        self.controller.done(action, result, self._context.now())
        self._drive.wake()

    async def _make(self, action: Ask) -> Made | NotMade:
        pod = action.wish.pod
        try:
            body = await self._context.client.request("GET", PODS.path_in(pod.namespace, pod.name))
            if self._making.owner is None:
                self._making = Making(
                    self._making.namespace, self._making.image, self._making.prefix, await self._owner(self._pods)
                )
            made = placeholder(body, action, self._making)
        except (ApiError, WireError) as error:
            return NotMade("later", str(error))
        if not self._context.decides():
            return NotMade("later", "this replica decides no more")
        return await self._pods.make(made)

    async def _delete(self, action: Drop | Clear) -> None:
        done = False
        if self._context.decides():
            try:
                if isinstance(action, Drop):
                    await self._pods.delete(action.name, action.uid)
                else:
                    await self._pods.clear()
                done = True
            except (ApiError, WireError) as error:
                self._context.report(NAME, str(error))
            except Exception as error:  # noqa: BLE001 - a bug with one must not end the others
                self._context.report(NAME, f"to delete placeholders met a fault: {error!r}")
        self.controller.done(action, done, self._context.now())
        self._drive.wake()

    # What is told

    def _asked(self, action: Ask) -> None:
        wish = action.wish
        text = f"A placeholder asks for a {wish.capacity_class} node for {wish.pod.name}"
        self._tell(wish.workload, EventReason.PLACEHOLDER_ASKED, "Ask", text, wish.capacity_class)
        self._log.info(
            "placeholder",
            outcome="asked",
            workload=named(wish.workload.kind, wish.workload.name),
            namespace=wish.workload.namespace,
            pod=wish.pod.name,
            class_=wish.capacity_class,
        )

    def _ended(self, ended: Ended) -> None:
        wish, ending = ended.wish, ended.ending
        self._metrics.placeholder_ended(wish.capacity_class, ending, ended.seconds)
        self._log.info(
            "placeholder",
            outcome=str(ending),
            workload=named(wish.workload.kind, wish.workload.name),
            namespace=wish.workload.namespace,
            pod=wish.pod.name,
            class_=wish.capacity_class,
            error=ended.detail,
        )
        if not ended.until:
            return
        detail = f" ({ended.detail})" if ended.detail else ""
        if ending is Ending.DENIED:
            reason = EventReason.PLACEHOLDER_DENIED
            text = f"No placeholder can ask for {wish.capacity_class} nodes: {ended.detail}"
        else:
            reason = EventReason.PLACEHOLDER_REFUSED
            text = f"A placeholder that asked for a {wish.capacity_class} node {ending.text}{detail}"
        self._tell(wish.workload, reason, "BackOff", text, wish.capacity_class)

    def _tell(self, subject: WorkloadRef, reason: EventReason, action: str, text: str, same: str) -> None:
        workloads = self._state.workloads
        known = workloads.by_uid.get(subject.uid) or workloads.owners.get(subject.uid)
        if known is not None:
            regarding = Regarding(subject.kind, known.api_version, subject.namespace, subject.name, subject.uid)
            self._recorder.emit(regarding, reason, action, text, same=same)
