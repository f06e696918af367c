"""The command behind `make mutants`."""

import difflib
import random
import signal
import sys
from collections import Counter
from contextlib import suppress

import click
from programs import ROOT
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mutants.equivalent import FILE, Equivalent, equivalents, is_listed, stale
from mutants.mutate import Mutant, mutants
from mutants.trial import Outcome, trial

CORE = "extender/core"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--count", default=60, metavar="N", help="How many mutants to try, chosen at random.")
@click.option("--all", "everything", is_flag=True, help="Try every mutant: hours.")
@click.option("--seed", default=0, metavar="N", help="Chooses the sample; the same seed chooses the same mutants.")
@click.option("--only", default="", metavar="TEXT", help="Try only modules whose path contains TEXT: drift/plan.")
@click.option("--allowed", default=5.0, metavar="PERCENT", help="Fail when more of the mutants than this survive.")
def main(count: int, everything: bool, seed: int, only: str, allowed: float) -> None:
    """Change one place of extender/core at a time, and see whether a unit test fails.

    Prints every mutant that no test noticed, with its file, its line and the difference. Ends with 1 when too many
    survive, or when tools/mutants/equivalent.toml speaks of code that is not there any more.
    """
    listed = equivalents(FILE.read_text())
    every = [mutant for path in sorted((ROOT / CORE).rglob("*.py")) for mutant in _of(str(path.relative_to(ROOT)))]
    chosen = [mutant for mutant in every if only in mutant.module and not is_listed(mutant, listed)]
    if not everything:
        chosen = random.Random(seed).sample(chosen, min(count, len(chosen)))  # noqa: S311 - a sample to repeat
    if not chosen:
        raise click.ClickException(f"no module of {CORE} that has mutants contains {only!r}")
    outcomes = _try(chosen)
    survivors, tried = outcomes[Outcome.SURVIVED], outcomes.total()
    share = 100 * survivors / max(1, tried)
    click.echo(
        f"{tried} of {len(every)} mutants tried: {outcomes[Outcome.KILLED]} killed, "
        f"{outcomes[Outcome.ENDLESS]} did not end, {survivors} survived ({share:.1f} %; {allowed:g} % may)"
    )
    gone = stale(listed, every)
    for entry in gone:
        click.echo(f"{FILE.name}: take out {_title(entry)}: there is no such code")
    sys.exit(share > allowed or bool(gone))


def _of(module: str) -> list[Mutant]:
    return mutants((ROOT / module).read_text(), module)


def _try(chosen: list[Mutant]) -> Counter[Outcome]:
    """What became of mutants, of fewer than these when somebody has had enough."""
    outcomes = Counter[Outcome]()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with trial(ROOT) as copy, suppress(KeyboardInterrupt), Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("tests without a mutant", total=len(chosen))
        fault = copy.check(sorted({mutant.module for mutant in chosen}))
        if fault:
            raise click.ClickException(f"the tests have to pass before they can tell anything:\n{fault}")
        for mutant in chosen:
            progress.update(task, description=f"{outcomes[Outcome.SURVIVED]} survived")
            outcome = copy.run(mutant)
            outcomes[outcome] += 1
            if outcome is Outcome.SURVIVED:
                click.echo(_shown(mutant))
            progress.advance(task)
    return outcomes


def _shown(mutant: Mutant) -> str:
    source = (ROOT / mutant.module).read_text()
    lines = difflib.unified_diff(source.splitlines(), mutant.apply(source).splitlines(), n=0, lineterm="")
    changed = "\n".join(f"    {line}" for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))
    return f"{mutant.module}:{mutant.line} in {mutant.scope or 'the module'}: {mutant.change}\n{changed}"


def _title(entry: Equivalent) -> str:
    return f"{entry.module} {entry.scope} {entry.change}"


if __name__ == "__main__":
    main()
