"""Many rows are put into a message with turns for others in between."""

import asyncio

from extender.core.answers.plan import WorkloadName
from extender.servers.grpc.filling import STEP, fill
from spotmix.placement.v1 import placement_pb2 as pb


async def test_rows_keep_their_order_and_others_have_turns() -> None:
    names = [WorkloadName("shop", "Deployment", f"web-{number}") for number in range(2 * STEP + 1)]
    rows: list[pb.WorkloadName] = []
    seen: list[int] = []

    async def others() -> None:
        while len(rows) < len(names):
            seen.append(len(rows))
            await asyncio.sleep(0)

    await asyncio.gather(fill(rows, names), others())
    assert [row.name for row in rows] == [name.name for name in names]
    assert set(seen) == {0, STEP, 2 * STEP}


async def test_no_rows_are_no_turn() -> None:
    rows: list[pb.WorkloadName] = []
    await fill(rows, ())
    assert rows == []
