"""What `spotmix what-if` prints for people."""

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from extender.cli.output import BAD, GOOD, SOSO, Part, plain_table
from extender.core.model.policies import short_titles
from extender.core.model.reasons import Reason
from extender.core.policy.provenance import HELD, LAST_VALID, SPLIT_KEPT
from extender.core.whatif.outlook import Outlook, WhatIf, WorkloadChange

LOSSES = 5
"""Workloads that are named which a policy object loses to another."""
SHOWN = 20
"""Workloads in the table; wide, JSON and YAML have them all."""

UNKNOWN = (
    "Not known: nodes that an autoscaler would add, priorities and preemption, quotas, and which of several workloads "
    "comes first."
)
_FORCE = {
    HELD: "is invalid, and never was valid: the workload would be held on-demand",
    LAST_VALID: "is invalid: the last valid one would stay in force",
    SPLIT_KEPT: "is wrong in a key that is no part of the split: it would be kept, and nothing moved",
}


def text_of(answer: WhatIf, *, wide: bool) -> Iterator[Part]:
    """The answer."""
    yield from _lost(answer)
    yield from _policies(answer)
    for problem in answer.problems:
        yield Text(
            ("note: " if problem.warning else "problem: ") + problem.text, style=SOSO if problem.warning else BAD
        )
    named = answer.workloads[0] if answer.workloads else None
    if named is not None and named.policy in _FORCE:
        yield Text(f"The policy of {_name(named)} {_FORCE[named.policy]}.", style=BAD)
    if answer.workloads:
        shown = answer.workloads if wide else answer.workloads[:SHOWN]
        yield _workloads(answer, shown, wide=wide)
        if len(shown) < len(answer.workloads):
            yield Text(f".. and {len(answer.workloads) - len(shown)} workloads more; -o wide shows them all")
        yield Text()
        yield from _conclusions(answer)
    else:
        yield Text("No managed workload would be touched.")
    for note in answer.notes:
        yield Text(f"note: {note}", style=SOSO)
    yield Text(UNKNOWN, style="dim")


def _lost(answer: WhatIf) -> Iterator[Part]:
    if not answer.lost:
        return
    numbers = ("NODES", "PODS", "MANAGED")
    table = plain_table("LOST", "INSTANCE TYPE", "ZONE", *numbers, right=numbers)
    for pool in answer.lost:
        table.add_row(
            pool.capacity_class,
            pool.instance_type or "-",
            pool.zone or "-",
            str(pool.nodes),
            str(pool.pods),
            str(pool.managed),
        )
    yield table
    left = ", ".join(
        f"{name} {_change(count, answer.nodes_after[name])}" for name, count in answer.nodes_before.items()
    )
    yield Text(f"Nodes that take pods: {left}.")
    others = answer.bystanders
    if others.placed or others.pending or others.gone:
        waits = f", {sum(others.pending.values())} find no node" if others.pending else ""
        gone = f", {others.gone} are not made anew" if others.gone else ""
        yield Text(f"Pods that nobody manages: {others.placed} come to another node{waits}{gone}.")
    yield Text()


def _policies(answer: WhatIf) -> Iterator[Part]:
    for each in answer.policies:
        name = f"{each.kind} {each.namespace}/{each.name}" if each.namespace else f"{each.kind} {each.name}"
        as_there = " in the place of the one there" if each.replaces else ""
        if not each.acts:
            yield Text(f"{name}{as_there} would not act at all:", style=BAD)
        else:
            speaks = _change(each.before, each.after) if each.replaces else str(each.after)
            yield Text(
                f"{name}{as_there}: workloads that it would speak for: {speaks}.", style="" if each.after else SOSO
            )
        for problem in each.problems:
            yield Text(f"problem: {problem}", style=BAD)
        if each.lost:
            losses = [f"{loss.kind} {loss.namespace}/{loss.name} by {loss.by}" for loss in each.losses[:LOSSES]]
            more = ", .." if each.lost > len(losses) else ""
            yield Text(f"It matches {each.lost} more that go by another: {', '.join(losses)}{more}.", style=SOSO)
    if answer.policies:
        yield Text()


def _workloads(answer: WhatIf, rows: tuple[WorkloadChange, ...], *, wide: bool) -> Table:
    classes = tuple(dict.fromkeys((*answer.before.actual, *answer.after.actual)))
    more = ("LOST", "REMOVED", "NEW", "FALL BACK") if wide else ()
    said = ("POLICIES",) if answer.policies else ()
    names = tuple(name.upper() for name in classes)
    columns = ("REPLICAS", *names, "NO NODE", "FLOOR", "MOVES", *more)
    table = plain_table("NAMESPACE", "WORKLOAD", *columns, *said, right=more)
    for row in rows:
        before, after = row.before, row.after
        cells: dict[str, str] = {
            "LOST": str(row.lost),
            "REMOVED": str(row.removed),
            "NEW": str(row.made),
            "FALL BACK": str(after.stand_ins),
        }
        table.add_row(
            row.namespace,
            f"{row.kind}/{row.name}" + (" (audit)" if row.mode == "audit" else ""),
            _change(before.replicas, after.replicas),
            *(_change(_pair(before, name), _pair(after, name)) for name in classes),
            _worse(sum(before.pending.values()), sum(after.pending.values())),
            _floor(after),
            _moves(after),
            *(cells[name] for name in more),
            *(
                _change(*(short_titles(each) or "-" for each in (row.policies_before, row.policies_after)))
                for _ in said
            ),
        )
    return table


def _pair(outlook: Outlook, name: str) -> str:
    """Pods and seats; pods alone where there are no seats because nobody manages the workload."""
    has = outlook.actual.get(name, 0)
    return f"{has}/{outlook.wanted.get(name, 0)}" if any(outlook.wanted.values()) or not outlook.replicas else str(has)


def _change(before: object, after: object) -> str:
    return str(before) if before == after else f"{before} -> {after}"


def _worse(before: int, after: int) -> Text:
    return Text(_change(before, after), style=BAD if after > before else SOSO if after else "")


def _floor(after: Outlook) -> Text:
    if not after.floor:
        return Text("-")
    if after.below_floor:
        return Text(f"{after.floor - after.below_floor}/{after.floor}", style=BAD)
    return Text("kept", style=GOOD)


def _moves(after: Outlook) -> Text:
    moves = after.moves
    if not moves.needed:
        return Text("-")
    return Text(f"{moves.possible}/{moves.needed} possible", style=SOSO if moves.possible < moves.needed else "")


def _name(row: WorkloadChange) -> str:
    return f"{row.kind} {row.namespace}/{row.name}"


def _conclusions(answer: WhatIf) -> Iterator[Part]:
    before, after = answer.before, answer.after
    if len(answer.workloads) > 1:
        split = ", ".join(
            f"{_change(before.actual.get(name, 0), count)} {name}" for name, count in after.actual.items()
        )
        yield Text(f"{len(answer.workloads)} workloads: {split}; no node {_change(*map(_sum, (before, after)))}.")
    if after.pending:
        classes = ", ".join(f"{count} for {name}" for name, count in after.pending_classes.items() if count)
        yield Text(f"Pods without a node{f' ({classes})' if classes else ''}:", style=BAD)
        yield from _reasons(after.pending)
    if after.stand_ins:
        yield Text(
            f"New pods that fall back to another class, because their own has no room: {after.stand_ins}.", style=SOSO
        )
    if after.below_floor:
        yield Text(f"Pods missing to floors: {after.below_floor}.", style=BAD)
    moves = after.moves
    if moves.needed:
        least = f", in {moves.hours:.1f} h at least" if moves.hours >= 1 else ""
        then = f"; then {', '.join(f'{n} {name}' for name, n in after.eventual.items())}" if moves.possible else ""
        yield Text(f"Moves of the drift loop: {moves.needed} needed, of these possible {moves.possible}{least}{then}.")
        if moves.blocked:
            yield from _reasons(moves.blocked)
    shares = ", ".join(
        f"{_change(f'{before.nodes.get(name, 0.0):.1f}', f'{after.nodes.get(name, 0.0):.1f}')} {name}"
        for name in dict.fromkeys((*before.nodes, *after.nodes))
    )
    if shares:
        yield Text(f"Nodes' worth of requests in the end: {shares}.")
    if before.cost is not None and after.cost is not None:
        percent = (
            f" ({(after.cost / before.cost - 1) * 100:+.0f} %)" if before.cost and before.cost != after.cost else ""
        )
        yield Text(f"Cost at the prices given: {_change(f'{before.cost:.2f}', f'{after.cost:.2f}')}{percent}.")


def _sum(outlook: Outlook) -> int:
    return sum(outlook.pending.values())


def _reasons(counts: Mapping[Reason, int]) -> Iterator[Part]:
    table = plain_table("", "REASON", "", right=("",))
    table.show_header = False
    for reason, count in sorted(counts.items(), key=lambda each: (-each[1], each[0].value)):
        table.add_row(f"  {count}", str(reason), reason.text)
    yield table
