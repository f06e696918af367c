"""Policies that are wrong are told of while they are, and that they were put right; in virtual time."""

import asyncio
from typing import Any

import structlog
from msgspec.structs import replace
from support.doubles import ENABLED, World, keys, make_namespace, make_owner
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import run_virtually

from extender.kube.occurrences import RETELL
from extender.kube.recorder import LIMITS, SERIES_DELAY, EventRecorder
from extender.kube.seams import Timing
from extender.runtime.policies import AGAIN, SLICE, PolicyReports


class PolicyOffice:
    """A world whose policies are told of. Made within a virtual event loop."""

    def __init__(self) -> None:
        self.world, self.objects = World(), StoredObjects()
        timing = Timing(clock=asyncio.get_running_loop().time)
        self.recorder = EventRecorder(
            KubeClient(self.objects), lambda *_: None, timing=timing, limits=replace(LIMITS, waiting=SLICE // 2)
        )
        self.recorder.start()
        self.reports = PolicyReports(self.world.state.workloads, self.recorder, lambda: True, timing=timing)

    def write(self, name: str = "web", **policy: Any) -> None:
        self.world.up(make_owner("Deployment", name, 5, labels=ENABLED, annotations=keys(**policy)))
        self._take_in()

    def delete(self, name: str = "web") -> None:
        self.world.gone("deployments.apps", f"uid-Deployment-{name}")
        self._take_in()

    def _take_in(self) -> None:
        for effect in self.world.state.outbox.take_effects():
            self.reports.observe(effect, self.world.now)

    async def told(self) -> list[tuple[str, int, str]]:
        """Reason, count and note of each Event by now."""
        await asyncio.sleep(SERIES_DELAY + 10)
        events = [body for path, body in self.objects.stored.items() if "/events/" in path]
        return [(e["reason"], e.get("series", {}).get("count", 1), e["note"]) for e in events]


def test_an_invalid_policy_is_told_while_it_lasts_and_when_it_is_put_right() -> None:
    async def main() -> None:
        office = PolicyOffice()
        task = asyncio.create_task(office.reports.run())
        await asyncio.sleep(1)
        office.write(spot_percentage=50)
        office.write(spot_percentage="most")
        fault = (
            "Deployment shop/web: spotmix.io/spot-percentage='most' is not a percentage; "
            'write a whole number from 0 to 100, such as "70"; its last valid policy keeps applying until then'
        )
        assert await office.told() == [("PolicyInvalid", 1, fault)]
        await asyncio.sleep(RETELL)
        assert await office.told() == [("PolicyInvalid", 2, fault)]
        office.write(spot_percentage=60)
        right = "What was wrong with its policy has been put right: it applies as it is written"
        assert await office.told() == [("PolicyInvalid", 2, fault), ("PolicyValid", 1, right)]
        await asyncio.sleep(RETELL)
        office.write(spot_percentage=70)
        assert await office.told() == [("PolicyInvalid", 2, fault), ("PolicyValid", 1, right)]
        # One that goes with its fault was not put right.
        office.write("gone", spot_percentage="most")
        office.delete("gone")
        office.write("gone", spot_percentage=50)
        assert [reason for reason, *_ in await office.told()] == ["PolicyInvalid", "PolicyValid", "PolicyInvalid"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)


def test_a_new_leader_tells_of_very_many_and_knows_when_they_are_put_right() -> None:
    async def main() -> None:
        office = PolicyOffice()
        count = SLICE + 5
        for number in range(count):
            # Read while another leads.
            office.world.up(
                make_owner("Deployment", f"web-{number}", 5, labels=ENABLED, annotations=keys(spot_percentage="most"))
            )
        office.world.state.outbox.effects.clear()
        task = asyncio.create_task(office.reports.run())
        await asyncio.sleep(AGAIN / 2)
        assert 0 < len(await office.told()) < count
        await asyncio.sleep(3 * AGAIN)
        told = await office.told()
        assert (len(told), {times for _, times, _ in told}) == (count, {1})
        office.write(f"web-{count - 1}", spot_percentage=50)
        assert (await office.told())[-1][0] == "PolicyValid"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)


def test_what_a_namespace_says_is_logged_once_for_all_its_workloads() -> None:
    async def main() -> None:
        office = PolicyOffice()
        with structlog.testing.capture_logs() as lines:
            office.world.up(make_namespace(annotations=keys(spot_percentage="most", zzz="x")))
            for name in ("a", "b", "c"):
                office.write(name)
            await asyncio.sleep(AGAIN + 1)
            office.write("d", fallback_after="soon")
        about = [(line["event"], line["workload"]) for line in lines]
        assert about == [
            ("policy invalid", "Deployment/a"),
            ("policy warning", "Deployment/a"),
            ("policy invalid", "Deployment/d"),
            ("policy invalid", "Deployment/d"),
            ("policy warning", "Deployment/d"),
        ]

    run_virtually(main)
