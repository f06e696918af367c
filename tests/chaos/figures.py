"""The result of a run as a table, here and in the docs."""

from collections import defaultdict
from pathlib import Path

from chaos.faults import FAULTS
from chaos.play import MEMORY_LIMIT, Played, Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "reliability.md"
BEGIN, END = "<!-- figures: make chaos -->", "<!-- end of figures -->"


def table(result: Result) -> str:
    """Markdown: a line for each fault, then the run as a whole."""
    by_fault: dict[str, list[Played]] = defaultdict(list)
    for played in result.played:
        by_fault[played.fault].append(played)
    lines = [
        "| fault | played | lasted (s) | at rest after (s) | evictions | floors broken | splits wrong at rest |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, plays in by_fault.items():
        what = (FAULTS[name].__doc__ or name).splitlines()[0].rstrip(".")
        lines.append(
            f"| {what} | {len(plays)} | {sum(p.lasted for p in plays):.0f} | {max(p.rest_after for p in plays):.0f} "
            f"| {sum(p.evictions for p in plays)} | {sum(len(p.breaches) for p in plays)} "
            f"| {sum(len(p.unrest) for p in plays)} |"
        )
    whole = (
        f"Seed {result.seed}, {result.seconds / 60:.0f} minutes, two replicas, forged requests throughout. "
        f"Memory of the larger replica: {result.memory_at_rest:.0f} MiB at first, {result.memory_peak:.0f} MiB at "
        f"most, {result.memory_end:.0f} MiB at the end; the chart allows {MEMORY_LIMIT} MiB."
    )
    return "\n".join([*lines, "", whole])


def publish(result: Result) -> None:
    """Put the table into the page of the docs."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(result)}\n{END}{after}")
