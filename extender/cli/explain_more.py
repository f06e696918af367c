"""What `spotmix explain` prints beside, when a running Spotmix has answered."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from extender.cli.decision_text import outcome_of, time_of
from extender.cli.drift_tables import moves_table, stays_table
from extender.cli.output import plain_table
from extender.core.answers.decisions import Entry
from extender.core.answers.plan import DriftReport


def last_decisions(entries: Sequence[Entry]) -> Iterator[RenderableType]:
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


def drift_of(report: DriftReport, *, wide: bool) -> Iterator[RenderableType]:
    """What the drift loop would do with the workload; nothing where it would do nothing."""
    if report.moves:
        yield Text()
        yield Text("Would be moved", style="bold")
        yield moves_table(report.moves, wide=wide, verified=False)
    if report.stays:
        yield Text()
        yield Text("Would stay", style="bold")
        yield stays_table(report.stays, wide=wide, verified=False)
