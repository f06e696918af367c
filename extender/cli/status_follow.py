"""`spotmix status -w`: how workloads stand, and each of them again as it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from extender.cli.questions import workloads
from extender.cli.service import Target, connected
from extender.cli.wanted import Wanted
from extender.core.answers.overview import Overview, WorkloadRow
from extender.settings import Settings

EVERY = 2.0
"""Seconds between two looks."""


async def follow(
    target: Target,
    settings: Settings,
    wanted: Wanted,
    show: Callable[[Overview, Sequence[WorkloadRow]], None],
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> None:
    """Show all workloads of a running Spotmix, and from then on those that are new or have changed, without end.

    Args:
        target: which service.
        settings: where the cluster is.
        wanted: which workloads.
        show: prints rows of an overview.
        sleep: waits seconds.

    Raises:
        ServiceError: there is none, it refuses, knows no selectors, or has gone.
        ApiError: the API server cannot be reached, or refuses.
    """
    known: dict[tuple[str, str, str], WorkloadRow] | None = None
    async with connected(target, settings) as client:
        while True:
            seen = (await workloads(client, wanted)).overview
            rows = {(row.namespace, row.kind, row.name): row for row in seen.workloads}
            changed = [row for name, row in rows.items() if known is None or known.get(name) != row]
            if changed or known is None:
                show(seen, changed)
            known = rows
            await sleep(EVERY)
