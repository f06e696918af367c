"""What is left to the garbage collector."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from extender.runtime import allocator


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_was_imported_is_left_alone_and_pages_are_not_looked_at() -> None:
    allocator.prepare()
    assert gc.get_threshold()[0] == allocator.COLLECT_AFTER
    assert gc.get_freeze_count() > allocator.COLLECT_AFTER


class Circle:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.self = self


def test_what_was_loaded_is_left_alone_and_garbage_is_not() -> None:
    allocator.prepare()
    loaded = [[number] for number in range(100)]
    circle = weakref.ref(Circle())
    before = gc.get_freeze_count()
    allocator.settle()
    assert circle() is None
    assert gc.get_freeze_count() >= before + len(loaded)
