"""`python -m story`: tells the story some times, and says what it gave."""

import asyncio
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

import click

from story.figures import publish, table
from story.play import Result, tell


@click.command()
@click.option("--runs", default=3, show_default=True, help="How often it is told, one after another.")
@click.option("--flag", "flags", multiple=True, help="A further flag of `spotmix serve`; repeatable.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the results here as JSON, too.")
@click.option("--publish", "page", is_flag=True, help="Write the figures into docs/reference/autoscaling-story.md.")
def main(*, runs: int, flags: tuple[str, ...], path: Path | None, page: bool) -> None:
    """Tell a story of six workloads on real Karpenter: from zero nodes through a rollout, scaling and the loss of all
    spot nodes to their return; and measure how far the workloads are from what their owners asked for, and the price.
    Each telling takes about five minutes. Nothing else should run meanwhile."""
    results: list[Result] = []
    for number in range(1, runs + 1):
        click.echo(f"run {number} of {runs}", err=True)
        results.append(asyncio.run(tell(flags, lambda line: click.echo(f"  {line}", err=True))))
    click.echo(table(results))
    if path is not None:
        path.write_text(json.dumps([asdict(result) for result in results], indent=2))
    if page:
        publish(results)
    ended = all(math.isfinite(seconds) for result in results for seconds in result.acts.values())
    sys.exit(0 if ended and not any(result.off_at_end for result in results) else 1)


main()
