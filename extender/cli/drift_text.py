"""The tables that `spotmix drift plan` prints."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from extender.cli.output import BAD, GOOD, SOSO, Part, plain_table
from extender.core.answers.plan import DriftReport, EvictionVerdict, PlannedMove, PlannedStay, WorkloadName


def tables(report: DriftReport, where: str, *, wide: bool, verified: bool) -> Iterator[Part]:
    """The report for people; `where` says which workloads were asked for."""
    if report.paused is not None:
        yield Text(f"Nothing is moved at all: {report.paused.text}.", style=BAD)
        yield Text()
    if report.moves:
        yield Text(f"{_count(len(report.moves), 'pod')} would move", style="bold")
        yield moves_table(report.moves, wide=wide, verified=verified)
        yield Text()
    if report.stays:
        yield Text(f"{_count(len(report.stays), 'surplus pod')} would stay", style="bold")
        yield stays_table(report.stays, wide=wide, verified=verified)
        yield Text()
    if report.in_flight:
        yield Text(f"{_count(len(report.in_flight), 'move')} in flight", style="bold")
        yield _in_flight(report)
        yield Text()
    if report.off_target:
        yield Text(f"{_count(len(report.off_target), 'workload')} off the split", style="bold")
        yield _off_target(report)
    else:
        yield Text(f"Every managed workload {where} that has pods is at its split.", style=GOOD)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _workload(name: WorkloadName) -> str:
    return f"{name.kind}/{name.name}"


def moves_table(moves: tuple[PlannedMove, ...], *, wide: bool, verified: bool) -> Table:
    """Pods that would move."""
    more = ("NODE", "ROOM ON") if wide else ()
    api = ("API SERVER",) if verified else ()
    table = plain_table("NAMESPACE", "WORKLOAD", "POD", "FROM", "TO", *more, "WHY", *api)
    for move in moves:
        why = Text(str(move.why.reason))
        if move.audit:
            why.append(" (audit: not carried out)", style=SOSO)
        table.add_row(
            move.pod.namespace,
            _workload(move.workload),
            move.pod.name,
            move.source,
            move.destination,
            *((move.node, move.target) if wide else ()),
            why,
            *((_verdict(move.verdict),) if verified else ()),
        )
    return table


def stays_table(stays: tuple[PlannedStay, ...], *, wide: bool, verified: bool) -> Table:
    """Surplus pods that would stay."""
    api = ("API SERVER",) if verified else ()
    table = plain_table(
        "NAMESPACE", "WORKLOAD", "POD", "FROM", "TO", *(("NODE",) if wide else ()), "REASON", "WHY", *api
    )
    for stay in stays:
        why = Text(stay.why.text)
        if stay.why.detail:
            why.append(f": {stay.why.detail}", style="bold")
        table.add_row(
            stay.pod.namespace,
            _workload(stay.workload),
            stay.pod.name,
            stay.source,
            stay.destination or "-",
            *((stay.node,) if wide else ()),
            Text(str(stay.why.reason), style=SOSO),
            why,
            *((_verdict(stay.verdict),) if verified else ()),
        )
    return table


def _verdict(verdict: EvictionVerdict | None) -> Text:
    if verdict is None:
        return Text("-")
    if verdict.answer == "evicted":
        return Text("would evict", style=GOOD)
    return Text(f"{verdict.answer}: {verdict.text}", style=BAD)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _in_flight(report: DriftReport) -> Table:
    table = plain_table("NAMESPACE", "WORKLOAD", "POD", "FROM", "TO", "SINCE")
    for move in report.in_flight:
        table.add_row(
            move.pod.namespace,
            _workload(move.workload),
            move.pod.name,
            move.source,
            move.destination,
            _time(move.since),
        )
    return table


def _off_target(report: DriftReport) -> Table:
    classes = sorted({name for each in report.off_target for name in (*each.wanted, *each.actual)})
    numbers = ("REPLICAS", *(name.upper() for name in classes), "SURPLUS", "MISSING")
    table = plain_table("NAMESPACE", "WORKLOAD", *numbers, right=numbers)
    for each in report.off_target:
        counts = (f"{each.actual.get(name, 0)}/{each.wanted.get(name, 0)}" for name in classes)
        table.add_row(
            each.workload.namespace,
            _workload(each.workload),
            str(each.replicas),
            *counts,
            str(each.surplus),
            str(each.missing),
        )
    return table
