"""`python -m story`: tells the story some times, and says what it gave."""

import asyncio
import json
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import click

from story.figures import publish, table
from story.play import Result, tell

AT_ONCE = (
    "--drift-min-pod-age=0s",
    "--drift-max-moves-per-hour=100",
    "--drift-max-moves-in-flight=30",
    "--drift-placeholders=30",
)
"""Flags with which all 28 replicas come back to spot at once, and no hourly budget is in the way."""


@click.command()
@click.option("--runs", default=3, show_default=True, help="How often it is told, one after another.")
@click.option("--careful", is_flag=True, help="Leave Spotmix its own settings; few replicas come back in an hour.")
@click.option("--flag", "flags", multiple=True, help="A further flag of `spotmix serve`; repeatable.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the results here as JSON, too.")
@click.option("--publish", "page", is_flag=True, help="Write the figures into docs/reference/autoscaling-story.md.")
def main(*, runs: int, careful: bool, flags: tuple[str, ...], path: Path | None, page: bool) -> None:
    """Tell a story of six workloads on real Karpenter: from zero nodes through a rollout, scaling and the loss of all
    spot nodes to their return; and measure how far the workloads are from what their owners asked for, and the price.
    Each telling takes about three minutes. Nothing else should run meanwhile."""
    given = flags if careful else (*AT_ONCE, *flags)
    results: list[Result] = []
    for number in range(1, runs + 1):
        began = time.monotonic()
        _say(f"run {number} of {runs}")
        try:
            results.append(asyncio.run(tell(given, lambda line: _say(f"  {line}"))))
        except Exception:  # noqa: BLE001 - the other runs, and what they gave, are worth their time
            _say(traceback.format_exc())
        _say(f"run {number} took {time.monotonic() - began:.0f} s")
        if path is not None:
            path.write_text(json.dumps([asdict(result) for result in results], indent=2))
    if results:
        click.echo(table(results))
    complete = len(results) == runs and all(result.ended for result in results)
    if page and complete:
        publish(results)
    elif page:
        _say("not every run came to a good end: nothing is published")
    sys.exit(0 if complete else 1)


def _say(line: str) -> None:
    click.echo(line, err=True)


main()
