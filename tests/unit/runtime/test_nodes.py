"""Nodes whose class is in doubt, or that say nothing of their pool, are told of; in virtual time."""

import asyncio

from support.doubles import SPOT, World, make_node
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import run_virtually

from extender.kube.recorder import EventRecorder
from extender.kube.seams import Timing
from extender.runtime.nodes import AT_ONCE, LOOK, NodeReports


def test_one_node_of_a_class_that_no_policy_names_is_told_of() -> None:
    async def main() -> None:
        world, objects = World(), StoredObjects()
        timing = Timing(clock=asyncio.get_running_loop().time)
        recorder = EventRecorder(KubeClient(objects), lambda *_: None, timing=timing)
        recorder.start()
        world.nodes(spot=1, on_demand=1)
        world.up(*(make_node(f"reserved-{n}", "reserved") for n in range(3)))
        task = asyncio.create_task(NodeReports(world.state, recorder, timing=timing).run())
        await asyncio.sleep(3 * LOOK)
        (event,) = [body for path, body in objects.stored.items() if "/events/" in path]
        assert (event["regarding"]["name"], event["reason"]) == ("reserved-0", "NodeClassUnnamed")
        assert event["note"].startswith("No policy names the class reserved: ")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)


def test_nodes_in_doubt_are_told_of_some_at_a_time_and_lone_ones_when_pools_are_capped() -> None:
    async def main() -> None:
        world, objects = World(), StoredObjects()
        timing = Timing(clock=asyncio.get_running_loop().time)
        recorder = EventRecorder(KubeClient(objects), lambda *_: None, timing=timing)
        recorder.start()
        reports = NodeReports(world.state, recorder, timing=timing)
        world.nodes(spot=1, on_demand=1)
        doubt = "no rule knows it, and market=spot looks like spot"
        world.up(*(make_node(f"odd-{n}", "on-demand", doubt=doubt) for n in range(AT_ONCE + 1)))
        world.up(make_node("bare", SPOT, instance_type="", zone=""))

        def told() -> list[tuple[str, str]]:
            events = [body for path, body in objects.stored.items() if "/events/" in path]
            return [(event["regarding"]["name"], event["reason"]) for event in events]

        task = asyncio.create_task(reports.run())
        await asyncio.sleep(LOOK - 1)
        assert len(told()) == AT_ONCE
        await asyncio.sleep(LOOK)
        assert told().count(("odd-0", "NodeClassDoubtful")) == 1
        assert len(told()) == AT_ONCE + 1
        world.deployment("web", 2, spot_percentage=100, max_per_pool=1)
        await asyncio.sleep(LOOK)
        assert told()[-1] == ("bare", "NodePoolUnknown")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)
