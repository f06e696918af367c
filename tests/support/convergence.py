"""How long the drift loop took to bring workloads back, and what that cost in evictions."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from support.driftstage import Drifting


@dataclass
class Course:
    """What became of a story: how many pods were evicted in it."""

    evictions: int = 0


@contextlib.asynccontextmanager
async def follow(name: str, cluster: Drifting, surplus: int) -> AsyncIterator[Course]:
    """Take the time of what happens within, count what is evicted meanwhile, and print both.

    Args:
        name: of the story.
        cluster: where it happens.
        surplus: how many pods are too many when it begins.
    """
    course = Course()
    before, started = len(cluster.evicted()), time.monotonic()
    yield course
    course.evictions = len(cluster.evicted()) - before
    seconds = time.monotonic() - started
    print(f"{name}: {surplus} pods too many, {course.evictions} evicted, {seconds:.1f} s")
