"""What `spotmix explain` prints for people."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from extender.cli.drift_text import moves_table, stays_table
from extender.cli.output import BAD, GOOD, SOSO, Part, plain_table
from extender.cli.status_text import state_of
from extender.cli.watch_text import outcome_of, time_of
from extender.core.answers.decisions import Entry
from extender.core.answers.nodes import STAND_IN, WANTED, ClassVerdict
from extender.core.answers.plan import DriftReport
from extender.core.answers.pod import PodExplanation
from extender.core.answers.pod_parts import PodPlace, Surplus
from extender.core.answers.seats import RunsOf, SeatsOf
from extender.core.answers.workload import PodRow, RevisionRow, WorkloadExplanation
from extender.core.model.reasons import GATES, GIVES_A_CLASS, Reason
from extender.core.policy.policy import Problem
from extender.core.policy.provenance import DEFAULT, HELD, LAST_VALID, SPLIT_KEPT, Setting

PODS = 50
"""Pods in the table of a workload; wide, JSON and YAML have them all."""

_ROLES = {WANTED: "its seat's class", STAND_IN: "may stand in"}
_FORCE = {
    HELD: "invalid, and never was valid: held on-demand",
    LAST_VALID: "invalid: the last valid one stays in force",
    SPLIT_KEPT: "wrong in a key that is no part of the split: the split is kept, and nothing is moved",
}


def text_of(explained: PodExplanation | WorkloadExplanation, now: float, *, wide: bool) -> Iterator[Part]:
    """The explanation; `now` is in seconds since the epoch."""
    if isinstance(explained, PodExplanation):
        return _pod(explained, now, wide=wide)
    return _workload(explained, now, wide=wide)


# A pod


def _pod(explained: PodExplanation, now: float, *, wide: bool) -> Iterator[Part]:
    yield Text(f"Pod {explained.pod.namespace}/{explained.pod.name}", style="bold")
    yield _facts(_pod_facts(explained, now))
    if explained.outcome is None:
        return
    if explained.runs is not None:
        yield from _runs(explained.runs)
    elif explained.seats:
        whose = "all that it is counted with" if explained.counted else "its revision"
        yield from _titled(f"Seats of {whose}", _seats(explained.seats))
    for each in explained.classes:
        yield from _titled(_class_title(each), _groups(each))
    if explained.scores:
        yield from _titled("Scores of nodes that would pass, and of its own", _scores(explained))
    yield from _policy(explained.settings, explained.problems, wide=wide)


def _pod_facts(explained: PodExplanation, now: float) -> Iterator[tuple[str, Text]]:
    revision, workload, unmanaged = explained.revision, explained.workload, explained.unmanaged
    if workload is not None and revision is not None:
        below = f", {revision.kind} {revision.name}" if revision.uid != workload.uid else ""
        yield "belongs to", Text(f"{workload.kind} {workload.name}{below}")
    if explained.terminating:
        yield "ends", Text("it is being deleted and holds no seat", style=SOSO)
    place = explained.place
    yield "runs on", _place(place) if place is not None else Text("no node yet", style=SOSO)
    if unmanaged is not None:
        detail = f" ({unmanaged.detail})" if unmanaged.detail else ""
        yield "managed", Text(f"no: {unmanaged.reason.text}{detail}")
        return
    if explained.policy in _FORCE:
        yield "policy", Text(_FORCE[explained.policy], style=BAD)
    if explained.mode == "audit":
        yield "mode", Text("audit: decided and reported, nothing changed", style=SOSO)
    if explained.enforcement is not None:
        yield "enforcement", Text(explained.enforcement.text)
    yield from _seat(explained)
    if explained.unmodelled:
        fields = ", ".join(explained.unmodelled)
        yield "never moved", Text(f"{Reason.UNMODELLED.text}: {fields}", style=SOSO)
    yield from _on_pod(explained, now)
    yield from _service(explained, now)
    yield from _outcome(explained, now)


def _seat(explained: PodExplanation) -> Iterator[tuple[str, Text]]:
    """Which seat it has, or is one too many for."""
    seat = explained.seat
    if seat is not None:
        size = f" of {explained.replicas}" if explained.replicas is not None and not seat.beyond else ""
        beyond = f", beyond the {explained.replicas} that are wanted" if seat.beyond else ""
        yield "seat", Text(f"{seat.number}{size}, {seat.capacity_class}{beyond}", style=SOSO if seat.beyond else "")
    if explained.counted:
        yield "replicas", Text(explained.counted)
    if explained.surplus is not None:
        yield "surplus", Text(_surplus(explained.surplus, explained.place), style=BAD)


def _place(place: PodPlace) -> Text:
    pool = ", ".join(filter(None, (place.capacity_class, place.instance_type, place.zone)))
    text = Text(f"{place.node} ({pool or 'not known'})")
    if place.going_away:
        text.append(f", which is about to go away: {place.going_away}", style=BAD)
    return text


def _surplus(surplus: Surplus, place: PodPlace | None) -> str:
    capacity_class = place.capacity_class if place is not None else ""
    wanting = f", {' and '.join(surplus.wanting)} lacks some" if surplus.wanting else ""
    if surplus.pods == 1:
        return f"its seat is not {capacity_class}{wanting}"
    are = "is" if surplus.count == 1 else "are"
    return f"{surplus.count} of {surplus.pods} {capacity_class} pods {are} too many{wanting}"


def _on_pod(explained: PodExplanation, now: float) -> Iterator[tuple[str, Text]]:
    """What is on the pod itself."""
    seen = explained.on_pod
    if seen is None:
        return
    age = _age(now - seen.created)
    if seen.gates:
        yield (
            "gated",
            Text(f"for {age}, by {', '.join(seen.gates)}: no scheduler and no autoscaler sees it", style=SOSO),
        )
    elif explained.place is None:
        yield (
            "class",
            Text(f"{seen.capacity_class} is written on it, no node yet, {age} after its creation", style=SOSO),
        )
        if seen.coming:
            yield "waits", Text(f"for {_bringer(seen.coming)}", style=SOSO)
        elif seen.refused:
            yield "refused", Text(f"the autoscaler brings no node: {seen.refused}", style=BAD)
    else:
        yield "class", Text(f"{seen.capacity_class} is written on it")


def _bringer(coming: str) -> str:
    """Who brings a node."""
    return f"Karpenter: nominated to {coming}" if coming.startswith("nodeclaim/") else f"the autoscaler: {coming}"


def _service(explained: PodExplanation, now: float) -> Iterator[tuple[str, Text]]:
    """What a running service holds for it, and what limits keep it from."""
    held, waits = explained.held, explained.waits
    if held is not None:
        stands_in = ", standing in" if held.stand_in else ""
        yield "reserved", Text(f"{held.capacity_class}{stands_in}, {_age(now - held.since)} ago")
    if waits is not None:
        nominee = f", nominated to {waits.nominee}" if waits.nominee else ""
        yield "waits", Text(f"for {_age(now - waits.since)}: {_because(waits.reason)}{nominee}", style=SOSO)
    yield from (("limited", Text(limit, style=BAD)) for limit in explained.limits)


def _outcome(explained: PodExplanation, now: float) -> Iterator[tuple[str, Text]]:
    outcome, place = explained.outcome, explained.place
    if outcome is None:
        return
    why = _because(outcome.reason)
    if outcome.reason in GATES:
        text = Text(f"gated, its seat is {outcome.wanted}: {why}", style=SOSO)
    elif outcome.reason is Reason.AUDIT:
        text = Text(f"every node would pass; its seat is {outcome.wanted}: {why}")
    elif outcome.given:
        nodes = f"{outcome.passing} node" + "s" * (outcome.passing != 1)
        style = GOOD if outcome.given == outcome.wanted else SOSO
        text = Text(f"{outcome.given}, {nodes} would pass: {why}", style=style)
    else:
        until = f", which it does in {_age(outcome.wake_at - now)}" if outcome.wake_at > now else ""
        text = Text(f"no node would pass: {why}{until}", style=BAD)
    yield "if asked now" if place is None else "if placed anew", text


def _because(reason: Reason) -> str:
    return reason.text.removeprefix("spotmix: ")


def _class_title(verdict: ClassVerdict) -> str:
    role = _ROLES.get(verdict.role, "not for this pod")
    nodes = f"{verdict.nodes} node" + "s" * (verdict.nodes != 1)
    return f"{verdict.capacity_class}: {role}, {nodes}"


def _groups(verdict: ClassVerdict) -> Table | None:
    if not verdict.groups:
        return None
    table = plain_table("NODES", "BECAUSE", "SUCH AS", right=("NODES",))
    for group in verdict.groups:
        detail = f" ({group.detail})" if group.detail else ""
        more = " .." if group.count > len(group.examples) else ""
        style = GOOD if group.reason is Reason.FITS else ""
        table.add_row(
            str(group.count), Text(_because(group.reason) + detail, style=style), ", ".join(group.examples) + more
        )
    return table


def _runs(runs: RunsOf) -> Iterator[Part]:
    yield from _titled(f"Runs of {runs.policy}", _seats(runs.seats))


def _seats(seats: Iterable[SeatsOf]) -> Table:
    table = plain_table("CLASS", "SEATS", "FILLED", "RESERVED", right=("SEATS", "FILLED", "RESERVED"))
    for each in seats:
        table.add_row(each.capacity_class, str(each.target), str(each.filled), str(each.reserved))
    return table


def _scores(explained: PodExplanation) -> Table:
    parts = tuple(explained.scores[0].parts)
    names = ("TOTAL", *(f"FOR {part.upper()}" for part in parts))
    table = plain_table("NODE", *names, right=names)
    own = explained.place.node if explained.place is not None else ""
    for score in explained.scores:
        name = Text(score.node, style="bold" if score.node == own else "")
        table.add_row(name, str(score.total), *(str(score.parts[part]) for part in parts))
    return table


# A workload


def _workload(explained: WorkloadExplanation, now: float, *, wide: bool) -> Iterator[Part]:
    workload, row, unmanaged = explained.workload, explained.row, explained.unmanaged
    yield Text(f"{workload.kind} {workload.namespace}/{workload.name}", style="bold")
    if unmanaged is not None:
        detail = f" ({unmanaged.detail})" if unmanaged.detail else ""
        yield _facts([("managed", Text(f"no: {unmanaged.reason.text}{detail}"))])
        return
    if row is None:
        yield _facts([("replicas", Text("none"))])
    else:
        facts = [("state", state_of(row))]
        if row.policy in _FORCE:
            facts.append(("policy", Text(_FORCE[row.policy], style=BAD)))
        of = "" if row.counted else "/{}"
        split = (f"{row.actual.get(name, 0)}{of.format(wanted)} {name}" for name, wanted in row.wanted.items())
        counted = f"; {row.counted}" if row.counted else ""
        facts.append(("replicas", Text(f"{row.replicas}: " + ", ".join(split) + counted)))
        if row.below_floor:
            facts.append(("floor", Text(f"{row.below_floor} replicas short", style=BAD)))
        if explained.enforcement is not None:
            facts.append(("enforcement", Text(explained.enforcement.text)))
        yield _facts(facts)
    if explained.revisions:
        yield from _titled("Revisions (filled/seats)", _revisions(explained.revisions))
    if explained.runs is not None:
        yield from _runs(explained.runs)
    shown = explained.pods if wide else explained.pods[:PODS]
    if shown:
        yield from _titled("Pods", _pods(shown, now, wide=wide))
        if len(shown) < len(explained.pods):
            yield Text(f"  and {len(explained.pods) - len(shown)} more; -o wide has them all")
    yield from _policy(explained.settings, explained.problems, wide=wide)


def _revisions(revisions: Iterable[RevisionRow]) -> Table:
    classes = tuple(dict.fromkeys(each.capacity_class for row in revisions for each in row.seats))
    names = tuple(name.upper() for name in classes)
    numbers = ("REPLICAS", *names, "RESERVED", "SURPLUS", "PENDING")
    table = plain_table("REVISION", *numbers, "ROLLOUT", right=numbers)
    for row in revisions:
        seats = {each.capacity_class: each for each in row.seats}
        table.add_row(
            f"{row.revision.kind}/{row.revision.name}",
            "?" if row.replicas is None else str(row.replicas),
            *(f"{seats[name].filled}/{seats[name].target}" if name in seats else "0/0" for name in classes),
            str(sum(each.reserved for each in row.seats)),
            Text(str(row.surplus), style=BAD if row.surplus else ""),
            Text(str(row.pending), style=SOSO if row.pending else ""),
            "in progress" if row.rolling else "",
        )
    return table


def _pods(pods: Iterable[PodRow], now: float, *, wide: bool) -> Table:
    more = ("INSTANCE TYPE", "ZONE", "REVISION", "AGE") if wide else ()
    table = plain_table("POD", "SEAT", "CLASS", "NODE", *more, "STATE", right=("SEAT",))
    for pod in pods:
        cells = (pod.instance_type or "-", pod.zone or "-", pod.revision, _age(now - pod.created)) if wide else ()
        seat = "-" if pod.seat is None else str(pod.seat)
        table.add_row(pod.name, seat, pod.capacity_class or "-", pod.node or "-", *cells, _pod_state(pod))
    return table


def _pod_state(pod: PodRow) -> Text:
    if pod.terminating:
        return Text("terminating", style=SOSO)
    if pod.reason is not None:
        what = f"would get {pod.wanted}" if pod.reason in GIVES_A_CLASS else f"wants {pod.wanted}"
        return Text(f"no node yet, {what}: {_because(pod.reason)}", style=SOSO)
    if pod.going_away:
        return Text(f"its node is about to go away: {pod.going_away}", style=BAD)
    text = Text("ready" if pod.ready else "not ready", style="" if pod.ready else SOSO)
    return text.append(", surplus", style=BAD) if pod.surplus else text


# Both


def _policy(settings: Iterable[Setting], problems: Iterable[Problem], *, wide: bool) -> Iterator[Part]:
    shown = [each for each in settings if wide or each.source != DEFAULT]
    if shown:
        table = plain_table("KEY", "IN FORCE", "FROM")
        for each in shown:
            unused = "" if each.applied else f", where {each.written!r} is written and not in force"
            table.add_row(each.key, each.value or "-", Text(each.source).append(unused, style=SOSO))
        yield from _titled("Policy", table)
    told = list(problems)
    if told:
        yield Text()
        yield Text("Problems", style="bold")
        for problem in told:
            yield Text(f"  {problem.text}", style=SOSO if problem.warning else BAD)


def _titled(title: str, table: Table | None) -> Iterator[Part]:
    yield Text()
    yield Text(title, style="bold")
    if table is not None:
        yield table


def _facts(facts: Iterable[tuple[str, Text]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column()
    table.add_column()
    for name, text in facts:
        table.add_row(f"  {name}", text)
    return table


def _age(seconds: float) -> str:
    """A duration as kubectl shows ages."""
    whole = max(0, round(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def last_decisions(entries: Sequence[Entry]) -> Iterator[Part]:
    """The last decisions, newest first; nothing where there are none."""
    if not entries:
        return
    yield Text()
    yield Text("Last decisions", style="bold")
    table = plain_table("TIME", "POD", "WANTED", "GIVEN", "REASON", "NODES", right=("NODES",))
    for entry in entries:
        table.add_row(
            time_of(entry.at),
            entry.pod,
            entry.wanted or "-",
            outcome_of(entry),
            str(entry.reason),
            f"{entry.passed}/{entry.offered}",
        )
    yield table


def drift_of(report: DriftReport, *, wide: bool) -> Iterator[Part]:
    """What the drift loop would do with the workload; nothing where it would do nothing."""
    if report.moves:
        yield Text()
        yield Text("Would be moved", style="bold")
        yield moves_table(report.moves, wide=wide, verified=False)
    if report.stays:
        yield Text()
        yield Text("Would stay", style="bold")
        yield stays_table(report.stays, wide=wide, verified=False)
