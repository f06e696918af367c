"""`spotmix scheduler-config inject`."""

import difflib
import io
from collections.abc import Iterator

import click

from extender.cli.options import options_of, settings_from
from extender.cli.scheduler_config_render import SECTIONS


@click.command()
@click.argument("file")
@click.option("--in-place", is_flag=True, help="Replace FILE, in one step; it is not touched when nothing changes.")
@click.option("--diff", is_flag=True, help="Print what changes instead of the result.")
@options_of(*SECTIONS)
def inject(*, file: str, in_place: bool, diff: bool, config_file: str, **given: str | None) -> None:
    """Put Spotmix's entry into the scheduler configuration in FILE, or in standard input for `-`.

    An entry of ours that is there is brought up to date. Other extenders, fields, comments and the order of lines stay
    as they are; YAML stays YAML and JSON stays JSON. Of several YAML documents those of kind KubeSchedulerConfiguration
    are changed, others are left alone. The result goes to standard output, what was done to standard error.

    \b
    Exit code 0: done, or nothing to do; 2: FILE or a setting is wrong, nothing is written.

    \b
    Examples:
      spotmix scheduler-config inject scheduler.yaml --diff
      spotmix scheduler-config inject /etc/kubernetes/spotmix/scheduler.yaml --in-place
      kubectl -n kube-system get cm scheduler -o jsonpath='{.data.config\\.yaml}' | spotmix scheduler-config inject -
    """
    from extender.cli.textfile import STDIN, read_text, replace_text  # noqa: PLC0415 - see the package's docstring
    from extender.core.model.errors import WireError  # noqa: PLC0415 - likewise
    from extender.schedulerconfig.inject import injected  # noqa: PLC0415 - likewise
    from extender.settings import stanza_from  # noqa: PLC0415 - likewise

    if in_place and file == STDIN:
        raise click.UsageError("--in-place needs a file; standard input cannot be replaced")
    stanza = stanza_from(settings_from(config_file, given))
    before = read_text(file)
    name = "standard input" if file == STDIN else file
    try:
        result = injected(before, stanza)
    except WireError as error:
        raise WireError(f"{name}: {error}") from error
    if in_place and result.changes:
        replace_text(file, result.text)
    if diff:
        click.echo("".join(_diff(before, result.text, name)).encode(), nl=False)
    elif not in_place:
        click.echo(result.text.encode(), nl=False)
    for change in result.changes:
        click.echo(f"spotmix: {name}: {change}", err=True)
    if not result.configurations:
        click.echo(f"spotmix: {name}: holds no KubeSchedulerConfiguration, so nothing is changed", err=True)
    elif not result.changes:
        click.echo(f"spotmix: {name}: our extender is there and up to date, so nothing is changed", err=True)


def _diff(before: str, after: str, name: str) -> Iterator[str]:
    lines = [io.StringIO(text, newline="\n").readlines() for text in (before, after)]
    for line in difflib.unified_diff(lines[0], lines[1], f"{name} (before)", f"{name} (after)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
