"""The last words of the processes that a failed test ran with: what fails once in many runs leaves its cause."""

import gc
from collections.abc import Iterator

from extender.sandbox.process import Component
from extender.sandbox.spotmix import SpotmixServe

OURS, THEIRS = 60, 10
"""Lines of the log of Spotmix, and of each other process."""


def last_words() -> Iterator[tuple[str, str]]:
    """A title and the end of the log, of each process of a control plane whose log is still there."""
    for thing in [each for each in gc.get_objects() if isinstance(each, Component)]:
        try:
            lines = thing.log_path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        count = OURS if isinstance(thing, SpotmixServe) else THEIRS
        yield f"{thing.name} in {thing.log_path.parent.name}", "\n".join(lines[-count:])
