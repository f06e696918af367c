"""`TYPE/NAME` and `TYPE NAME`, as commands take objects."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

RESOURCES: Mapping[str, tuple[str, str]] = {
    "pod": ("", "pods"),
    "deploy": ("apps", "deployments"),
    "sts": ("apps", "statefulsets"),
    "rs": ("apps", "replicasets"),
    "job": ("batch", "jobs"),
    "cronjob": ("batch", "cronjobs"),
    "rc": ("", "replicationcontrollers"),
}
"""Group and resource of the kinds that shells are offered."""
KINDS = tuple(RESOURCES)


class ObjectType(click.ParamType[str]):
    """An object; shells are offered kinds, and after `KIND/` the objects of the kind."""

    name = "object"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The kinds that begin so, or the objects."""
        from extender.cli.complete import objects

        kind, slash, _ = incomplete.partition("/")
        if slash:
            return objects(ctx, kind, incomplete, f"{kind}/")
        return [CompletionItem(each) for each in KINDS if each.startswith(incomplete)]


def _names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The objects of the kind that was given before, as in `TYPE NAME`."""
    from extender.cli.complete import objects

    return objects(context, context.params.get("what") or "", incomplete)


def object_argument(*, required: bool) -> Callable[[F], F]:
    """Give a command an object to look at, as the arguments `what` and `name`: see `parts_of`."""

    def decorated(command: F) -> F:
        name = click.argument("name", default="", metavar="", shell_complete=_names)
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
