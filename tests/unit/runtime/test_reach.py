"""Policies that give no spot replica at a workload's size: told once for each policy, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ENABLED, World, keys, make_namespace, make_owner, make_pod, make_policy, shares
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import run_virtually

from extender.core.answers.pod import explain_pod
from extender.core.policy.policy import Policy
from extender.core.policy.seats import TwoClassSeats
from extender.core.policy.shortfall import shortfall
from extender.kube.occurrences import RETELL
from extender.kube.recorder import LIMITS, SERIES_DELAY, EventRecorder
from extender.kube.seams import Timing
from extender.runtime.reach import LOOK, SLICE, ReachReports

PERCENT = st.integers(0, 100)
FEW = st.integers(0, 12)


@given(st.builds(TwoClassSeats, PERCENT, FEW, st.none() | FEW, st.just(0)), st.integers(0, 200))
def test_it_is_told_exactly_when_spot_is_asked_for_and_there_is_none(seats: TwoClassSeats, replicas: int) -> None:
    found = shortfall(Policy(seats), replicas)
    never = seats.target(10_000)["spot"] == 0
    assert (found is not None) == bool(
        seats.percentage and (never or (replicas and not seats.target(replicas)["spot"]))
    )
    if found is not None and found.first is not None:
        assert (seats.target(found.first - 1)["spot"], seats.target(found.first)["spot"]) == (0, 1)
    # Of one that is scaled to 0, or whose size is not known, what holds at every size.
    assert (shortfall(Policy(seats), None) is not None) == bool(seats.percentage and never)


@pytest.mark.parametrize(
    ("seats", "text"),
    [
        (TwoClassSeats(20), "spot-percentage=20 gives no spot replica below 5 replicas; all are on-demand until then"),
        (TwoClassSeats(100, 3), "spot-percentage=100 with min-on-demand=3 gives no spot replica below 4 replicas"),
        (TwoClassSeats(50, 0, None, 4), "spot-percentage=50 with on-demand-base=4 gives no spot replica below 6"),
        (
            TwoClassSeats(70, 0, 0),
            "max-spot=0 with spot-percentage=70 gives no spot replica at any size; all are on-demand: raise max-spot",
        ),
    ],
)
def test_the_text_names_the_keys_and_the_size_and_is_the_same_at_every_size(seats: TwoClassSeats, text: str) -> None:
    found = shortfall(Policy(seats), 1)
    assert found is not None
    key, value = found.keys[0]
    assert found.text(f"{key}={value}").startswith(text)
    assert shortfall(Policy(seats), 2) == shortfall(Policy(seats), 3) == found


class ReachOffice:
    """A world that is looked at every now and then. Made within a virtual event loop."""

    def __init__(self) -> None:
        self.world, self.objects = World(), StoredObjects()
        timing = Timing(clock=asyncio.get_running_loop().time)
        self.recorder = EventRecorder(
            KubeClient(self.objects), lambda *_: None, timing=timing, limits=replace(LIMITS, waiting=SLICE // 4)
        )
        self.recorder.start()
        self.task = asyncio.create_task(ReachReports(self.world.state, self.recorder, timing=timing).run())

    async def told(self) -> list[tuple[str, str, str]]:
        """Reason, type and object of each Event by now."""
        await asyncio.sleep(10)
        events = [body for path, body in self.objects.stored.items() if "/events/" in path]
        return [(e["reason"], e["type"], f"{e['regarding']['kind']} {e['regarding']['name']}") for e in events]


def virtually(check: Callable[[ReachOffice], Awaitable[None]]) -> None:
    async def main() -> None:
        office = ReachOffice()
        await check(office)
        office.task.cancel()
        await asyncio.gather(office.task, return_exceptions=True)
        await office.recorder.drain(60)

    run_virtually(main)


def event(name: str, kind: str = "Deployment") -> tuple[str, str, str]:
    return ("PolicyUnachievable", "Warning", f"{kind} {name}")


def test_an_autoscaler_that_goes_up_and_down_makes_no_further_event() -> None:
    async def check(office: ReachOffice) -> None:
        office.world.annotate("web", 2, spot_percentage=25)
        office.world.annotate("fine", 4, spot_percentage=25)
        office.world.annotate("none", 1, spot_percentage=0)
        await asyncio.sleep(LOOK / 2)
        assert await office.told() == []
        for size in (2, 8, 1, 0, 3, 8, 2):
            await asyncio.sleep(2 * LOOK)
            office.world.annotate("web", size, spot_percentage=25)
        assert await office.told() == [event("web")]
        # While it lasts its Event is kept from being forgotten.
        await asyncio.sleep(RETELL)
        assert await office.told() == [event("web")]
        await asyncio.sleep(SERIES_DELAY + 2 * LOOK)
        (stored,) = (body for path, body in office.objects.stored.items() if "/events/" in path)
        assert stored["series"]["count"] == 2
        # Another policy is news.
        office.world.annotate("web", 2, spot_percentage=30)
        await asyncio.sleep(2 * LOOK)
        assert await office.told() == [event("web")] * 2

    virtually(check)


def test_a_policy_object_is_named_with_the_field() -> None:
    async def check(office: ReachOffice) -> None:
        office.world.up(make_policy("all", **shares(70, floor=2)), make_owner("Deployment", "small", 2))
        await asyncio.sleep(4 * LOOK)
        assert await office.told()
        (note,) = (body["note"] for path, body in office.objects.stored.items() if "/events/" in path)
        assert note.startswith(
            "spec.classes[].weight=70 of PlacementPolicy shop/all with min-on-demand=2 gives no spot"
        )

    virtually(check)


def test_what_passes_before_the_second_look_is_not_told() -> None:
    async def check(office: ReachOffice) -> None:
        office.world.annotate("web", 1, spot_percentage=25)
        await asyncio.sleep(LOOK / 2)
        office.world.annotate("web", 6, spot_percentage=25)
        await asyncio.sleep(4 * LOOK)
        assert await office.told() == []

    virtually(check)


def test_of_jobs_that_end_between_two_looks_one_is_told_for_all() -> None:
    async def check(office: ReachOffice) -> None:
        office.world.up(make_namespace(labels=ENABLED, annotations=keys(spot_percentage=70)))
        for number in range(4):
            office.world.up(make_owner("Job", f"run-{number}", 1))
            await asyncio.sleep(LOOK)
            office.world.gone("jobs.batch", f"uid-Job-run-{number}")
        told = await office.told()
        assert [(reason, type_) for reason, type_, _ in told] == [("PolicyUnachievable", "Warning")]

    virtually(check)


def test_of_owners_of_a_pod_each_one_is_told_for_all() -> None:
    """Runners, say: they say no size, and go by their Namespace."""

    async def check(office: ReachOffice) -> None:
        world = office.world
        world.up(make_namespace(labels=ENABLED, annotations=keys(spot_percentage=70)))
        for number in range(5):
            owner = make_owner("Database", f"runner-{number}")
            world.up(owner, make_pod(f"pod-{number}", owner.ref))
        many = make_owner("Rollout", "many")
        world.up(many, *(make_pod(f"many-{number}", many.ref) for number in range(2)))
        await asyncio.sleep(2 * LOOK)
        assert await office.told() == [event("runner-0", "Database")]
        (stored,) = (body for path, body in office.objects.stored.items() if "/events/" in path)
        assert stored["note"] == (
            "spot-percentage=70 gives no spot replica below 2 replicas; all are on-demand until then; "
            "each Database is counted alone: annotate those that may be on spot with spot-percentage 100"
        )
        # They come and go; the others are told of nothing.
        world.gone("databases.example.org", "uid-Database-runner-0")
        await asyncio.sleep(4 * LOOK)
        assert await office.told() == [event("runner-0", "Database")]
        above = make_owner("Rollout", "set", annotations=keys(spot_percentage=60))
        world.up(above, make_owner("Database", "runner-9", owner=above.ref))
        world.up(make_pod("pod-9", make_owner("Database", "runner-9").ref))
        await asyncio.sleep(2 * LOOK)
        assert event("set", "Rollout") in await office.told()
        explained = explain_pod(world.state, world.state.pods["pod-1"], world.now)
        (problem,) = explained.problems
        assert problem.source == "Namespace shop"
        assert "gives no spot replica below 2 replicas" in problem.text
        many_explained = explain_pod(world.state, world.state.pods["many-0"], world.now)
        assert many_explained.problems == ()

    virtually(check)


def test_jobs_of_a_cronjob_are_told_of_once_on_the_cronjob() -> None:
    async def check(office: ReachOffice) -> None:
        top = make_owner("CronJob", "night", labels=ENABLED, annotations=keys(spot_percentage=50))
        office.world.up(top)
        for run in range(4):
            job = make_owner("Job", f"night-{run}", 1, owner=top.ref)
            office.world.up(job)
            await asyncio.sleep(2.5 * LOOK)
            office.world.gone("jobs.batch", job.uid)
        assert await office.told() == [event("night", "CronJob")]

    virtually(check)


def test_of_very_many_workloads_each_is_told_of_in_time() -> None:
    async def check(office: ReachOffice) -> None:
        count = SLICE + 5
        for number in range(count):
            office.world.annotate(f"web-{number}", 1, spot_percentage=25)
        await asyncio.sleep(2 * LOOK)
        assert 0 < len(await office.told()) < count
        await asyncio.sleep(8 * LOOK)
        assert len(await office.told()) == count

    virtually(check)
