"""What an act is judged by: rows of wanted and actual splits, and the summary made of them. Pure."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from rich import box
from rich.table import Table
from rich.text import Text

from extender.sandbox.demo.facts import SplitState, WorkloadView
from extender.sandbox.demo.screen import VERDICTS
from extender.sandbox.demo.words import short_split, split_words


class Row(Struct, frozen=True):
    """One workload at the end of an act. `seconds` is from the act's trigger until its split had settled."""

    act: str
    workload: str
    wanted: Mapping[str, int]
    actual: Mapping[str, int]
    waiting: int
    verdict: SplitState
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the split is what its owner asked for."""
        return self.verdict in (SplitState.EXACT, SplitState.WAITS)

    @property
    def line(self) -> str:
        """The row as a line: `burst: web wanted .., actual ..: exact, 1.2 s`."""
        actual = split_words(self.actual) + (f", {self.waiting} waiting" if self.waiting else "")
        return (
            f"{self.act}: {self.workload} wanted {split_words(self.wanted)}, actual {actual}:"
            f" {self.verdict.value}, {self.seconds:.1f} s"
        )


class Settling:
    """Follows workloads until their splits have settled, and remembers when each did.

    Args:
        names: the workloads to follow.
        began: when the act was triggered, in seconds of the clock that `see` is given.
    """

    def __init__(self, names: Iterable[str], began: float) -> None:
        self._names = tuple(names)
        self._began = began
        self._since: dict[str, float] = {}
        self._rounds = 0
        self._views: dict[str, WorkloadView] = {}

    def see(self, views: Iterable[WorkloadView], now: float, *, ready: bool = True) -> bool:
        """Take in a look at the cluster; whether all have been settled for two looks.

        Args:
            views: all workloads.
            now: when it was looked.
            ready: False while what the act waits for beside the splits has not come.
        """
        self._views = {view.name: view for view in views}
        for name in self._names if ready else ():
            view = self._views.get(name)
            if view is None or not view.verdict.settled:
                self._since.pop(name, None)
            else:
                self._since.setdefault(name, now)
        self._rounds = self._rounds + 1 if ready and len(self._since) == len(self._names) else 0
        return self._rounds >= 2

    def rows(self, act: str, now: float) -> list[Row]:
        """The act's rows: a workload that has not settled by now is off, one that is not followed only shows then."""
        rows = []
        for name, view in self._views.items():
            verdict = view.verdict if view.verdict.settled else SplitState.OFF
            if name not in self._names and verdict is not SplitState.OFF:
                continue
            waiting = sum(view.newest.waiting.values())
            seconds = self._since.get(name, now) - self._began
            rows.append(Row(act, name, view.wanted, view.newest.counts, waiting, verdict, seconds))
        missing = [name for name in self._names if name not in self._views]
        rows += [Row(act, name, {}, {}, 0, SplitState.OFF, now - self._began) for name in missing]
        return rows


def summary_table(rows: Iterable[Row]) -> Table:
    """The summary: per act and workload."""
    table = Table(box=box.SIMPLE_HEAD, title="Summary: spot + on-demand", title_justify="left", title_style="bold")
    for name in ("act", "workload", "wanted", "actual", "split"):
        table.add_column(name)
    table.add_column("seconds", justify="right")
    before = ""
    for row in rows:
        table.add_row(
            "" if row.act == before else row.act,
            row.workload,
            short_split(row.wanted),
            short_split(row.actual) + (f", {row.waiting} waiting" if row.waiting else ""),
            Text(row.verdict.value, VERDICTS[row.verdict]),
            f"{row.seconds:.1f}",
        )
        before = row.act
    return table


def filter_words(exposition: str) -> str:
    """What the metrics of Spotmix say of its answers; empty when they say nothing."""
    values: Mapping[str, float] = {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in exposition.splitlines())
        if name and not name.startswith("#")
    }
    base = "spotmix_request_duration_seconds"
    calls = values.get(f'{base}_count{{verb="filter"}}', 0.0)
    if not calls:
        return ""
    errors = sum(value for name, value in values.items() if name.startswith("spotmix_request_errors_total{"))
    mean = 1000 * values.get(f'{base}_sum{{verb="filter"}}', 0.0) / calls
    return f"Spotmix answered {calls:.0f} filter calls in {mean:.2f} ms on average, {errors:.0f} of them with an error."
