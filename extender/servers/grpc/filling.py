"""Puts many rows into a message, in steps between which the extender gets its turn."""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from extender.wire.placement_v1 import to_message

STEP = 100
"""Rows between two pauses: a millisecond or two."""


async def fill(rows: Any, structs: Sequence[Struct], step: int = STEP) -> None:
    """Append what structs say to a repeated field, so many at once."""
    for start in range(0, len(structs), step):
        await asyncio.sleep(0)
        rows.extend([to_message(struct) for struct in structs[start : start + step]])
