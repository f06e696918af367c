"""Leader election in virtual time, against everything that can come between two candidates."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from support.doubles_kube import KubeClient, StoredObjects, refusal
from support.doubles_servers import run_virtually

from extender.core.model.errors import WireError
from extender.kube.lease import JITTER, Elector, LeaseLock
from extender.kube.seams import Timing
from extender.wire.lease_v1 import LeaseSpec, decode_lease, micro_time

LEASES = "/apis/coordination.k8s.io/v1/namespaces/system/leases"
PATH = f"{LEASES}/spotmix"
START = datetime(2026, 1, 1, tzinfo=UTC)


def clock() -> float:
    return asyncio.get_running_loop().time()


class LeaseReplica:
    """An elector with a client of its own; `skew` (seconds) is how far its time of day is off."""

    def __init__(self, objects: StoredObjects, identity: str, skew: float = 0.0, **times: float) -> None:
        self.client = KubeClient(objects)
        self.reports: list[str] = []
        self.terms: list[float] = []
        self.ends: list[float] = []
        self.work: Callable[[], Awaitable[None]] = asyncio.Event().wait  # type: ignore[assignment]  # never ends
        self.elector = Elector(
            self.client,
            LeaseLock("system", "spotmix", identity, **times),
            lambda _name, text: self.reports.append(text),
            timing=Timing(clock=clock, uniform=lambda low, high: (low + high) / 2),
            now=lambda: START + timedelta(seconds=clock() + skew),
        )
        self.task: asyncio.Task[None] | None = None

    async def _lead(self) -> None:
        self.terms.append(clock())
        try:
            await self.work()
        finally:
            self.ends.append(clock())

    def start(self) -> None:
        self.task = asyncio.create_task(self.elector.run(self._lead))

    async def kill(self) -> None:
        """End without a word."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    async def stop(self) -> None:
        await self.kill()
        await self.elector.release()

    async def leads(self) -> None:
        while not self.elector.leader:  # noqa: ASYNC110 - leadership is a question of the clock
            await asyncio.sleep(0.01)


class LeaseRoom:
    """Replicas around one Lease."""

    def __init__(self) -> None:
        self.objects = StoredObjects()
        self.replicas: list[LeaseReplica] = []

    def replica(self, identity: str, skew: float = 0.0, **times: float) -> LeaseReplica:
        replica = LeaseReplica(self.objects, identity, skew, **times)
        replica.start()
        self.replicas.append(replica)
        return replica

    @property
    def spec(self) -> Any:
        return self.objects.stored[PATH]["spec"]

    def leaders(self) -> list[LeaseReplica]:
        return [replica for replica in self.replicas if replica.elector.leader]

    async def watchfully(self, seconds: float) -> None:
        """Let time pass, and see at every moment that there are never two leaders."""
        end = clock() + seconds
        while clock() < end:
            assert len(self.leaders()) <= 1
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[LeaseRoom]:
    room = LeaseRoom()
    try:
        yield room
    finally:
        for replica in room.replicas:
            await replica.kill()


def virtually(test: Callable[[LeaseRoom], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opened() as room, asyncio.timeout(100_000):
            await test(room)

    run_virtually(main)


def test_the_first_one_makes_the_lease_and_renews_it() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        spec = dict(room.spec)
        assert spec == {
            "holderIdentity": "one",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-01T00:00:00.001000Z",
            "renewTime": "2026-01-01T00:00:00.001000Z",
            "leaseTransitions": 0,
        }
        await room.watchfully(60)
        assert room.spec["renewTime"] > "2026-01-01T00:00:57"
        assert {**room.spec, "renewTime": spec["renewTime"]} == spec
        assert (len(one.terms), one.reports) == (1, [])
        # Renewing is one request, every retry period.
        assert {method for method, _ in one.client.seen[2:]} == {"PATCH"}
        assert 28 <= len(one.client.seen) <= 33

    virtually(check)


@pytest.mark.parametrize("skew", [-7200.0, 0.0, 7200.0])
@pytest.mark.parametrize("watches", [True, False])
def test_a_killed_leader_is_followed_after_the_duration_whatever_its_clock_said(skew: float, watches: bool) -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one", skew)
        await one.leads()
        two = room.replica("two")
        two.client.watches = watches
        await room.watchfully(30)
        await one.kill()
        killed = clock()
        await two.leads()
        assert 15 - 2 - 0.1 <= clock() - killed < 20
        assert (room.spec["holderIdentity"], room.spec["leaseTransitions"]) == ("two", 1)
        assert two.elector.former == "one"
        assert not two.elector.resumed
        assert two.reports == []

    virtually(check)


def test_a_clean_release_hands_over_at_once() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        two = room.replica("two")
        await room.watchfully(10)
        before = clock()
        await one.stop()
        assert (room.spec["holderIdentity"], room.spec["leaseDurationSeconds"]) == ("", 1)
        await two.leads()
        assert clock() - before < 0.1
        assert (room.spec["holderIdentity"], room.spec["leaseTransitions"]) == ("two", 1)
        assert two.elector.former == ""

    virtually(check)


def test_of_many_at_once_exactly_one_leads() -> None:
    async def check(room: LeaseRoom) -> None:
        for number in range(5):
            room.replica(f"r{number}")
        await room.watchfully(30)
        for transitions in range(1, 5):
            (leader,) = room.leaders()
            await leader.kill()
            room.replicas.remove(leader)
            await room.watchfully(25)
            assert room.spec["leaseTransitions"] == transitions
        assert [r.reports for r in room.replicas] == [[]]

    virtually(check)


@pytest.mark.parametrize("fault", ["down", "silent"])
def test_a_leader_that_gets_no_answer_stops_before_another_starts(fault: str) -> None:
    async def check(room: LeaseRoom) -> None:
        one, two = room.replica("one"), room.replica("two")
        await room.watchfully(5.5)
        (leader,) = room.leaders()
        other = two if leader is one else one
        cut = clock()
        setattr(leader.client, fault, True)
        await room.watchfully(40)
        assert other.elector.leader
        assert 8 <= leader.ends[0] - cut <= 10
        assert other.terms[0] - leader.ends[0] >= 3
        setattr(leader.client, fault, False)
        await room.watchfully(40)
        assert other.elector.leader
        assert leader.reports
        assert room.spec["leaseTransitions"] == 1

    virtually(check)


def test_a_blocked_leader_knows_by_the_clock_that_it_leads_no_more() -> None:
    """Its renewals hang, and nothing runs that could tell it."""

    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        assert one.task is not None
        one.client.silent = True
        until = one.elector._until
        await asyncio.sleep(until - clock() - 0.01)
        assert room.leaders() == [one]
        await asyncio.sleep(0.01)
        assert room.leaders() == []

    virtually(check)


def test_an_outage_of_the_server_for_all_is_survived() -> None:
    async def check(room: LeaseRoom) -> None:
        one, two = room.replica("one"), room.replica("two")
        await room.watchfully(5)
        (leader,) = room.leaders()
        for replica in (one, two):
            replica.client.down = True
        await room.watchfully(120)
        assert room.leaders() == []
        for replica in (one, two):
            replica.client.down = False
        await room.watchfully(10)
        assert len(room.leaders()) == 1
        # Whether it is still its own term tells whether what it decided before still counts.
        assert room.leaders()[0].elector.resumed == (room.leaders() == [leader])

    virtually(check)


def test_a_short_outage_is_no_change_of_leader() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        room.replica("two")
        await room.watchfully(5)
        one.client.down = True
        await room.watchfully(7)
        one.client.down = False
        await room.watchfully(30)
        assert len(one.terms) == 1
        assert room.spec["leaseTransitions"] == 0

    virtually(check)


def test_a_leader_alone_resumes_after_an_outage() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        acquired = room.spec["acquireTime"]
        one.client.down = True
        await asyncio.sleep(60)
        assert room.leaders() == []
        one.client.down = False
        await one.leads()
        assert one.elector.resumed
        assert (room.spec["acquireTime"], room.spec["leaseTransitions"]) == (acquired, 0)
        # A process that was started anew under the name of the old one remembers nothing.
        await one.kill()
        again = room.replica("one")
        await again.leads()
        assert clock() - 60 < 6
        assert not again.elector.resumed
        assert room.spec["acquireTime"] > acquired

    virtually(check)


def test_a_deleted_lease_is_made_again_by_its_holder() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        room.replica("two")
        await room.watchfully(5)
        for _ in range(3):
            room.objects.delete(PATH)
            await room.watchfully(5)
            assert room.spec["holderIdentity"] == "one"
        assert len(one.terms) == 1
        # Nor does it change hands when its holder is dead: others wait all the same.
        await one.kill()
        room.objects.delete(PATH)
        killed = clock()
        await room.watchfully(9)
        assert room.leaders() == []
        await room.watchfully(10)
        assert room.spec["holderIdentity"] == "two"
        assert clock() - killed < 20

    virtually(check)


def test_conflicts_of_others_writes_do_not_end_a_term() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        room.replica("two")
        for number in range(20):
            stored = room.objects.stored[PATH]
            stored["metadata"]["labels"] = {"by": f"somebody-{number}"}
            room.objects.put(PATH, stored)
            await room.watchfully(1.7)
        assert len(one.terms) == 1
        assert room.objects.stored[PATH]["metadata"]["labels"] == {"by": "somebody-19"}

    virtually(check)


def test_a_lease_taken_by_force_is_given_up() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        stored = room.objects.stored[PATH]
        room.objects.put(PATH, {**stored, "spec": {**stored["spec"], "holderIdentity": "thief"}})
        await asyncio.sleep(3)
        assert room.leaders() == []
        assert one.elector.holder == "thief"
        assert "the Lease was taken by 'thief'" in one.reports[0]
        await asyncio.sleep(20)
        assert room.leaders() == [one]
        assert (one.elector.former, one.elector.resumed) == ("thief", False)

    virtually(check)


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"holderIdentity": None, "leaseDurationSeconds": None, "leaseTransitions": None, "renewTime": None},
        {"holderIdentity": "", "renewTime": "yesterday"},
    ],
)
def test_a_lease_that_somebody_else_made_is_taken(spec: dict[str, Any] | None) -> None:
    async def check(room: LeaseRoom) -> None:
        room.objects.put(PATH, {"metadata": {"name": "spotmix", "labels": {"kept": "yes"}}, "spec": spec})
        one = room.replica("one")
        await one.leads()
        assert clock() < 0.1
        assert (room.spec["holderIdentity"], room.spec["leaseTransitions"]) == ("one", 1)
        assert room.objects.stored[PATH]["metadata"]["labels"] == {"kept": "yes"}

    virtually(check)


def test_a_holder_that_names_no_duration_has_ours() -> None:
    async def check(room: LeaseRoom) -> None:
        room.objects.put(PATH, {"metadata": {"name": "spotmix"}, "spec": {"holderIdentity": "x"}})
        one = room.replica("one")
        await one.leads()
        assert 15 <= clock() < 20

    virtually(check)


def test_nonsense_and_refusals_are_reported_and_survived() -> None:
    async def check(room: LeaseRoom) -> None:
        room.objects.put(PATH, {"metadata": {"name": "spotmix"}, "spec": {"leaseTransitions": "many"}})
        one = room.replica("one")
        await asyncio.sleep(10)
        assert "Lease system/spotmix: the Lease does not decode: Expected `int | null`" in one.reports[0]
        room.objects.put(PATH, {"metadata": {"name": "spotmix"}})

        def forbid(_method: str, _path: str) -> None:
            raise refusal(403, "Forbidden")

        one.client.before = forbid
        await asyncio.sleep(10)
        assert "403 Forbidden" in one.reports[-1]
        one.client.before = lambda _method, _path: None
        await one.leads()

    virtually(check)


def test_a_leader_whose_work_ends_gives_the_lease_back() -> None:
    async def check(room: LeaseRoom) -> None:
        async def broken() -> None:
            await asyncio.sleep(1)
            raise RuntimeError("bug")

        one = room.replica("one")
        one.work = broken
        await one.leads()
        two = room.replica("two")
        await two.leads()
        assert clock() < 2
        assert "the leader's work ended: RuntimeError('bug'); the Lease is given back" in one.reports[0]

    virtually(check)


def test_a_leader_whose_work_fails_at_once_pauses_before_it_tries_again() -> None:
    async def check(room: LeaseRoom) -> None:
        async def broken() -> None:
            raise RuntimeError("bug")

        one = room.replica("one")
        one.work = broken
        await asyncio.sleep(60)
        assert 60 / (2 * (1 + JITTER)) - 2 <= len(one.terms) <= 60 / 2 + 1
        assert min(later - earlier for earlier, later in itertools.pairwise(one.terms)) >= 2

    virtually(check)


def test_a_release_keeps_how_often_the_lease_has_changed_hands() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        two = room.replica("two")
        await room.watchfully(5)
        await one.stop()
        await two.leads()
        await two.stop()
        assert (room.spec["holderIdentity"], room.spec["leaseTransitions"]) == ("", 1)

    virtually(check)


def test_a_follower_whose_watch_is_dead_looks_every_retry_period() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        two = room.replica("two")
        two.client.watches = False
        await room.watchfully(20)
        before = clock()
        await one.stop()
        await two.leads()
        assert clock() - before < 2 * (1 + JITTER) + 0.1

    virtually(check)


def test_a_follower_that_saw_the_last_renewal_leads_as_soon_as_the_lease_has_run_out() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        two = room.replica("two")
        await room.watchfully(20)
        await one.kill()
        renewed = datetime.fromisoformat(room.spec["renewTime"])
        await two.leads()
        assert (START + timedelta(seconds=clock()) - renewed).total_seconds() == pytest.approx(15, abs=0.1)

    virtually(check)


def test_a_release_that_does_not_arrive_runs_out() -> None:
    async def check(room: LeaseRoom) -> None:
        one = room.replica("one")
        await one.leads()
        two = room.replica("two")
        await room.watchfully(5)
        one.client.down = True
        await one.stop()
        assert not one.elector.leader
        assert "it runs out by itself" in one.reports[-1]
        # What is another's is not given away.
        await two.stop()
        assert room.spec["holderIdentity"] == "one"

    virtually(check)


def test_short_times_hand_over_faster() -> None:
    times = {"duration": 2.0, "renew_deadline": 1.5, "retry_period": 0.3}

    async def check(room: LeaseRoom) -> None:
        one = room.replica("one", **times)
        await one.leads()
        two = room.replica("two", **times)
        await room.watchfully(3)
        await one.kill()
        killed = clock()
        await two.leads()
        assert clock() - killed < 2 + 0.3 * (1 + JITTER)

    virtually(check)


def test_times_are_written_in_utc_with_microseconds() -> None:
    moment = datetime(2026, 5, 1, 0, 30, 0, 42, tzinfo=timezone(timedelta(hours=2)))
    assert micro_time(moment) == "2026-04-30T22:30:00.000042Z"


def test_decoding() -> None:
    assert decode_lease(b"{}") == (LeaseSpec(), "")
    assert decode_lease(b'{"metadata":null,"spec":null}') == (LeaseSpec(), "")
    body = json.dumps({"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": "x", "strategy": "y"}})
    assert decode_lease(body.encode()) == (LeaseSpec("x"), "7")
    for bad in (b"", b"[]", b"\xff", b'{"spec":{"holderIdentity":1}}'):
        with pytest.raises(WireError, match="the Lease does not decode"):
            decode_lease(bad)
