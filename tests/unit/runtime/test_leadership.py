"""Terms of a leader in virtual time: when it decides, what it writes on pods, how it hands over."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from support.doubles import World, make_pod
from support.doubles_kube import KubeClient, StoredObjects, refusal
from support.doubles_servers import run_virtually

from extender.core.model.errors import ConfigError
from extender.core.model.reasons import Reason
from extender.core.state.records import Reservation
from extender.kube.incluster import own_namespace
from extender.kube.ownpod import LEADER_LABEL
from extender.kube.seams import Timing
from extender.runtime.leadership import BINDING, RELEASING, Leadership
from extender.runtime.whoami import identity
from extender.settings.sections.process import LeaderElectionSettings

PODS = "/api/v1/namespaces/system/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/system/leases/spotmix"
ELECTION = LeaderElectionSettings(enabled=True)


class Feed:
    """Is as new as the test lets it be."""

    def __init__(self) -> None:
        self.current = asyncio.Event()
        self.current.set()
        self.asked: list[str] = []
        self.faults: list[Exception] = []

    async def fresh_version(self) -> str:
        if self.faults:
            raise self.faults.pop()
        return "fresh"

    async def catch_up(self, version: str, patience: float) -> None:
        assert patience > 0
        self.asked.append(version)
        await self.current.wait()


class LeadingReplica:
    """One process: leadership and what is around it."""

    def __init__(self, objects: StoredObjects, settings: LeaderElectionSettings) -> None:
        self.client = KubeClient(objects)
        self.world = World()
        self.feed = Feed()
        self.reports: list[str] = []
        self.working = False
        self.leadership = Leadership(
            settings,
            self.client,
            self.feed,
            self.world.state,
            lambda _name, text: self.reports.append(text),
            timing=Timing(clock=lambda: asyncio.get_running_loop().time()),
        )

    def start(self) -> None:
        self.leadership.start()
        self.leadership.synced(self)

    async def perform(self) -> None:
        self.working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False

    def reserve(self, pod: str, age: float = 0.0) -> None:
        owner = self.world.deployment("web", 9, spot_percentage=100)
        self.world.up(make_pod(pod, owner))
        self.world.state.apply(Reservation(pod, "shop", owner, "spot", time.time() - age), self.world.now)

    async def until(self, obstacle: Reason | None, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while self.leadership.obstacle() is not obstacle:  # noqa: ASYNC110 - the clock alone may change it
                await asyncio.sleep(0.01)


class LeadingRoom:
    """The cluster, and a way to start processes in pods of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.objects = StoredObjects()
        self.replicas: list[LeadingReplica] = []
        self._patch = monkeypatch

    def replica(self, pod: str = "", settings: LeaderElectionSettings = ELECTION) -> LeadingReplica:
        self._patch.setenv("POD_NAMESPACE", "system")
        self._patch.setenv("POD_NAME", pod)
        if pod and f"{PODS}/{pod}" not in self.objects.stored:
            self.objects.put(f"{PODS}/{pod}", {"metadata": {"name": pod, "labels": {LEADER_LABEL: "true"}}})
        replica = LeadingReplica(self.objects, settings)
        self.replicas.append(replica)
        return replica

    def label(self, pod: str) -> str:
        value: str = self.objects.stored[f"{PODS}/{pod}"]["metadata"]["labels"][LEADER_LABEL]
        return value

    async def labelled(self, **labels: str) -> None:
        async with asyncio.timeout(60):
            while any(self.label(pod) != value for pod, value in labels.items()):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)


Check = Callable[[LeadingRoom], Awaitable[None]]


@pytest.fixture
def virtually(monkeypatch: pytest.MonkeyPatch) -> Callable[[Check], None]:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[LeadingRoom]:
        room = LeadingRoom(monkeypatch)
        try:
            yield room
        finally:
            for replica in room.replicas:
                await replica.leadership.resign()

    async def main(check: Check) -> None:
        async with opened() as room:
            await check(room)

    return lambda check: run_virtually(lambda: main(check))


Virtually = Callable[[Check], None]


def test_without_election_it_decides_once_it_is_synced(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        replica = room.replica("a", LeaderElectionSettings())
        leadership = replica.leadership
        leadership.start()
        assert (leadership.obstacle(), leadership.leads, leadership.stays()) == (Reason.NOT_SYNCED, True, True)
        leadership.synced(replica)
        await replica.until(None)
        await leadership.resign()
        # It answers what is in flight, and writes what it owes.
        assert leadership.decides
        assert not replica.working
        assert replica.client.seen == []

    virtually(check)


def test_one_decides_and_says_so_on_its_pod(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one, two = room.replica("a"), room.replica("b")
        one.start()
        await one.until(None)
        two.start()
        await room.labelled(a="true", b="false")
        await two.until(Reason.NOT_LEADER)
        assert (one.leadership.stays(), two.leadership.stays()) == (True, False)
        assert (one.working, two.working) == (True, False)
        assert one.reports == two.reports == []
        # A write on the own pod is what the watch had to deliver.
        assert one.feed.asked[0].isdecimal()

    virtually(check)


def test_nobody_is_ready_before_the_election_has_begun(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        replica = room.replica("a")
        # All lists may have come: what follows from them is not done yet.
        assert replica.leadership.faults() == ["the election has not begun: it waits for the cluster to be read"]
        replica.start()
        await replica.until(None)
        assert replica.leadership.faults() == []

    virtually(check)


def test_a_follower_is_not_ready_before_it_knows_who_leads(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one, two = room.replica("a"), room.replica("b")
        one.start()
        await one.until(None)
        two.start()
        # It would admit pods ungated: as far as it knows nobody decides.
        assert (two.leadership.led, two.leadership.faults()) == (
            False,
            ["the Lease of the leader has not been read yet"],
        )
        async with asyncio.timeout(60):
            while two.leadership.faults():  # noqa: ASYNC110 - the clock alone may change it
                await asyncio.sleep(0.001)
        assert two.leadership.led
        assert one.leadership.faults() == []

    virtually(check)


def test_nothing_is_decided_before_the_watch_has_caught_up(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one = room.replica("a")
        one.feed.current.clear()
        one.start()
        await one.until(Reason.TAKING_OVER)
        await asyncio.sleep(5)
        assert one.leadership.obstacle() is Reason.TAKING_OVER
        assert (room.label("a"), one.working, one.leadership.stays()) == ("false", False, True)
        one.feed.current.set()
        await one.until(None)

    virtually(check)


def test_without_a_pod_a_list_tells_what_is_new(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one = room.replica()
        one.feed.faults = [refusal(503), refusal(0)]
        one.start()
        await one.until(None)
        assert one.feed.asked == ["fresh"]
        assert len(one.reports) == 2

    virtually(check)


def test_a_pod_that_is_not_there_is_no_hindrance(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one = room.replica("a")
        room.objects.delete(f"{PODS}/a")
        one.start()
        await one.until(None)
        assert one.feed.asked == ["fresh"]
        assert "404" in one.reports[0]

    virtually(check)


def test_a_successor_takes_the_label_off_a_dead_leader(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one, two = room.replica("a"), room.replica("b")
        one.start()
        await one.until(None)
        await room.labelled(a="true")
        two.start()
        await room.labelled(b="false")
        one.client.down = True
        await two.until(None)
        await room.labelled(a="false", b="true")
        assert not one.working

    virtually(check)


def test_what_was_reserved_counts_until_another_has_led(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one = room.replica("a")
        one.start()
        await one.until(None)
        one.reserve("p1")
        one.client.down = True
        await one.until(Reason.NOT_LEADER)
        one.client.down = False
        await one.until(None)
        # Nobody else led: the scheduler may still act on what was decided.
        assert one.world.state.reserved == 1
        two = room.replica("b")
        two.start()
        one.client.down = True
        await two.until(None)
        one.client.down = False
        await two.leadership.resign()
        await one.until(None)
        assert one.world.state.reserved == 0

    virtually(check)


def test_a_leader_waits_for_its_last_pods_before_it_hands_over(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one, two = room.replica("a"), room.replica("b")
        one.start()
        await one.until(None)
        two.start()
        one.reserve("fresh")
        one.reserve("waits", age=BINDING + 60)
        resigning = asyncio.create_task(one.leadership.resign())
        await one.until(Reason.NOT_LEADER)
        await room.labelled(a="false")
        await asyncio.sleep(1)
        assert two.leadership.obstacle() is Reason.NOT_LEADER
        assert room.objects.stored[LEASE]["spec"]["holderIdentity"] == "a"
        one.world.gone("pods", "fresh")
        await asyncio.wait_for(resigning, 1)
        await two.until(None, 1)
        assert room.objects.stored[LEASE]["spec"]["holderIdentity"] == "b"

    virtually(check)


def test_a_leader_that_ends_has_no_pods_gated_and_lets_those_go_that_are(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one = room.replica("a")
        one.start()
        await one.until(None)
        assert one.leadership.led
        owner = one.world.deployment("web", 9, spot_percentage=100)
        one.world.up(make_pod("last", owner, gates=("spotmix.io/placement",)))
        resigning = asyncio.create_task(one.leadership.resign())
        await asyncio.sleep(RELEASING / 2)
        # It gates no more, and still decides.
        assert (one.leadership.led, one.leadership.decides) == (False, True)
        one.world.up(make_pod("last", owner, written="spot"))
        await asyncio.wait_for(resigning, BINDING + 1)
        assert not one.leadership.decides

    virtually(check)


def test_a_bug_in_the_leaders_work_makes_way_for_another(virtually: Virtually) -> None:
    async def check(room: LeadingRoom) -> None:
        one, two = room.replica("a"), room.replica("b")

        class Broken:
            async def perform(self) -> None:
                await asyncio.sleep(1)
                raise RuntimeError("bug")

        one.leadership.start()
        one.leadership.synced(Broken())
        await one.until(None)
        two.start()
        await two.until(None, 5)
        await room.labelled(a="false", b="true")
        assert "the Lease is given back" in one.reports[0]

    virtually(check)


def test_the_lease_needs_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    monkeypatch.delenv("POD_NAME", raising=False)
    assert own_namespace() == ()
    with pytest.raises(ConfigError, match=r"set POD_NAMESPACE or leaderElection\.namespace"):
        LeadingReplica(StoredObjects(), ELECTION)
    LeadingReplica(StoredObjects(), LeaderElectionSettings(enabled=True, namespace="x"))
    assert identity().rpartition("_")[2].isdecimal()
    monkeypatch.setenv("POD_NAME", "a")
    assert identity() == "a"
