"""The figures of some tellings as a table, here and in the docs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from story.play import Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "autoscaling-story.md"
BEGIN, END = "<!-- figures: make story -->", "<!-- end of figures -->"
_ROWS: Sequence[tuple[str, Callable[[Result], float], str]] = (
    ("replicas beyond what is wanted on a class, on average", lambda r: r.surplus, ".2f"),
    ("the same while spot could be had", lambda r: r.surplus_with_spot, ".2f"),
    ("replicas off their class at rest, before the loss", lambda r: r.off_before_loss, ".0f"),
    ("replicas off their class at the end", lambda r: r.off_at_end, ".0f"),
    ("workload-seconds below the floor", lambda r: r.below_floor, ".0f"),
    ("all Ready again after the loss (s)", lambda r: r.ready_after_loss, ".0f"),
    ("all right again after spot is back (s)", lambda r: r.right_after_return, ".0f"),
    ("evictions, by Karpenter and Spotmix", lambda r: r.evictions, ".0f"),
    ("price of 1,000 Ready pod-hours", lambda r: r.price, ".1f"),
)


def table(results: Sequence[Result]) -> str:
    """Markdown: a line for each figure, its range over the tellings; then how long each act took."""
    lines = ["| | from | to |", "|---|---|---|"]
    rows = [*_ROWS, *((f"{act} (s)", _of_act(act), ".0f") for act in results[0].acts)]
    for name, figure, shown in rows:
        values = [figure(result) for result in results]
        lines.append(f"| {name} | {min(values):{shown}} | {max(values):{shown}} |")
    return "\n".join([*lines, "", f"Runs: {len(results)}."])


def _of_act(act: str) -> Callable[[Result], float]:
    return lambda result: result.acts[act]


def publish(results: Sequence[Result]) -> None:
    """Put the table into the page of the docs."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")
