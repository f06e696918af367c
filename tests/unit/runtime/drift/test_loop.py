"""The drift loop in virtual time: what it moves, staleness, dry runs, its turns."""

import asyncio
from typing import Any

import pytest
from support.doubles import ENABLED, ON_DEMAND, SPOT, keys, make_node, make_owner, make_pod
from support.doubles_drift import QUICK, STORE, DriftRoom, pod_path, virtually
from support.doubles_kube import refusal

from extender.core.drift.actions import Cycle
from extender.core.drift.rules import DriftOptions
from extender.core.drift.turns import SLICE
from extender.core.drift.under_way import DRY_MEMORY
from extender.core.model.objects import Budget, OptOut
from extender.core.model.reasons import Reason
from extender.core.model.selectors import LabelSelector
from extender.core.state.records import replacing
from extender.kube.reflector import Health
from extender.runtime.drift.freshness import STALE_AFTER
from extender.settings.rules import drift_options
from extender.settings.sections.drift import DriftSettings

DEPLOYMENT = "uid-Deployment-web"


def test_exactly_the_surplus_is_moved_each_move_remembered_before_it_is_made() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted(on_demand=8, spot=2)
        remembered = []

        def before(method: str, path: str) -> None:
            if path.endswith("/eviction"):
                entry = room.stored[DEPLOYMENT]["inFlight"][-1]
                remembered.append((path == f"{pod_path(entry['pod']['name'])}/eviction", entry["grace"]))
                assert method == "POST"
                # A seat is held for the replacement.
                revision = room.world.state.revisions[owner.uid]
                assert revision.replacing == (replacing(entry["pod"]["uid"]),)

        room.cluster.before = before
        async with room.running():
            await room.after(60)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert len(room.cluster.granted) == 3
            assert remembered == [(True, 7.0)] * 3
            assert room.world.state.revisions[owner.uid].replacing == ()
            assert room.stored[DEPLOYMENT].keys() == {"version", "moved", "opened"}
        assert len(room.events("MoveStarted")) == 6
        # On the workload and on the pod: the one that left, the one that came.
        assert len(room.events("Moved")) == 6
        assert room.metric("moves_total", result="started", reason="surplus", mode="enforce") == 3
        assert room.metric("moves_total", result="moved", reason="surplus", mode="enforce") == 3
        assert room.metric("evictions_total", outcome="evicted", mode="enforce") == 3
        assert room.reports == []

    virtually(check)


def test_workloads_are_moved_side_by_side_within_the_budget_of_the_cluster() -> None:
    async def check(room: DriftRoom) -> None:
        owners = [room.drifted(f"web-{n}", on_demand=6, spot=4) for n in range(6)]
        room.cluster.start = 20.0
        async with room.running():
            await room.after(10)
            assert len(room.cluster.granted) == 4
            # What a move held is taken over at once when it is done.
            await room.after(15)
            assert len(room.cluster.granted) == 6
            await room.after(30)
            assert all(room.split(owner) == {SPOT: 5, ON_DEMAND: 5} for owner in owners)

    virtually(check, max_moves_in_flight=4)


@pytest.mark.parametrize("at", ["GET", "PATCH"])
def test_statement_27_nothing_is_sent_once_another_leads(at: str) -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted()

        def before(method: str, path: str) -> None:
            if method == at and (path == STORE or "/pods/" in path) and room.drift.memory.opened:
                room.decides = False

        room.cluster.before = before
        async with room.running():
            await room.after(10)
        assert not room.decides
        assert room.cluster.evictions == []

    virtually(check)


@pytest.mark.parametrize(
    ("resource", "health"),
    [
        ("pods", Health(synced=True, last_contact=-STALE_AFTER - 1)),
        ("nodes", Health(synced=True, last_contact=0.0, last_error="500: told to")),
        ("poddisruptionbudgets.policy", Health(last_error="403: Forbidden")),
        ("persistentvolumes", Health(synced=True, last_contact=0.0, last_error="500: told to")),
    ],
)
def test_statement_26_nothing_is_moved_by_what_may_be_out_of_date(resource: str, health: Health) -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        good, room.health[resource] = room.health[resource], health
        async with room.running():
            await room.after(30)
            assert room.cluster.evictions == []
            assert room.drift.view.paused is Reason.STALE
            assert room.drift.view.stays == {Reason.STALE: 1}
            assert any(text.startswith(f"nothing is moved: {resource}: ") for text in room.reports)
            room.health[resource] = good
            await room.after(10)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert room.drift.view.paused is None

    virtually(check)


def test_claims_that_may_not_be_read_hold_nothing_up() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        room.health["persistentvolumeclaims"] = Health(last_error="403: Forbidden")
        async with room.running():
            await room.after(10)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}

    virtually(check)


def test_a_kind_of_others_that_is_out_of_date_holds_up_its_own_workloads() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        custom = make_owner("Database", "db", 10, labels=ENABLED, annotations=keys(spot_percentage=50))
        room.world.up(custom)
        names = room.world.pods(custom.ref, 10, "on-demand-1")
        room.cluster.show(*(make_pod(name, None, "on-demand-1") for name in names))
        room.health["databases.example.org"] = Health(synced=True, last_contact=0.0, last_error="500")
        async with room.running():
            await room.after(10)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert [name for name in room.cluster.granted if name in names] == []
            room.health["databases.example.org"] = Health(synced=True, last_contact=0.0)
            await room.after(60)
            assert room.split(custom.ref) == {SPOT: 5, ON_DEMAND: 5}

    virtually(check)


@pytest.mark.parametrize("audit", [False, True])
def test_statement_28_a_dry_run_asks_and_changes_nothing(*, audit: bool) -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted(mode="audit") if audit else room.drifted()
        blocked = room.drifted("b", mode="audit") if audit else room.drifted("b")
        for number in range(10):
            room.cluster.faults[f"b-1-{number}"] = [refusal(429)] * 9
        async with room.running():
            await room.after(DRY_MEMORY - 10)
            assert room.cluster.granted == []
            # One verdict for each pod is enough for a while.
            assert [dry for _, _, dry in room.cluster.evictions] == [True, True]
            assert list(room.drift.memory.history.in_flight()) == []
            assert room.stored == {}
            await room.after(20)
            assert len(room.cluster.evictions) == 4
        assert room.split(owner) == room.split(blocked) == {SPOT: 4, ON_DEMAND: 6}
        assert room.metric("moves_total", result="would-move", reason="surplus", mode="dry_run") == 2
        assert room.metric("moves_total", result="blocked", reason="surplus", mode="dry_run") == 2
        assert room.metric("evictions_total", outcome="evicted", mode="dry_run") == 2
        assert room.metric("moves_total", result="started", reason="surplus", mode="enforce") == 0
        (note,) = room.events("WouldMove")
        assert note.startswith("Dry run: would evict web-1-")
        assert room.events("MoveStarted") == []

    virtually(check, read_only=not audit)


def test_a_dry_run_has_the_server_say_that_a_budget_is_exhausted() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted(on_demand=8, spot=2)
        selector = LabelSelector((("app", "web-1"),))
        room.world.up(Budget("b", "shop", "web", selector, allowed=0, current=True))
        for number in range(10):
            room.cluster.faults[f"web-1-{number}"] = [refusal(429)] * 9
        async with room.running():
            await room.after(DRY_MEMORY - 10)
            # For one pod, and not for ever.
            assert [dry for _, _, dry in room.cluster.evictions] == [True]
            assert room.drift.view.stays == {Reason.BUDGET: 3}
        assert room.metric("moves_total", result="blocked", reason="surplus", mode="dry_run") == 1

    virtually(check, read_only=True)


def test_the_event_loop_has_its_turn_between_slices() -> None:
    async def check(room: DriftRoom) -> None:
        count = 3 * SLICE
        for number in range(count):
            room.world.deployment(f"web-{number}", 1, spot_percentage=100)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        await room.drift.memory.open()
        async with asyncio.TaskGroup() as group:
            room.drift.begin(group)
            cycle = Cycle(tuple(room.world.state.workloads.by_uid))
            assert len(cycle.workloads) == count
            task = group.create_task(other())
            await room.drift._cycle(cycle)
            task.cancel()
        assert turns >= count // SLICE - 1

    virtually(check)


def test_what_somebody_has_to_put_right_is_told_once() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted()
        for record in list(room.world.state.revisions[owner.uid].pods):
            if record.node is not None and record.node.name == "on-demand-0":
                protection = OptOut("spotmix.io/do-not-disrupt", "maybe", malformed=True).of_pod(0.0)
                given = {"protection": protection, "created": record.created, "labels": {"app": "web-1"}}
                room.world.up(make_pod(record.name, owner, "on-demand-0", **given))
        async with room.running():
            await room.after(1300)
        (note,) = room.events("ProtectionMalformed")
        assert note.startswith("spotmix.io/do-not-disrupt=maybe cannot be read")
        assert room.cluster.evictions == []

    virtually(check)


def test_nothing_is_left_of_a_term_that_ended() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted()
        room.world.up(make_node("spot-0", unschedulable=True), make_node("spot-1", unschedulable=True))
        async with room.running():
            await room.after(3)
            assert len(room.drift.view.off_target) == 1
        assert room.drift.view.off_target == set()
        assert not room.drift.memory.opened

    virtually(check)


def options(**settings: Any) -> DriftOptions:
    given: dict[str, Any] = {**QUICK, **settings}
    return drift_options(DriftSettings(**given))


def test_other_options_count_at_once_and_what_a_dry_run_found_no_more() -> None:
    async def check(room: DriftRoom) -> None:
        owner = room.drifted(on_demand=8, spot=2)
        async with room.running():
            await room.after(20)
            assert room.split(owner) == {ON_DEMAND: 8, SPOT: 2}
            room.drift.go_by(options(), 600.0)
            await room.after(20)
            assert room.split(owner)[SPOT] > 2
            room.drift.go_by(options(dwell="1h"), 600.0)
            assert room.drift.rules.dwell == 3600.0
            assert room.drift.placeholders._rules.node_startup == 600.0

    virtually(check, read_only=True, interval="1h")
