"""`python -m chaos`: plays, says what happens, and ends with 1 when a promise was broken."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from chaos.faults import FAULTS
from chaos.figures import publish, table
from chaos.play import Plan, play


@click.command(epilog=f"Faults: {', '.join(FAULTS)}.")
@click.option("--seconds", default=900, show_default=True, help="Play for at least so long, each fault at least once.")
@click.option("--seed", default=1, show_default=True, help="Of the order of faults and all else that is chosen.")
@click.option("--bodies", default=20_000, show_default=True, help="Fuzzed bodies for each port.")
@click.option(
    "--fault", "faults", multiple=True, type=click.Choice(list(FAULTS)), help="Play only this one; repeatable."
)
@click.option("--forging/--no-forging", default=True, help="Ask for pods that do not exist throughout.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the result here as JSON, too.")
@click.option("--publish", "page", is_flag=True, help="Write the figures into docs/reference/reliability.md.")
def main(*, faults: tuple[str, ...], path: Path | None, page: bool, **told: Any) -> None:
    """Play faults on a real control plane while users and the cloud change things, and check after each that
    everything comes to rest: no floor broken by an eviction, every split exact, every pod running."""
    result = asyncio.run(play(Plan(names=faults or tuple(FAULTS), **told), lambda line: click.echo(line, err=True)))
    click.echo(table(result))
    if path is not None:
        path.write_text(json.dumps(asdict(result), indent=2))
    if page:
        publish(result)
    sys.exit(0 if result.good else 1)


main()
