"""What the process has the garbage collector and the C allocator do about a large state.

Loading it makes and frees several MB for each page of a list, and next to nothing of that is left to the collector:
reference counts free it.
"""

import ctypes
import gc

COLLECT_AFTER = 10_000
"""Objects that are made before the youngest are looked at: a page of pods makes thousands and frees them again."""

MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX = -3, -1, -8
"""Parameters of mallopt(3) of glibc, as malloc.h has them."""

BY_ITSELF = 128 * 1024
"""Bytes: blocks of this size get memory of their own by default, which goes back to the kernel when they are freed."""

LOADING = 300 * 1024
"""Bytes: more than one read of a connection takes (256 KiB). With `BY_ITSELF` the kernel would clear memory anew for
each of them, which makes loading a large cluster take 1.4 times as long."""

FREE_AT_TOP = 2 * 2**20
"""Bytes that may be free at the end of the heap while a cluster is loaded: the next page takes them."""


def prepare() -> None:
    """Before the cluster is loaded: leave alone what was imported, and keep for the next page what a page has freed.

    One arena is enough: whoever makes objects holds the lock of the interpreter.
    """
    gc.set_threshold(COLLECT_AFTER, 10, 10)
    gc.freeze()
    _tune({MMAP_THRESHOLD: LOADING, TRIM_THRESHOLD: FREE_AT_TOP, ARENA_MAX: 1})


def settle() -> None:
    """After it: give memory back, and leave the state, long-lived and acyclic, out of later collections.

    From now on the buffers of a connection, which are hardly ever full, have memory of their own: of that the kernel
    gives what is used.
    """
    gc.collect()
    gc.freeze()
    _tune({MMAP_THRESHOLD: BY_ITSELF, TRIM_THRESHOLD: BY_ITSELF})


def _tune(parameters: dict[int, int]) -> None:
    """Set parameters of glibc's allocator, and have it give back what is free; other allocators know none of this."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "malloc_trim"):
        return
    for parameter, value in parameters.items():
        library.mallopt(parameter, value)
    library.malloc_trim(0)
