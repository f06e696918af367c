"""What shells are offered that only the cluster knows: namespaces, and objects of a kind.

Whoever presses Tab waits for it. So the API server has a moment to answer, and where there is none, or it refuses,
nothing is offered and nothing said.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from extender.cli.connection import connect, overrides_in
from extender.cli.options import settings_from
from extender.core.model.errors import SpotmixError

if TYPE_CHECKING:
    from extender.kube.client import ApiClient

PATIENCE = 3.0
"""Seconds that the API server has; a plugin of the kubeconfig takes what it takes, as with kubectl."""
MOST = 500
"""Names that are asked for."""

_ONLY_NAMES = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"}


def namespaces(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """The namespaces of the cluster that begin so."""
    return _items(_names(context, "", "v1", "namespaces", everywhere=True), "", incomplete)


def objects(context: click.Context, kind: str, incomplete: str, prefix: str = "") -> list[CompletionItem]:
    """The objects of a kind, as commands take it, in the namespace that is meant; `prefix` goes before their names."""
    from extender.cli.objects import RESOURCES

    group, plural = RESOURCES.get(kind, ("", ""))
    return _items(_names(context, group, "v1", plural), prefix, incomplete) if plural else []


def _items(names: list[str], prefix: str, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(prefix + name) for name in names if (prefix + name).startswith(incomplete)]


def _names(context: click.Context, group: str, version: str, plural: str, *, everywhere: bool = False) -> list[str]:
    import asyncio

    given = context.params

    async def ask() -> list[str]:
        known = {name: given.get(name) for name in ("kubeconfig", "context")}
        settings = settings_from(given.get("config_file") or "", known)
        async with await connect(settings, overrides_in(given)) as client:
            namespace = None if everywhere else given.get("namespace") or await client.namespace()
            return await _listed(client, group, version, plural, namespace)

    with _silence(), contextlib.suppress(SpotmixError, OSError):
        return asyncio.run(ask())
    return []


async def _listed(client: "ApiClient", group: str, version: str, plural: str, namespace: str | None) -> list[str]:
    import msgspec

    from extender.kube.paths import api_path

    path = api_path(group, version, plural, namespace=namespace)
    body = await client.request("GET", path, params={"limit": str(MOST)}, headers=_ONLY_NAMES, timeout=PATIENCE)
    try:
        items = msgspec.json.decode(body).get("items") or ()
        return sorted(each["metadata"]["name"] for each in items)
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
        return []


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what is written to standard error, also by plugins of the kubeconfig, off the line that is being typed."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
