"""The tables that `spotmix simulate` prints."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from extender.cli.output import BAD, GOOD, Part
from extender.simulate.report import Report, WorkloadOutcome

HOUR = 3600.0


def tables(report: Report, shown: int) -> Iterator[Part]:
    """The report for people: a summary, the pools, and the `shown` workloads that fared worst."""
    yield _summary(report)
    yield _pools(report)
    yield _workloads(report, shown)
    left = len(report.workloads) - shown
    if left > 0:
        yield Text(f"{left} more workloads fared no worse; -o json has them all.")
    for note in report.notes:
        yield Text(f"note: {note}", style="yellow")


def percent(share: float | None, digits: int = 2) -> str:
    """A share, for people."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _summary(report: Report) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    drift = report.drift
    each = report.evictions_per_interruption
    rows: list[tuple[str, str | Text]] = [
        ("simulated", f"{report.duration / HOUR:g} h, seed {report.seed}"),
        ("availability", f"{percent(report.availability, 4)} of the replicas asked for were ready"),
        (
            "off the split",
            f"{report.misplaced:.2f} replicas on the wrong class and {report.missing:.2f} missing, on average",
        ),
        (
            "floors",
            Text(f"broken by Spotmix for {report.floor_broken_by_us:.1f} min", BAD)
            if report.floor_broken_by_us
            else Text("never broken by Spotmix", GOOD),
        ),
        ("", f"broken by lost nodes, sizes and rollouts for {report.floor_broken_by_others:.1f} min"),
        ("interruptions", f"{report.interruptions} spot nodes"),
        (
            "evictions",
            f"{report.evictions}, {drift.drained} of them from interrupted nodes"
            + (f"; {each:.2f} per interruption" if each is not None else ""),
        ),
        ("moves", _counts(drift.outcomes) + (f"; {drift.circuits} workloads given up" if drift.circuits else "")),
        ("refused", _counts(drift.refused)),
        ("stay off their class", _counts(drift.stays)),
        *([("placeholders", _counts(drift.placeholders))] if drift.placeholders else []),
        ("cost of the pods", _cost(report)),
        ("cost of the nodes", f"{report.node_cost:.2f}, used or not"),
    ]
    for name, text in rows:
        table.add_row(name, text)
    return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "none"


def _cost(report: Report) -> str:
    parts = " + ".join(f"{cost:.2f} {name}" for name, cost in report.cost.items())
    text = f"{report.total_cost:.2f}" + (f" ({parts})" if parts else "")
    if report.saving is None:
        return text
    return f"{text}; all on demand {report.on_demand_cost:.2f}, so {percent(report.saving, 1)} saved"


def _pools(report: Report) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="node pools", title_justify="left")
    table.add_column("pool")
    table.add_column("class")
    for name in ("nodes", "interruptions", "node hours", "cost"):
        table.add_column(name, justify="right")
    for pool in report.pools:
        table.add_row(
            pool.name,
            pool.capacity_class,
            str(pool.size),
            str(pool.interruptions),
            f"{pool.node_hours:.1f}",
            f"{pool.cost:.2f}",
        )
    return table


def _workloads(report: Report, shown: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="workloads, worst first", title_justify="left")
    table.add_column("workload", overflow="fold")
    for name in (
        "replicas",
        "available",
        "misplaced",
        "missing",
        "floor broken",
        "by us",
        "evicted",
        "lost",
        "longest wait",
        "cost",
        "on demand",
    ):
        table.add_column(name, justify="right")
    for row in report.workloads[:shown]:
        table.add_row(
            f"{row.kind} {row.namespace}/{row.name}" + ("" if row.managed else " (not managed)"),
            f"{row.replicas:.1f}",
            percent(row.availability),
            f"{row.misplaced:.2f}",
            f"{row.missing:.2f}",
            _minutes(row.floor_broken_by_others),
            Text(_minutes(row.floor_broken_by_us), BAD if row.floor_broken_by_us else ""),
            str(row.evictions),
            str(row.lost),
            _wait(row),
            f"{row.cost:.2f}",
            f"{row.on_demand_cost:.2f}",
        )
    return table


def _minutes(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes else "-"


def _wait(row: WorkloadOutcome) -> str:
    return f"{row.pending_max:.0f} s" if row.pending_max < 600 else f"{row.pending_max / 60:.0f} min"
