"""What is on each page: what is shown of the core's answers, in which order, and how much of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from extender.core.answers.faults import answering
from extender.core.answers.nodes import STAND_IN, UNUSED, WANTED
from extender.core.answers.overview import Condition, WorkloadRow, totals_of
from extender.core.answers.pod import explain_pod_in_steps
from extender.core.answers.workload import PodRow, WorkloadExplanation, explain_owner
from extender.core.drift.moves import DriftPlan, Move, Stay
from extender.core.model.access import Attributes, get_workload
from extender.core.model.objects import Owner
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed
from extender.core.state.lookup import find_owner, find_pod, kind_named
from extender.servers.answers.pace import in_turns, some_of
from extender.servers.answers.search import matches
from extender.servers.answers.shared import SharedAnswers
from extender.servers.console.bars import bar_of, share
from extender.servers.console.live import wanted_of
from extender.servers.console.nodes import nodes_context
from extender.servers.console.query import Query, numbered, page_of
from extender.servers.console.rendering import decision_row
from extender.servers.console.runs import runs_of

RECENT = 100
"""Decisions that the live page begins with."""

OF_WORKLOAD = 20
"""Decisions shown of a workload, or of a pod; such as repeat one another are shown as one."""

LOOKED_AT = 500
"""Decisions that these are made of."""

ROLES = {WANTED: "its seat's class", STAND_IN: "may stand in", UNUSED: "not for this pod"}
"""What a class is to a pod, for people."""

MOVES = 100
"""Moves shown of those that come next."""

NAMED = 5
"""Pods that are named of those that stay for one reason."""

AUDITED = "audited"

Context = dict[str, Any]
Ascending = Callable[[WorkloadRow], Any]

ORDERS: Mapping[str, Ascending] = {
    "worst": lambda _row: 0,
    "name": lambda row: (row.name, row.namespace),
    "share": lambda row: -abs((share(row.actual) or 0.0) - (share(row.wanted) or 0.0)),
    "replicas": lambda row: -row.replicas,
    "surplus": lambda row: -row.surplus,
    "missing": lambda row: -row.missing,
}
"""How the overview can be sorted; as it comes it is sorted by how bad it looks."""


class PageNotFoundError(Exception):
    """There is no such page; the text says what there is not."""


class Pages:
    """The contexts that templates are rendered with.

    Args:
        shared: the overview and the plan, and what there is to show.
    """

    def __init__(self, shared: SharedAnswers) -> None:
        self._sources = shared.sources
        self._shared = shared

    def common(self, section: str, query: Query) -> Context:
        """What every page has."""
        sources = self._sources
        return {
            "section": section,
            "query": query,
            "now": sources.now(),
            "version": sources.version,
            "obstacle": sources.obstacle(),
            "drift_mode": sources.drifting.mode,
        }

    async def overview(self, query: Query) -> Context:
        """Every workload, worst first."""
        seen = await self._shared.overview()
        words = query.words()
        show = query.choice("show", ("", *(condition.value for condition in Condition), AUDITED))
        order = query.choice("sort", tuple(ORDERS))
        namespace = query.text("namespace")
        confined = [row for row in seen.workloads if namespace in ("", row.namespace)]
        rows = [row for row in confined if _shown(row, show) and matches(words, row.kind, row.namespace, row.name)]
        if order != "worst":
            rows.sort(key=ORDERS[order])
        totals = totals_of(confined, seen.totals.nodes) if namespace else seen.totals
        return {
            "at": seen.at,
            "totals": totals,
            "bar": bar_of(totals.wanted, totals.actual),
            "shares": (share(totals.actual), share(totals.wanted)),
            "filters": [
                *((condition.value, str(condition), totals.conditions[condition]) for condition in Condition),
                (AUDITED, "audit mode", totals.audited),
            ],
            "show": show,
            "order": order,
            "orders": ORDERS,
            "page": page_of(rows, query.number("page")),
            "bar_of": bar_of,
            "share": share,
        }

    def workload(self, query: Query, parts: Sequence[str]) -> Context:
        """One workload.

        Raises:
            PageNotFoundError: there is none of this name.
            WorkloadFaultError: it met a fault of our own.
        """
        namespace, kind, name = (unquote(part) for part in parts)
        owner = self._owner(namespace, kind, name)
        if owner is None:
            raise PageNotFoundError(f"There is no {kind} {namespace}/{name}, or Spotmix does not know it.")
        sources = self._sources
        with answering(sources.state, namespace, owner.ref, sources.met):
            seen = explain_owner(sources.state, owner, sources.now())
            planned = self._shared.plan_for(seen.workload.uid) if seen.row is not None else DriftPlan()
        history = self._sources.drifting.history().get(seen.workload.uid)
        return {
            "asked": owner,
            "seen": seen,
            "bar": bar_of(seen.row.wanted, seen.row.actual) if seen.row is not None else None,
            "shares": (share(seen.row.actual), share(seen.row.wanted)) if seen.row is not None else (None, None),
            "plan": planned,
            "in_flight": history.in_flight if history is not None else [],
            "stays": _grouped(planned),
            "named": NAMED,
            "sizes": {row.revision.name: row.replicas for row in seen.revisions if row.replicas is not None},
            "pools": _pools_of(seen),
            "page": page_of(seen.pods, query.number("page")),
            "decisions": runs_of(self._sources.decisions.of_workload(seen.workload.uid, LOOKED_AT), OF_WORKLOAD),
            "decision_row": decision_row,
        }

    async def pod(self, _query: Query, parts: Sequence[str]) -> Context:
        """Why a pod is where it is, or waits.

        Raises:
            PageNotFoundError: there is none of this name, and nothing was decided on one.
            WorkloadFaultError: its workload met a fault of our own.
        """
        namespace, name = (unquote(part) for part in parts)
        state, log = self._sources.state, self._sources.decisions
        record = find_pod(state, namespace, name)
        asked = {"namespace": namespace, "name": name}
        common = {"asked": asked, "decision_row": decision_row, "roles": ROLES}
        if record is None:
            decisions = [each for each in log.latest(len(log)) if (each.pod, each.namespace) == (name, namespace)]
            if not decisions:
                raise PageNotFoundError(f"There is no Pod {namespace}/{name}, or Spotmix does not know it.")
            return {**common, "seen": None, "decisions": runs_of(decisions, OF_WORKLOAD)}
        owner = record.revision.owner if record.revision is not None else None
        with answering(state, namespace, owner, self._sources.met):
            seen = await in_turns(explain_pod_in_steps(state, record, self._sources.now()))
            planned = DriftPlan()
            if seen.workload is not None and self._sources.drifting.mode != "off":
                planned = self._shared.plan_for(seen.workload.uid)
        return {
            **common,
            "seen": seen,
            "keeps": [(stay.reason, stay.detail) for stay in planned.stays if stay.pod.uid == record.uid],
            "moves": [move for move in planned.moves if move.pod.uid == record.uid],
            "decisions": runs_of(log.of_pod(record.uid, LOOKED_AT), OF_WORKLOAD),
        }

    def right_above(self, path: Sequence[str]) -> Attributes | None:
        """The right that the page of an owner takes beside its own: to see the workload that it belongs to."""
        if len(path) != 4 or path[0] != "workloads":
            return None
        owner = self._owner(*(unquote(part) for part in path[1:]))
        if owner is None:
            return None
        ref = owner.ref
        managed = self._sources.state.workloads.resolve(owner.namespace, ref)
        return get_workload(owner.namespace, managed.workload.name) if isinstance(managed, Managed) else None

    def _owner(self, namespace: str, kind: str, name: str) -> Owner | None:
        """The object of that name; of a CronJob the youngest of its Jobs, which carries the policy."""
        state = self._sources.state
        owner = find_owner(state, *kind_named(kind), namespace, name)
        if owner is None or owner.kind != "CronJob":
            return owner
        jobs = [state.workloads.owners[uid] for uid in state.workloads.children.get(owner.uid, ())]
        return max(jobs, key=lambda job: job.created, default=owner)

    def nodes(self, query: Query) -> Context:
        """Node pools and nodes."""
        return nodes_context(self._sources, query)

    def live(self, query: Query) -> Context:
        """The last decisions, newest first; of `#123`, which logs and traces name, that one alone."""
        kept, wanted = self._sources.decisions, wanted_of(query)
        latest = kept.latest(RECENT)
        found = kept.numbered(numbered(query.words()))
        entries = [found] if found is not None and wanted(found) else list(filter(wanted, latest))
        return {
            "entries": entries,
            "last": latest[0].number if latest else 0,
            "decision_row": decision_row,
        }

    async def plan(self, query: Query) -> Context:
        """What the drift loop would do, and what keeps it from doing more."""
        made = await self._shared.plan()
        words, namespace = query.words(), query.text("namespace")

        def told(each: Move | Stay) -> bool:
            if namespace not in ("", each.workload.namespace):
                return False
            return matches(words, each.workload.namespace, each.workload.name, each.pod.name, str(each.reason))

        drifting = self._sources.drifting
        confined = made.plan.stays
        if namespace:
            confined = tuple(await some_of(made.plan.stays, lambda stay: stay.workload.namespace == namespace))
        stays = await some_of(confined, told) if words else confined
        moves = await some_of(made.plan.moves, told)
        in_flight = drifting.history().in_flight()
        return {
            "off": made.off,
            "moves": moves[:MOVES],
            "all_moves": len(moves),
            "paused": made.plan.paused,
            "in_flight": [each for each in in_flight if namespace in ("", each.move.workload.namespace)],
            "staying": len(confined),
            "reasons": Counter(stay.reason for stay in confined).most_common(),
            "page": page_of(stays, query.number("page")),
        }


def _shown(row: WorkloadRow, show: str) -> bool:
    if show == AUDITED:
        return row.mode == "audit"
    return not show or any(condition.value == show for condition in row.conditions)


def _grouped(plan: DriftPlan) -> list[tuple[Stay, list[str]]]:
    """Pods that stay for one reason, by name; where most do comes first."""
    groups: dict[tuple[str, str, Reason, str], tuple[Stay, list[str]]] = {}
    for stay in plan.stays:
        key = (stay.source, stay.destination, stay.reason, stay.detail)
        groups.setdefault(key, (stay, []))[1].append(stay.pod.name)
    return sorted(groups.values(), key=lambda group: -len(group[1]))


def _pools_of(seen: WorkloadExplanation) -> list[tuple[tuple[str, str, str], int]]:
    """How many of a workload's pods each class and pool holds; most first."""
    counts: Counter[tuple[str, str, str]] = Counter(_pool_of(pod) for pod in seen.pods if pod.node)
    return counts.most_common()


def _pool_of(pod: PodRow) -> tuple[str, str, str]:
    return pod.capacity_class, pod.instance_type, pod.zone
