"""Which workloads a command shows: `-n`, `-A` and `-l`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import Struct

from extender.cli.cluster import all_namespaces_option
from extender.cli.service import namespace_meant
from extender.core.model.errors import SelectorError

if TYPE_CHECKING:
    from extender.cli.service import Target
    from extender.core.answers.scope import Scope
    from extender.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Wanted(Struct, frozen=True):
    """The workloads of a namespace, or (empty) of all, that a label selector selects; an empty one takes any."""

    namespace: str = ""
    selector: str = ""

    @property
    def where(self) -> str:
        """In words, after `workloads`."""
        where = f"in namespace {self.namespace}" if self.namespace else "in the cluster"
        return f"{where} with labels {self.selector}" if self.selector else where

    def scope(self) -> "Scope":
        """The same for an answer that is computed here.

        Raises:
            SelectorError: the selector cannot be read.
        """
        from extender.core.answers.scope import Scope
        from extender.core.model.labelquery import read_selector

        return Scope(self.namespace, read_selector(self.selector) if self.selector else None)


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        Wanted(selector=value.strip()).scope()
    except SelectorError as error:
        raise click.BadParameter(str(error)) from error
    return value.strip()


def wanted_options(command: F) -> F:
    """Give a command `-n`, `-A` and `-l`, of which `wanted` makes a `Wanted`."""
    return all_namespaces_option(
        click.option(
            "-l",
            "--selector",
            default="",
            metavar="SELECTOR",
            callback=_checked,
            help="Show workloads with such labels alone, as in kubectl: app=web,tier!=test, 'env in (prod, stage)', "
            "!legacy.",
        )(command)
    )


def wanted(settings: "Settings", target: "Target", namespace: str, selector: str, *, all_namespaces: bool) -> Wanted:
    """What these options mean.

    Raises:
        click.UsageError: both -n and -A are given.
        ConfigError: the kubeconfig, which says the namespace, cannot be read.
    """
    return Wanted(namespace_meant(settings, target, namespace, all_namespaces=all_namespaces), selector)
