"""Tells of policies that are wrong: logs on every replica, Events from the one that decides, while they are.

And of Jobs that go to on-demand, as their policies say, after some interruptions.
"""

import asyncio
from collections.abc import Callable, Sequence

from extender.core.model.eventreasons import EventReason
from extender.core.policy.managed import PolicyChanged
from extender.core.policy.policy import Problem
from extender.core.policy.provenance import HELD, SPLIT_KEPT, standing_of_policy
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Workloads
from extender.core.state.outbox import Effect, GoesOnDemand
from extender.kube.occurrences import RETELL
from extender.kube.recorder import EventRecorder
from extender.kube.regarding import Regarding
from extender.kube.seams import Timing
from extender.telemetry.logs import logger
from extender.telemetry.vocabulary import named

# Workloads looked at between two looks at the event loop.
SLICE = 500
# When those are tried again that there were too many for, and what is wrong for many is logged again (seconds).
AGAIN = 60.0
_REMEMBERED = 1000


class PolicyReports:
    """Logs and Events about policies that are wrong.

    Args:
        workloads: all that have a policy.
        recorder: posts Events.
        decides: whether this replica decides, and so speaks for all.
        timing: where time comes from.
    """

    def __init__(
        self,
        workloads: Workloads,
        recorder: EventRecorder,
        decides: Callable[[], bool],
        *,
        timing: Timing | None = None,
    ) -> None:
        self._workloads = workloads
        self._recorder = recorder
        self._decides = decides
        self._timing = timing or Timing()
        self._invalid: set[str] = set()
        self._logged: dict[Problem, float] = {}
        self._log = logger()

    def observe(self, effect: Effect, _now: float) -> None:
        """A policy was read for the first time, changed, or went with its workload; or has a Job go to on-demand."""
        if isinstance(effect, PolicyChanged):
            self._changed(effect)
        elif isinstance(effect, GoesOnDemand) and self._decides():
            workload, job = effect.managed.workload, effect.managed.revision
            after = workload.on_demand_after
            text = f"{after.count if after is not None else 0} of its pods were lost to interruptions"
            of_job = Regarding(job.kind, job.api_version, job.namespace, job.name, job.uid)
            reason = EventReason.INTERRUPTED_TOO_OFTEN
            self._recorder.emit(of_job, reason, "GoOnDemand", f"{text}: the others go to on-demand")

    def _changed(self, change: PolicyChanged) -> None:
        workload = change.workload
        problems = () if change.gone else workload.parsed.problems
        for problem in problems:
            if not self._is_news(problem, workload):
                continue
            self._log.warning(
                "policy warning" if problem.warning else "policy invalid",
                workload=named(workload.kind, workload.name),
                namespace=workload.namespace,
                error=problem.text,
            )
        if self._decides():
            self._post(change)

    def _is_news(self, problem: Problem, workload: Workload) -> bool:
        """Whether to log a problem. What a Namespace or the configuration says is wrong for very many at once."""
        if problem.source.endswith(f"{workload.namespace}/{workload.name}"):
            return True
        now = self._timing.clock()
        if now - self._logged.get(problem, -AGAIN) < AGAIN:
            return False
        if len(self._logged) >= _REMEMBERED:
            self._logged.clear()
        self._logged[problem] = now
        return True

    async def run(self) -> None:
        """Post the Events of all that is wrong, and again while it is, until cancelled.

        Whoever decided before may not have come to it, and the API server forgets Events.
        """
        while True:
            left = list(self._workloads.by_uid)
            self._invalid &= self._workloads.by_uid.keys()
            begun = self._timing.clock()
            while left:
                left = await self._post_all(left)
                await self._timing.sleep(AGAIN if left else 0.0)
            await self._timing.sleep(max(0.0, RETELL - (self._timing.clock() - begun)))

    async def _post_all(self, uids: Sequence[str]) -> list[str]:
        """Post the Events of workloads; those that there were too many for."""
        left = []
        for start in range(0, len(uids), SLICE):
            for uid in uids[start : start + SLICE]:
                workload = self._workloads.by_uid.get(uid)
                if workload is not None and not self._post(PolicyChanged(workload)):
                    left.append(uid)
            await asyncio.sleep(0)
        return left

    def _post(self, change: PolicyChanged) -> bool:
        """Post the Events of a policy; False when one was dropped."""
        workload = change.workload
        if change.gone or workload.parsed.valid:
            if workload.uid in self._invalid and not change.gone:
                text = "What was wrong with its policy has been put right: it applies as it is written"
                self._recorder.emit(Regarding.of(workload), EventReason.POLICY_VALID, "ApplyPolicy", text)
            self._invalid.discard(workload.uid)
        else:
            self._invalid.add(workload.uid)
        taken = True
        for problem in () if change.gone else workload.parsed.problems:
            taken &= self._recorder.emit(
                Regarding.of(workload),
                EventReason.POLICY_WARNING if problem.warning else EventReason.POLICY_INVALID,
                _action(workload),
                problem.text if problem.warning else f"{problem.text}; {_consequence(change)}",
            )
        return taken


def _action(workload: Workload) -> str:
    return {HELD: "HoldOnDemand", SPLIT_KEPT: "HoldMoves"}.get(standing_of_policy(workload), "KeepPolicy")


def _consequence(change: PolicyChanged) -> str:
    standing = standing_of_policy(change.workload)
    if standing == HELD:
        return "all its pods are held on-demand until then"
    if standing == SPLIT_KEPT:
        return "its split is kept, and none of its pods is moved until then"
    return "its last valid policy keeps applying until then"
