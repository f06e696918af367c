"""The figures of some tellings as a table, here and in the docs."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from story.play import Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "autoscaling-story.md"
BEGIN, END = "<!-- figures: make story -->", "<!-- end of figures -->"
_ROWS: Sequence[tuple[str, Callable[[Result], float], str]] = (
    (
        "replicas beyond what is wanted on a class, on average while spot can be had",
        lambda r: r.surplus_ordinary,
        ".2f",
    ),
    ("the same over the whole story", lambda r: r.surplus, ".2f"),
    ("replicas off their class at rest, before the loss", lambda r: r.off_before_loss, ".0f"),
    ("replicas off their class at the end", lambda r: r.off_at_end, ".0f"),
    ("workload-seconds below the floor", lambda r: sum(r.below_floor.values()), ".0f"),
    ("all Ready again after the loss (s)", lambda r: r.ready_after_loss, ".0f"),
    ("all right again after spot is back (s)", lambda r: r.right_after_return, ".0f"),
    ("replicas that had to come back", lambda r: r.stood_in, ".0f"),
    ("evictions by Spotmix for it", lambda r: r.moves, ".0f"),
    ("most replicas of a workload not Ready meanwhile", lambda r: r.most_missing, ".0f"),
    ("all other evictions", lambda r: r.other_evictions, ".0f"),
    ("price of 1,000 Ready pod-hours while spot can be had", lambda r: r.price_ordinary, ".1f"),
    ("the same over the whole story", lambda r: r.price, ".1f"),
)


def table(results: Sequence[Result]) -> str:
    """Markdown: a line for each figure, its range over the tellings; then how long each act took."""
    lines = ["| | from | to |", "|---|---|---|"]
    rows = [*_ROWS, *((f"{act} (s)", _of_act(act), ".0f") for act in results[0].acts)]
    for name, figure, shown in rows:
        values = [figure(result) for result in results]
        lines.append(f"| {name} | {_told(min(values), shown)} | {_told(max(values), shown)} |")
    return "\n".join([*lines, "", f"Runs: {len(results)}."])


def _told(value: float, shown: str) -> str:
    return format(value, shown) if math.isfinite(value) else "never"


def _of_act(act: str) -> Callable[[Result], float]:
    return lambda result: result.acts[act]


def publish(results: Sequence[Result]) -> None:
    """Put the table into the page of the docs."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")
