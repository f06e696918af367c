"""What commands share that look at a cluster: where it is, which namespace is meant, and the look itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from extender.cli.connection import connect
from extender.cli.options import options_of, settings_from
from extender.cli.output import note
from extender.core.model.errors import NotFoundError

if TYPE_CHECKING:
    from extender.core.state.state import ClusterState
    from extender.listing import Listing
    from extender.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


def cluster_options(command: F) -> F:
    """Give a command the settings that say where the cluster is and how it is read."""
    return options_of("kubeconfig", "context", "policy", "classes")(command)


def _namespaces(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from extender.cli.complete import namespaces

    return namespaces(context, incomplete)


def namespace_option(command: F) -> F:
    """Give a command `-n`, which `default_namespace` stands in for."""
    return click.option(
        "-n",
        "--namespace",
        default="",
        metavar="NAMESPACE",
        shell_complete=_namespaces,
        help="Namespace to look in; without it that of the kubeconfig's context, else default.",
    )(command)


def all_namespaces_option(command: F) -> F:
    """Give a command `-n` and `-A`, of which `namespace_meant` makes one namespace or all."""
    return namespace_option(
        click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")(command)
    )


class Seen:
    """A cluster that was looked at.

    Attributes:
        state: the cluster.
        namespace: the namespace that is meant.
        now: when, in seconds since the epoch.
    """

    def __init__(self, sight: "Listing", namespace: str, now: float) -> None:
        self.state: ClusterState = sight.state
        self.namespace = namespace
        self.now = now
        self._missing = sight.missing

    def note_missing(self, *unimportant: str) -> None:
        """Say on standard error what could not be listed, save what makes no difference."""
        for key, why in sorted(self._missing.items()):
            if key not in unimportant:
                note(f"{key} could not be listed, so that it is left out: {why}")


def see(config_file: str, given: dict[str, str | None], namespace: str) -> Seen:
    """List the cluster once.

    Raises:
        ConfigError: a setting or the kubeconfig is wrong.
        ApiError: the API server cannot be reached, or refuses.
    """
    import asyncio
    import time

    sight, default = asyncio.run(_look(settings_from(config_file, given)))
    return Seen(sight, namespace or default, time.time())


async def _look(settings: "Settings") -> "tuple[Listing, str]":
    from extender.listing import list_cluster

    async with await connect(settings) as client:
        return await list_cluster(client, settings), await client.namespace()


def not_found(seen: Seen, kind: str, group: str, name: str) -> NotFoundError:
    """The error for an object that is not there, which says where one of that name is."""
    from extender.core.state.lookup import namespaces_with

    text = f'no {kind} "{name}" in namespace "{seen.namespace}"'
    others = namespaces_with(seen.state, kind, group, name)
    if others:
        return NotFoundError(f"{text}; there is one in {', '.join(others)}: give it with -n")
    if kind == "pod":
        return NotFoundError(f"{text}; pods that have ended are not looked at")
    return NotFoundError(f"{text}; custom kinds are looked at once they own pods")
