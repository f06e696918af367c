"""`TYPE/NAME` and `TYPE NAME`, as commands take objects."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("pod", "deploy", "sts", "rs", "job", "cronjob", "rc")


class ObjectType(click.ParamType[str]):
    """An object; shells are offered the kinds."""

    name = "object"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The kinds that begin so, for `TYPE NAME`; which objects there are is not asked."""
        return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def object_argument(*, required: bool) -> Callable[[F], F]:
    """Give a command an object to look at, as the arguments `what` and `name`: see `parts_of`."""

    def decorated(command: F) -> F:
        name = click.argument("name", default="", metavar="")
        if required:
            what = click.argument("what", metavar="TYPE/NAME", type=ObjectType())
        else:
            what = click.argument("what", metavar="[TYPE/NAME]", type=ObjectType(), default="")
        return what(name(command))

    return decorated


def parts_of(what: str, name: str, such_as: str = "pod/NAME or deploy/NAME") -> tuple[str, str]:
    """Kind and name of what was given as one argument or two.

    Raises:
        click.UsageError: it is neither; the text tells to write `such_as`.
    """
    kind, _, rest = what.partition("/")
    if bool(rest) == bool(name) or not kind:
        raise click.UsageError(f"{what!r} is no TYPE/NAME: write {such_as}")
    return kind, rest or name
