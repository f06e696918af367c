"""Tells people what the drift loop does and why it does not: Events, metrics and logs."""

import logging
from collections.abc import Iterable

from extender.core.drift.history import Verdict
from extender.core.drift.moves import DriftPlan, Move, PodId, Stay, Subject
from extender.core.drift.rules import DriftRules
from extender.core.eventreasons import EventReason
from extender.core.reasons import Reason
from extender.core.state import ClusterState
from extender.kube.recorder import EventRecorder, Regarding
from extender.runtime.drift.mover import Attempt
from extender.telemetry.drift import DriftMetrics
from extender.telemetry.logs import logger
from extender.telemetry.vocabulary import named

_TOLD = (Reason.BUDGETS, Reason.PROTECTION_MALFORMED)
"""Reasons to stay that somebody has to put right. The others are in the metrics and in `spotmix drift plan`."""


_AWAITED = (Reason.BUDGET, Reason.BUDGET_STALE, Reason.UNAVAILABLE)
"""Reasons for which a pod stays on an interrupted node while others of its workload leave before it."""

_HOLDS = frozenset(
    (
        *_AWAITED,
        Reason.PROTECTED,
        Reason.NO_NODE,
        Reason.NOT_ADMITTED,
        Reason.NO_ROOM,
        Reason.VOLUME,
        Reason.HOST_PORT,
        Reason.AFFINITY,
        Reason.SPREAD,
        Reason.POOL_CAP,
    )
)
"""Reasons for which a pod may stay on an interrupted node to the end."""


class DriftReports:
    """See the module.

    Args:
        state: the cluster.
        recorder: posts Events.
        metrics: counts.
        rules: how long a workload is left alone.
    """

    def __init__(self, state: ClusterState, recorder: EventRecorder, metrics: DriftMetrics, rules: DriftRules) -> None:
        self._state = state
        self._recorder = recorder
        self._metrics = metrics
        self._rules = rules
        self._log = logger()
        self._told: dict[str, set[tuple[str, Reason, str]]] = {}
        self._leaving: set[str] = set()

    def attempted(self, move: Move, attempt: Attempt, *, dry: bool) -> None:
        """A move was tried."""
        if attempt.outcome is not None:
            self._metrics.evicted(str(attempt.outcome.answer), dry=dry)
        if attempt.result == "dropped":
            return
        self._metrics.moved(attempt.result, move.reason, dry=dry)
        self._log.log(
            logging.INFO if attempt.result in ("started", "would-move") else logging.WARNING,
            "move",
            outcome=attempt.result,
            workload=named(move.workload.kind, move.workload.name),
            namespace=move.pod.namespace,
            pod=move.pod.name,
            node=move.node,
            class_=move.destination,
            reason=str(move.reason),
            dry=dry,
            error=attempt.text,
        )
        if attempt.result == "started":
            text = f"Evicted {move.pod.name} from {move.source} node {move.node}: {_why(move)}"
            self._emit(move.workload, EventReason.MOVE_STARTED, "Evict", text)
            self._on_pod(
                move.pod,
                EventReason.MOVE_STARTED,
                "Evict",
                f"Evicted from {move.source} node {move.node}: {_why(move)}",
            )
        elif attempt.result == "would-move":
            text = f"Dry run: would evict {move.pod.name} from {move.source} node {move.node}: {_why(move)}"
            self._emit(move.workload, EventReason.WOULD_MOVE, "None", text)

    def judged(self, verdict: Verdict, until: float, now: float, *, opened: bool) -> None:
        """There is something new to tell of a move.

        Args:
            verdict: what became of it.
            until: when the next such move of the workload may be made (seconds since the epoch), 0 for at once.
            now: seconds since the epoch.
            opened: whether that was the last one for a long time.
        """
        move, outcome = verdict.in_flight.move, verdict.outcome
        result = "unanswered" if outcome is Reason.REFUSED else str(outcome)
        if outcome is not Reason.REFUSED:
            # One that was never answered has been counted when nobody answered.
            self._metrics.moved(result, move.reason, dry=False)
        self._log.info(
            "move judged",
            outcome=str(outcome),
            workload=named(move.workload.kind, move.workload.name),
            namespace=move.pod.namespace,
            pod=move.pod.name,
            replacement=verdict.replacement.name if verdict.replacement else "",
            node=verdict.node,
            class_=verdict.landed,
            reason=str(move.reason),
        )
        if outcome is Reason.MOVED and verdict.replacement is not None:
            text = f"{verdict.replacement.name} replaces {move.pod.name}, on {verdict.landed} node {verdict.node}"
            self._emit(move.workload, EventReason.MOVED, "Evict", text)
        elif outcome in (Reason.LANDED_WRONG, Reason.NO_REPLACEMENT):
            wait = f"; no other such move for {until - now:.0f} s" if until > now and not opened else ""
            self._emit(move.workload, EventReason.MOVE_IN_VAIN, "BackOff", f"{self._in_vain(verdict)}{wait}")
        elif outcome is Reason.STUCK:
            text = (
                f"{move.pod.name} on node {move.node} should have ended a minute ago; "
                "nothing of this workload is moved until it does, and nobody forces it to"
            )
            self._emit(move.workload, EventReason.MOVE_STUCK, "Wait", text)
            self._on_pod(move.pod, EventReason.MOVE_STUCK, "Wait", text)
        if opened:
            self._metrics.gave_up()
            reset = self._rules.circuit_reset / 3600
            text = (
                f"Moves from {move.source} to {move.destination} were in vain several times; "
                f"its pods are left where they are for {reset:g} h, or until its policy changes"
            )
            self._emit(move.workload, EventReason.CIRCUIT_OPEN, "GiveUp", text)

    def planned(self, looked_at: Iterable[str], plan: DriftPlan) -> None:
        """Workloads were looked at (UIDs): tell once of what keeps pods where they are and has to be put right."""
        found: dict[str, set[tuple[str, Reason, str]]] = {}
        for stay in plan.stays:
            if stay.reason in _TOLD:
                about = stay.workload.uid if stay.reason is Reason.BUDGETS else stay.pod.uid
                key = (about, stay.reason, stay.detail)
                keys = found.setdefault(stay.workload.uid, set())
                if key not in keys and key not in self._told.get(stay.workload.uid, ()):
                    self._tell(stay)
                keys.add(key)
        looked_at = list(looked_at)
        for uid in looked_at:
            self._told.pop(uid, None)
        self._told.update(found)
        self._interrupted(looked_at, plan)

    def _interrupted(self, looked_at: Iterable[str], plan: DriftPlan) -> None:
        """Tell of workloads whose pods cannot leave interrupted nodes; of those that leave, each move tells."""
        nodes = self._state.interrupted_nodes
        staying = []
        for stay in plan.stays if nodes else ():
            record = self._state.pods.get(stay.pod.uid)
            if record is not None and record.node in nodes:
                staying.append(stay)
        leaving = {move.workload.uid for move in plan.moves if move.reason is Reason.INTERRUPTED}
        self._leaving.difference_update(set(looked_at) - {stay.workload.uid for stay in staying})
        self._leaving |= leaving
        for stay in staying:
            if stay.reason in _HOLDS and not (stay.reason in _AWAITED and stay.workload.uid in self._leaving):
                text = f"Pods stay on spot nodes that are about to be taken away: {stay.reason.text}"
                self._emit(stay.workload, EventReason.INTERRUPTION_BLOCKED, "Stay", text, once=True)

    def unreadable(self, subject: Subject, fault: str) -> None:
        """What was stored of a workload does not decode."""
        text = f"What is stored of its earlier moves cannot be read, so no pod of it is moved: {fault}"
        self._emit(subject, EventReason.HISTORY_UNREADABLE, "LeaveAlone", text)

    def _tell(self, stay: Stay) -> None:
        if stay.reason is Reason.BUDGETS:
            text = (
                f"PodDisruptionBudgets {stay.detail} select the same pods, so the API refuses every eviction of them; "
                "let one budget select each pod"
            )
            self._emit(stay.workload, EventReason.BUDGETS_OVERLAP, "LeaveAlone", text)
            return
        text = f"{stay.detail} cannot be read, so the pod is not moved; write true, false or a duration such as 30m"
        self._on_pod(stay.pod, EventReason.PROTECTION_MALFORMED, "LeaveAlone", text)

    def _in_vain(self, verdict: Verdict) -> str:
        move, replacement = verdict.in_flight.move, verdict.replacement
        if replacement is None:
            return f"No pod has come in the place of {move.pod.name}: see its controller's Events"
        if not verdict.landed:
            waiting = self._state.waiting.get(replacement.uid)
            why = waiting.reason.text.removeprefix("spotmix: ") if waiting else "see its Events"
            return f"{replacement.name} replaces {move.pod.name} and is on no node yet: {why}"
        if verdict.outcome is Reason.NO_REPLACEMENT:
            return f"{replacement.name} replaces {move.pod.name} and is not Ready in time on node {verdict.node}"
        placeable = self._state.placeable.get(move.destination)
        why = (
            f"no {move.destination} node took it, though {move.target} had room when it was planned"
            if placeable
            else f"there is no {move.destination} node any more"
        )
        return f"{replacement.name} replaces {move.pod.name} on {verdict.landed} node {verdict.node}: {why}"

    def _emit(self, subject: Subject, reason: EventReason, action: str, text: str, *, once: bool = False) -> None:
        workload = self._state.workloads.by_uid.get(subject.uid)
        owner = self._state.workloads.owners.get(subject.uid)
        known = workload or owner
        if known is None:
            return
        regarding = Regarding(subject.kind, known.api_version, subject.namespace, subject.name, subject.uid)
        self._recorder.emit(regarding, reason, action, text, once=once)

    def _on_pod(self, pod: PodId, reason: EventReason, action: str, text: str) -> None:
        regarding = Regarding("Pod", "v1", pod.namespace, pod.name, pod.uid)
        self._recorder.emit(regarding, reason, action, text)


def _why(move: Move) -> str:
    return f"{move.reason.text}; its replacement goes to {move.destination}"
