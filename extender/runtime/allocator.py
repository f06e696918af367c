"""What the process has the garbage collector and the C allocator do about a large state.

Loading it makes and frees several MB for each page of a list, and next to nothing of that is left to the collector:
reference counts free it.
"""

import gc

FREE_AT_TOP = 4 * 2**20
"""Bytes: more than a page of 200 pods and its pieces take."""

COLLECT_AFTER = 10_000
"""Objects that are made before the youngest are looked at: a page of pods makes thousands and frees them again."""


def prepare() -> None:
    """Before the cluster is loaded: leave alone what was imported, and keep for the next page what a page has freed.

    The allocator of glibc gives memory back as soon as twice the largest block that it ever unmapped is free at the
    top of its heap (M_MMAP_THRESHOLD in mallopt(3)): one large block, never touched, tells it to wait. Without that
    the kernel clears anew each page of memory for each page of a list, a fifth of the time of loading.
    """
    gc.set_threshold(COLLECT_AFTER, 10, 10)
    gc.freeze()
    bytes(FREE_AT_TOP)


def settle() -> None:
    """After it: the state is long-lived and acyclic to the collector, so it is left out of later collections."""
    gc.collect()
    gc.freeze()
