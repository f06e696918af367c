"""Tells people what the drift loop does and why it does not: Events, metrics and logs."""

import logging
from collections.abc import Collection, Container, Iterable

from extender.core.drift.eviction import Answer, Outcome
from extender.core.drift.history import Judgement
from extender.core.drift.moves import DriftPlan, Move, PlanFault, Stay, WorkloadRef
from extender.core.drift.rules import DriftRules
from extender.core.model.eventreasons import EventReason
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.core.state.state import ClusterState
from extender.kube.regarding import Regarding
from extender.runtime.drift.blocked import Blocked, BlockedReports
from extender.runtime.drift.context import Channels
from extender.runtime.drift.reminders import Reminders
from extender.telemetry.logs import logger
from extender.telemetry.vocabulary import named

_TOLD = (Reason.BUDGETS, Reason.PROTECTION_MALFORMED)
"""Reasons to stay that somebody has to put right, and that are told of at once."""

_REFUSED = ("blocked", "refused", "unanswered")
"""Results of attempts that tell of more than bad timing."""

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
        Reason.STAY_POOL_FULL,
        Reason.STAY_LIMIT_REACHED,
    )
)
"""Reasons for which a pod may stay on an interrupted node to the end."""


class DriftReports:
    """Events, metrics and logs of the drift loop.

    Args:
        state: the cluster.
        channels: where it is told.
        rules: how long a workload is left alone.
    """

    def __init__(self, state: ClusterState, channels: Channels, rules: DriftRules) -> None:
        self._state = state
        self._recorder = channels.recorder
        self._metrics = channels.metrics
        self._faults = channels.faults
        self._rules = rules
        self._log = logger()
        self._blocked = BlockedReports(rules.blocked_after)
        self._told = Reminders()
        self._held = Reminders()
        self._leaving: set[str] = set()

    def go_by(self, rules: DriftRules) -> None:
        """Tell by other rules from now on."""
        self._rules = rules
        self._blocked.go_by(rules.blocked_after)

    def attempted(self, move: Move, outcome: Outcome, now: float, *, dry: bool) -> None:
        """A move was tried; `now` is in seconds since the epoch."""
        if outcome.sent:
            self._metrics.evicted(outcome.answer, dry=dry)
        if outcome.answer is Answer.DROPPED:
            return
        result = outcome.result(dry=dry)
        self._metrics.moved(result, move.reason, dry=dry)
        self._log.log(
            logging.INFO if outcome.answer is Answer.EVICTED else logging.WARNING,
            "move",
            outcome=result,
            workload=named(move.workload.kind, move.workload.name),
            namespace=move.pod.namespace,
            pod=move.pod.name,
            node=move.node,
            class_=move.destination,
            reason=str(move.reason),
            dry=dry,
            error=outcome.text,
        )
        if outcome.answer is Answer.EVICTED:
            self._blocked.moved(move.workload.uid)
        if result == "would-move":
            text = f"Dry run: would evict {move.pod.name} from {move.source} node {move.node}: {_why(move)}"
            self._emit(move.workload, EventReason.WOULD_MOVE, "None", text, related=Regarding.pod(move.pod))
        elif result == "started" and move.reason is Reason.INTERRUPTED:
            self._left(move)
        elif result == "started":
            text = f"from {move.source} node {move.node}: {_why(move)}"
            on_pod = Regarding.pod(move.pod)
            self._emit(
                move.workload, EventReason.MOVE_STARTED, "Evict", f"Evicted {move.pod.name} {text}", related=on_pod
            )
            self._on_pod(move.pod, EventReason.MOVE_STARTED, "Evict", f"Evicted {text}", self._node(move.node))
        elif result in _REFUSED and move.reason is Reason.SURPLUS:
            self._tell_blocked(self._blocked.refused(move, outcome.text, now))

    def judged(self, verdict: Judgement, until: float, now: float, *, opened: bool) -> None:
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
            where = f"on {verdict.landed} node {verdict.node}"
            text = f"{verdict.replacement.name} replaces {move.pod.name}, {where}"
            on_pod = Regarding.pod(verdict.replacement)
            self._emit(move.workload, EventReason.MOVED, "Evict", text, related=on_pod)
            text = f"It replaces {move.pod.name}, which was moved from {move.source}, {where}"
            self._on_pod(verdict.replacement, EventReason.MOVED, "Evict", text, self._regarding(move.workload))
        elif outcome in (Reason.LANDED_WRONG, Reason.NO_REPLACEMENT):
            wait = f"; no other such move for {until - now:.0f} s" if until > now and not opened else ""
            self._emit(move.workload, EventReason.MOVE_IN_VAIN, "BackOff", f"{self._in_vain(verdict)}{wait}")
        elif outcome is Reason.STUCK:
            text = (
                f"{move.pod.name} on node {move.node} should have ended a minute ago; "
                "nothing of this workload is moved until it does, and nobody forces it to"
            )
            self._emit(move.workload, EventReason.MOVE_STUCK, "Wait", text)
            self._on_pod(move.pod, EventReason.MOVE_STUCK, "Wait", text, self._node(move.node))
        if opened:
            self._metrics.gave_up()
            reset = self._rules.circuit_reset / 3600
            text = (
                f"Moves from {move.source} to {move.destination} were in vain several times; "
                f"its pods are left where they are for {reset:g} h, or until its policy changes"
            )
            self._emit(move.workload, EventReason.CIRCUIT_OPEN, "GiveUp", text)

    def broke(self, fault: PlanFault) -> None:
        """A workload met a fault of our own."""
        broken = self._regarding(fault.workload)
        if self._faults is not None and broken is not None:
            self._faults.met("plan", broken, fault.text)

    def planned(self, looked_at: Collection[str], plan: DriftPlan, now: float) -> None:
        """Workloads were looked at (UIDs): tell of what keeps pods where they are; `now` in seconds since the epoch."""
        for stay in plan.stays:
            if stay.reason in _TOLD:
                about = "" if stay.reason is Reason.BUDGETS else stay.pod.uid
                if self._told.is_due(stay.workload.uid, (about, stay.reason, stay.detail), now):
                    self._tell(stay)
        self._told.end(looked_at)
        for fault in plan.faults:
            self.broke(fault)
        nodes = self._state.interrupted_nodes
        interrupted: list[Stay] = []
        staying: list[Stay] = []
        for stay in plan.stays:
            record = self._state.pods.get(stay.pod.uid) if nodes else None
            (interrupted if record is not None and record.node in nodes else staying).append(stay)
        self._interrupted(looked_at, interrupted, plan, now)
        moving = {move.workload.uid for move in plan.moves if move.reason is Reason.SURPLUS}
        for blocked in self._blocked.planned(looked_at, staying, moving, now):
            self._tell_blocked(blocked)

    def keep(self, known: Container[str]) -> None:
        """Forget workloads that are not among `known` (UIDs)."""
        self._blocked.keep(known)
        self._told.keep(known)
        self._held.keep(known)
        self._leaving = {uid for uid in self._leaving if uid in known}

    def _interrupted(self, looked_at: Iterable[str], staying: Collection[Stay], plan: DriftPlan, now: float) -> None:
        """Tell of workloads whose pods cannot leave interrupted nodes; of those that leave, each move tells."""
        leaving = {move.workload.uid for move in plan.moves if move.reason is Reason.INTERRUPTED}
        self._leaving.difference_update(set(looked_at) - {stay.workload.uid for stay in staying})
        self._leaving |= leaving
        for stay in staying:
            awaits = stay.reason in _AWAITED and stay.workload.uid in self._leaving
            if stay.reason in _HOLDS and not awaits and self._held.is_due(stay.workload.uid, stay.node, now):
                detail = f" ({stay.detail})" if stay.detail else ""
                text = (
                    f"A pod stays on spot node {stay.node}, which is about to be taken away: "
                    f"{stay.reason.text}{detail}; it is replaced when it is lost"
                )
                node = self._node(stay.node)
                self._emit(stay.workload, EventReason.INTERRUPTION_BLOCKED, "Stay", text, same=stay.node, related=node)
        self._held.end(looked_at)

    def unreadable(self, subject: WorkloadRef, fault: str) -> None:
        """What was stored of a workload does not decode."""
        text = f"What is stored of its earlier moves cannot be read, so no pod of it is moved: {fault}"
        self._emit(subject, EventReason.HISTORY_UNREADABLE, "LeaveAlone", text)

    def _left(self, move: Move) -> None:
        """A pod leaves an interrupted node."""
        node = self._state.nodes.get(move.node)
        marker = node.facts.going_away if node is not None and node.facts is not None else ""
        lost = f"spot node {move.node} is about to be taken away{marker and f' ({marker})'}"
        on_node, reason = self._node(move.node), EventReason.INTERRUPTION_HANDLED
        text = f"Its {lost}: pods leave it early, their replacements go to {move.destination}"
        same = f"{move.node} {move.destination}"
        self._emit(move.workload, reason, "Evict", text, same=same, related=on_node)
        text = f"Evicted early, as its {lost}; its replacement goes to {move.destination}"
        self._on_pod(move.pod, reason, "Evict", text, on_node)

    def _tell_blocked(self, blocked: Blocked | None) -> None:
        if blocked is not None:
            given = (blocked.workload, EventReason.MOVE_BLOCKED, "LeaveAlone", blocked.text)
            if not self._emit(*given, same=blocked.same, related=blocked.pod):
                self._blocked.dropped(blocked)

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

    def _in_vain(self, verdict: Judgement) -> str:
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
            f"it was not placed on {move.destination}, though {move.target} had room when it was planned"
            if placeable
            else f"there is no {move.destination} node any more"
        )
        return f"{replacement.name} replaces {move.pod.name} on {verdict.landed} node {verdict.node}: {why}"

    def _emit(
        self,
        subject: WorkloadRef,
        reason: EventReason,
        action: str,
        text: str,
        *,
        same: str | None = None,
        related: Regarding | None = None,
    ) -> bool:
        """See `EventRecorder.emit`; nothing is told of what is gone."""
        regarding = self._regarding(subject)
        return regarding is None or self._recorder.emit(regarding, reason, action, text, same=same, related=related)

    def _on_pod(
        self, pod: PodId, reason: EventReason, action: str, text: str, related: Regarding | None = None
    ) -> None:
        self._recorder.emit(Regarding.pod(pod), reason, action, text, related=related)

    def _regarding(self, subject: WorkloadRef) -> Regarding | None:
        """The reference to a workload; None when it is gone."""
        known = self._state.workloads.by_uid.get(subject.uid) or self._state.workloads.owners.get(subject.uid)
        if known is None:
            return None
        return Regarding(subject.kind, known.api_version, subject.namespace, subject.name, subject.uid)

    def _node(self, name: str) -> Regarding | None:
        node = self._state.nodes.get(name)
        return Regarding.node(node) if node is not None else None


def _why(move: Move) -> str:
    return f"{move.reason.text}; its replacement goes to {move.destination}"
