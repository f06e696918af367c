"""What the drift loop remembers from one leader to the next, in virtual time, and what it does when it cannot."""

from support.doubles import ON_DEMAND, SPOT
from support.doubles_drift import STORE, DriftRoom, virtually
from support.doubles_kube import refusal
from support.doubles_servers import run_virtually

from extender.core.model.reasons import Reason

DEPLOYMENT = "uid-Deployment-web"


def test_statement_09_back_off_and_moves_in_flight_outlive_the_process() -> None:
    async def main() -> None:
        first = DriftRoom()
        first.world.nodes(spot=2, on_demand=2)
        owner = first.drifted()
        first.cluster.takes = {ON_DEMAND}
        async with first.running():
            await first.after(3)
            # Killed while it backs off.
        assert len(first.cluster.granted) == 1
        second = DriftRoom(first.objects, first.world)
        async with second.running():
            await second.after(50)
            assert second.cluster.granted == []
            await second.after(30)
            assert len(second.cluster.granted) == 1
            assert second.split(owner) == {SPOT: 5, ON_DEMAND: 5}

    run_virtually(main)


def test_a_move_in_flight_is_judged_by_the_next_leader() -> None:
    async def main() -> None:
        first = DriftRoom()
        first.world.nodes(spot=2, on_demand=2)
        owner = first.drifted(on_demand=8, spot=2)
        first.cluster.start = 60.0
        async with first.running():
            await first.after(3)
        assert len(first.stored[DEPLOYMENT]["inFlight"]) == 1
        second = DriftRoom(first.objects, first.world)
        async with second.running():
            await second.after(20)
            # One at a time, whoever began it.
            assert second.cluster.granted == []
            await second.after(60)
            assert second.metric("moves_total", result="moved", reason="surplus", mode="enforce") == 3
            assert len(second.cluster.granted) == 2
            assert second.split(owner) == {SPOT: 5, ON_DEMAND: 5}

    run_virtually(main)


def test_without_its_memory_nothing_is_moved() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()

        def before(_method: str, path: str) -> None:
            if "/configmaps" in path:
                raise refusal(403, "Forbidden")

        room.cluster.before = before
        async with room.running():
            await room.after(30)
            assert room.cluster.evictions == []
            assert room.drift.view.paused is Reason.MEMORY
            assert any("nothing is moved before that can be read" in text for text in room.reports)
            room.cluster.before = lambda _method, _path: None
            await room.after(15)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert room.drift.view.paused is None

    virtually(check)


def test_a_move_that_cannot_be_remembered_is_not_made() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()

        def before(method: str, path: str) -> None:
            if method == "PATCH" and "/configmaps" in path:
                raise refusal(503, "etcd is away")

        async with room.running():
            room.cluster.before = before
            await room.after(10)
            assert room.cluster.evictions == []
            assert room.world.state.reserved == 0
            room.cluster.before = lambda _method, _path: None
            await room.after(60)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}

    virtually(check)


def test_a_workload_whose_entry_cannot_be_read_is_left_alone_until_it_is_put_right() -> None:
    async def check(room: DriftRoom) -> None:
        broken, other = room.drifted("a"), room.drifted("b")
        room.objects.put(STORE, {"data": {"uid-Deployment-a": '{"version": 9}'}})
        async with room.running():
            await room.after(30)
            assert room.split(broken) == {SPOT: 4, ON_DEMAND: 6}
            assert room.split(other) == {SPOT: 5, ON_DEMAND: 5}
            assert list(room.drift.memory.unreadable) == ["uid-Deployment-a"]
            stored = room.objects.stored[STORE]
            assert stored["data"]["uid-Deployment-a"] == '{"version": 9}'
            room.objects.put(STORE, {**stored, "data": {}})
            await room.after(30)
            assert room.split(broken) == {SPOT: 5, ON_DEMAND: 5}
        (note,) = room.events("HistoryUnreadable")
        assert "version 9" in note

    virtually(check)


def test_a_store_that_another_has_taken_over_is_read_anew() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        async with room.running():
            await room.after(0.2)
            stored = room.objects.stored[STORE]
            room.objects.put(STORE, {**stored, "metadata": {"annotations": {"spotmix.io/drift-term": "another"}}})
            await room.after(60)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.objects.stored[STORE]["metadata"]["annotations"]["spotmix.io/drift-term"] != "another"

    virtually(check)
