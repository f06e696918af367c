"""`TYPE/NAME` and `TYPE NAME`, as commands take objects."""

from typing import Any

import click
from click.shell_completion import CompletionItem

KINDS = ("pod", "deploy", "sts", "rs", "job", "cronjob", "rc")


class ObjectType(click.ParamType[str]):
    """An object; shells are offered the kinds."""

    name = "object"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's
        """Taken as it is: the name may be an argument of its own."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's
        """The kinds that begin so, for `TYPE NAME`; which objects there are is not asked."""
        return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


OBJECT = ObjectType()


def parts_of(what: str, name: str) -> tuple[str, str]:
    """Kind and name of what was given as one argument or two.

    Raises:
        click.UsageError: it is neither.
    """
    kind, _, rest = what.partition("/")
    if bool(rest) == bool(name) or not kind:
        raise click.UsageError(f"{what!r} is no TYPE/NAME: write pod/NAME or deploy/NAME")
    return kind, rest or name
