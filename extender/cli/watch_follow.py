"""Follows the decisions of a service that may go away and come back, or leave the lead to another replica."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Protocol

from msgspec import Struct

from extender.cli.questions import entries_of, reason_of
from extender.cli.service import Target, connected
from extender.core.answers.decisions import Entry
from extender.core.model.errors import ApiError, ServiceError
from extender.core.model.reasons import Reason
from extender.kube.limits import Backoff
from extender.kube.seams import Timing
from extender.settings import Settings
from extender.wire.placement_v1 import NUMBERS
from spotmix.placement.v1 import placement_pb2 as pb

MEANWHILE = 10_000
"""Decisions that are asked for after a gap, as many as there may be; of so many it is known that they were shown."""

LONGEST = 30.0
"""Between two attempts to find the service again (seconds)."""


class Narrowing(Struct, frozen=True):
    """Which decisions; each field that is not empty narrows them."""

    namespace: str = ""
    kind: str = ""
    workload: str = ""
    pod: str = ""
    classes: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()

    def request(self, replay: int) -> pb.WatchDecisionsRequest:
        """Ask for them, and for so many of the last ones first."""
        # mypy takes the numbers of an enum for a type of their own.
        numbers: list[Any] = [NUMBERS[reason] for reason in self.reasons]
        return pb.WatchDecisionsRequest(
            namespace=self.namespace,
            workload=self.workload,
            kind=self.kind,
            pod=self.pod,
            capacity_classes=self.classes,
            reasons=numbers,
            replay=replay,
        )


class Streaming(Protocol):
    """What is needed of a client."""

    def stream(self, method: str, request: Any) -> AsyncGenerator[Any, None]:
        """Make a call that is answered many times; raises `ServiceError`."""
        ...


Connect = Callable[[Target, Settings], AbstractAsyncContextManager[Streaming]]


class _MovedError(Exception):
    """The replica that is followed decides no more."""


class Watching:
    """Follows.

    Args:
        target: which service.
        settings: where the cluster is.
        wanted: which decisions.
        show: prints one.
        note: tells of what went wrong, in a sentence.
        connect: makes a client; the default is that of all commands.
        timing: where clock, sleep and jitter come from.
    """

    def __init__(
        self,
        target: Target,
        settings: Settings,
        wanted: Narrowing,
        show: Callable[[Entry], None],
        note: Callable[[str], None],
        *,
        connect: Connect = connected,
        timing: Timing | None = None,
    ) -> None:
        self._target, self._settings, self._wanted = target, settings, wanted
        self._show, self._note = show, note
        self._connect = connect
        self._timing = timing or Timing()
        self._backoff = Backoff(self._timing.uniform, cap=LONGEST)
        self._shown: OrderedDict[tuple[float, int, str], None] = OrderedDict()
        self._began = 0.0
        self._obstacle: Reason | None = None
        self._followed = self._lost = self._looked = False
        self._now = self._timing.now

    async def run(self, last: int) -> None:
        """Follow for ever, after the last so many decisions.

        Raises:
            ServiceError: there is no service to begin with, or it refuses.
            ApiError: the API server cannot be reached to begin with, or refuses.
            ConfigError: the request asks for what cannot be.
        """
        gap, replay = False, last
        while True:
            try:
                async with self._connect(self._target, self._settings) as client:
                    await self._follow(client, replay, gap=gap)
            except _MovedError:
                self._note("another replica makes the decisions now; looking for it")
            except (ServiceError, ApiError) as error:
                if not self._followed:
                    raise
                if not self._lost:
                    self._note(f"lost the service, trying again: {error}")
                    self._lost = True
            gap, replay = True, MEANWHILE
            await self._timing.sleep(self._backoff.next())

    async def _follow(self, client: Streaming, replay: int, *, gap: bool) -> None:
        self._obstacle = None
        async with aclosing(client.stream("WatchDecisions", self._wanted.request(replay))) as answers:
            async for answer in answers:
                self._backoff.reset()
                if self._lost:
                    self._note("following again")
                    self._lost = False
                if not self._followed:
                    self._followed = True
                    self._began = self._now()
                self._take(answer, gap=gap)

    def _take(self, answer: Any, *, gap: bool) -> None:
        if answer.lost:
            self._note(f"{answer.lost} decision{'s' * (answer.lost != 1)} lost: they came faster than they were read")
        for entry in entries_of(answer):
            self._show_once(entry, gap=gap)
        obstacle = reason_of(answer.obstacle)
        if obstacle is self._obstacle:
            return
        self._obstacle = obstacle
        if obstacle is None:
            self._looked = False
        elif obstacle is Reason.NOT_LEADER and not self._target.server and not self._looked:
            # Once: where no other replica is found, this one is put up with.
            self._looked = True
            raise _MovedError
        else:
            self._note(f"the replica that is followed makes no decisions: {obstacle.text}")

    def _show_once(self, entry: Entry, *, gap: bool) -> None:
        """Show a decision, unless it is replayed after a gap and was shown before it, or made before all that."""
        key = (entry.at, entry.number, entry.pod_uid)
        if gap and (key in self._shown or entry.at < self._began):
            return
        self._began = min(self._began, entry.at)
        self._shown[key] = None
        if len(self._shown) > MEANWHILE:
            self._shown.popitem(last=False)
        self._show(entry)
