"""How long the drift loop took to bring workloads back, and what that cost in evictions; told at the end of a run."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from support.driftstage import Drifting


@dataclass
class Course:
    """One story: `surplus` pods were too many when it began."""

    name: str
    surplus: int
    evictions: int = 0
    seconds: float = 0.0


@dataclass
class Courses:
    """All stories of a run, in the order in which they ended."""

    ended: list[Course] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def follow(self, name: str, cluster: Drifting, surplus: int) -> AsyncIterator[Course]:
        """Take the time of what happens within, and count what was evicted meanwhile."""
        course = Course(name, surplus)
        before, started = len(cluster.evicted()), time.monotonic()
        yield course
        course.seconds = time.monotonic() - started
        course.evictions = len(cluster.evicted()) - before
        self.ended.append(course)

    def table(self) -> list[str]:
        """Lines for people."""
        width = max((len(course.name) for course in self.ended), default=0)
        return [f"{'':{width}}  surplus  evictions  seconds"] + [
            f"{c.name:{width}}  {c.surplus:7}  {c.evictions:9}  {c.seconds:7.1f}" for c in self.ended
        ]
