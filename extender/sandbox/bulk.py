"""Many requests at once, but never too many."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")

DEFAULT_CONCURRENCY = 32


async def bulk(
    items: Iterable[Item],
    action: Callable[[Item], Awaitable[object]],
    *,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> int:
    """Run `action` for every item and return how many there were.

    The first failure cancels what is under way and is raised; what was done stays done.

    Args:
        items: taken one by one, so a generator of a hundred thousand bodies needs no memory for them.
        action: for example `lambda pod: api.request("POST", path, body=pod)`.
        concurrency: how many run at a time.
    """
    queue = iter(items)
    done = 0

    async def work() -> None:
        nonlocal done
        for item in queue:
            await action(item)
            done += 1

    workers = [asyncio.ensure_future(work()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return done
