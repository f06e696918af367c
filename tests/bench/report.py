"""Figures, what they are compared with, and whether a target is met: a table for people, JSON for machines."""

import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach, as `<= 0.45`; it is information, no test."""

    relation: Literal["<=", ">="]
    value: float

    def met(self, seen: float) -> bool:
        """Say whether `seen` reaches it."""
        return seen <= self.value if self.relation == "<=" else seen >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        bench: which benchmark it belongs to.
        what: what was measured.
        who: the program and its settings.
        value: the figure, in `unit`.
        against: what `ratio` divides by; empty when there is no comparison.
        ratio: value / the peer's value in the same run.
        target: what was aimed at: of the ratio when there is one, else of the value.
        note: how much it scattered, and whatever else a reader has to know.
    """

    bench: str
    what: str
    who: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.met(self.value if self.ratio is None else self.ratio)


class Bench:
    """One run of the benchmarks: its sizes, its figures, its terminal.

    Args:
        quick: small sizes, to see that everything works; such figures mean little.
    """

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.figures: list[Figure] = []
        self.errors: list[str] = []
        self.console = Console(width=None if os.isatty(1) else 200)

    def size(self, full: int, quick: int) -> int:
        """A size of this run."""
        return quick if self.quick else full

    def say(self, text: str) -> None:
        """Print a line of prose."""
        self.console.print(text, style="dim", highlight=False)

    def add(
        self,
        bench: str,
        what: str,
        who: str,
        value: float,
        unit: str,
        *,
        against: str = "",
        ratio: float | None = None,
        target: Target | None = None,
        note: str = "",
    ) -> None:
        """Record a figure; see `Figure`."""
        self.figures.append(Figure(bench, what, who, value, unit, against, ratio, target, note))

    def progress(self) -> Progress:
        """A progress display, to be used as a context manager."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console, transient=True)

    def show(self, bench: str, title: str) -> None:
        """Print the table of one benchmark."""
        table = Table(title=title, title_justify="left", title_style="bold", show_lines=False)
        for name in ("what", "program", "figure", "ratio", "against", "target", "note"):
            table.add_column(name, justify="right" if name in ("figure", "ratio") else "left")
        figures = [figure for figure in self.figures if figure.bench == bench]
        grouped = len({figure.what for figure in figures}) < len(figures)
        for figure, following in zip_longest(figures, figures[1:]):
            target = ""
            if figure.target is not None:
                target = f"{figure.target.relation} {figure.target.value:g} {'met' if figure.met else 'MISSED'}"
            table.add_row(
                figure.what,
                figure.who,
                f"{number(figure.value)} {figure.unit}",
                "" if figure.ratio is None else f"{figure.ratio:.2f}x",
                figure.against,
                target,
                figure.note,
                style="red" if figure.met is False else None,
                end_section=grouped and (following is None or following.what != figure.what),
            )
        self.console.print(table)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        figures = [{**asdict(figure), "met": figure.met} for figure in self.figures]
        result = {"machine": machine(), "quick": self.quick, "figures": figures, "errors": self.errors}
        path.write_text(json.dumps(result, indent=1) + "\n")


def number(value: float) -> str:
    """A figure with three significant digits or so."""
    if value and abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def within(buckets: Mapping[float, float], share: float) -> float:
    """The value below which `share` of a histogram's observations lie, as Prometheus reckons it within a bucket."""
    wanted, low, under = share * buckets[math.inf], 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= wanted:
            return low if math.isinf(bound) else low + (bound - low) * (wanted - under) / max(1.0, count - under)
        low, under = bound, count
    return low


def spread(values: Sequence[float]) -> str:
    """The least and the greatest of some rounds' figures."""
    return f"{len(values)} rounds {number(min(values))}-{number(max(values))}"


def go_version() -> str:
    """Go's version, or empty when there is no `go` on PATH."""
    try:
        output = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return output.stdout.strip()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memoryGiB": round(int(memory) / 2**20, 1),
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "go": go_version() or "none",
        **{name: version(name) for name in ("uvicorn", "uvloop", "httptools", "msgspec", "aiohttp")},
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
