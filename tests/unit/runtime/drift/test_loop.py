"""The drift loop in virtual time: repairs, refusals, staleness, dry runs, memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, ON_DEMAND, SPOT, keys, make_node, make_owner, make_pod, ref
from support.doubles_drift import STORE, Room, pod_path
from support.doubles_kube import refusal
from support.doubles_servers import run_virtually

from extender.core.drift.judge import UNSENT
from extender.core.drift.patience import BASE
from extender.core.objects import Budget, OptOut
from extender.core.reasons import Reason
from extender.core.records import replacing
from extender.core.selectors import LabelSelector
from extender.kube.reflector import Health
from extender.runtime.drift.freshness import STALE_AFTER
from extender.runtime.drift.loop import SLICE
from extender.runtime.drift.moves import DRY_MEMORY

Check = Callable[[Room], Awaitable[None]]
DEPLOYMENT = "uid-Deployment-web"


def virtually(check: Check, **settings: Any) -> None:
    """Run a check on a cluster with two nodes of each class."""

    async def main() -> None:
        room = Room(**settings)
        room.world.nodes(spot=2, on_demand=2)
        await check(room)

    run_virtually(main)


def test_exactly_the_surplus_is_moved_each_move_remembered_before_it_is_made() -> None:
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
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


def pod_is_protected(room: Room) -> None:
    for name in list(room.world.state.pods):
        room.cluster.show(make_pod(name, None, "on-demand-0"), annotations={"spotmix.io/do-not-disrupt": "true"})


def pod_was_made_anew(room: Room) -> None:
    for name in list(room.world.state.pods):
        room.cluster.show(replace(make_pod(name, None, "on-demand-0"), uid=f"{name}-again"))


def pod_is_elsewhere(room: Room) -> None:
    for name in list(room.world.state.pods):
        room.cluster.show(make_pod(name, None, "on-demand-1"))


def pod_is_gone(room: Room) -> None:
    for name in list(room.world.state.pods):
        room.objects.delete(pod_path(name))


def workload_opts_out(room: Room) -> None:
    def before(method: str, path: str) -> None:
        if method == "GET" and "/pods/" in path:
            room.world.state.workloads.by_uid[DEPLOYMENT].opt_out = OptOut("spotmix.io/do-not-disrupt", "true")

    room.cluster.before = before


def workload_is_audited(room: Room) -> None:
    def before(method: str, path: str) -> None:
        if method == "GET" and "/pods/" in path:
            room.world.annotate("web", 10, spot_percentage=50, mode="audit")

    room.cluster.before = before


def workload_is_managed_no_more(room: Room) -> None:
    def before(method: str, path: str) -> None:
        if method == "GET" and "/pods/" in path:
            room.world.up(make_owner("Deployment", "web", 10))

    room.cluster.before = before


@pytest.mark.parametrize(
    "change",
    [
        pod_is_protected,
        pod_was_made_anew,
        pod_is_elsewhere,
        pod_is_gone,
        workload_opts_out,
        workload_is_audited,
        workload_is_managed_no_more,
    ],
)
def test_statement_22_what_changed_since_the_plan_is_seen_before_the_eviction(change: Callable[[Room], None]) -> None:
    async def check(room: Room) -> None:
        room.drifted()
        change(room)
        async with room.running():
            await room.after(2)
            assert room.cluster.evictions == []
            assert list(room.drift.memory.history.in_flight()) == []
            assert room.metric("moves_total", result="changed", reason="surplus", mode="enforce") >= 1
            assert room.world.state.reserved == 0

    virtually(check)


Fault = Callable[[], Exception]


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome", "result", "wait"),
    [
        (429, None, "budget", "blocked", BASE["blocked"]),
        (429, 60.0, "later", "blocked", 60.0),
        (403, None, "forbidden", "refused", BASE["refused"]),
        (500, None, "failed", "refused", BASE["refused"]),
        (409, None, "changed", "changed", BASE["changed"]),
        (404, None, "gone", "changed", BASE["changed"]),
    ],
)
def test_statement_12_a_refused_eviction_is_taken_back_and_tried_later_while_others_go_on(
    status: int, retry_after: float | None, outcome: str, result: str, wait: float
) -> None:
    async def check(room: Room) -> None:
        blocked, other = room.drifted("a"), room.drifted("b")
        for number in range(10):
            fault = refusal(status)
            fault.retry_after = retry_after
            room.cluster.faults[f"a-1-{number}"] = [fault]
        async with room.running():
            await room.after(1.5)
            assert "uid-Deployment-a" not in room.stored
            assert room.metric("moves_total", result=result, reason="surplus", mode="enforce") == 1
            await room.after(12)
            assert room.split(other) == {SPOT: 5, ON_DEMAND: 5}
            await room.after(400)
            assert room.split(blocked) == {SPOT: 5, ON_DEMAND: 5}
        asked = [at for name, at, _ in room.cluster.evictions if name.startswith("a-")]
        assert asked[1] - asked[0] >= wait
        assert room.metric("evictions_total", outcome=outcome, mode="enforce") == len(asked) - 1
        assert {method for method, _ in room.cluster.seen} == {"GET", "POST", "PATCH"}

    virtually(check)


def test_an_eviction_that_nobody_answers_holds_its_budget_until_it_is_clear_what_became_of_it() -> None:
    async def check(room: Room) -> None:
        owner = room.drifted()
        for number in range(10):
            room.cluster.faults[f"web-1-{number}"] = [refusal(504)]
        async with room.running():
            await room.after(UNSENT - 2)
            assert len(room.cluster.evictions) == 1
            assert len(room.stored[DEPLOYMENT]["inFlight"]) == 1
            await room.after(60)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.metric("moves_total", result="unanswered", reason="surplus", mode="enforce") >= 1
        assert len(room.cluster.granted) == 1

    virtually(check)


def test_a_pod_that_went_although_nobody_answered_counts_as_moved() -> None:
    async def check(room: Room) -> None:
        owner = room.drifted()

        def before(_method: str, path: str) -> None:
            if path.endswith("/eviction"):
                room.cluster.granted.append(path)
                room.cluster.end(path.split("/")[-2])
                raise refusal(0, "the answer was lost")

        room.cluster.before = before
        async with room.running():
            await room.after(30)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert len(room.cluster.granted) == 1
        assert room.metric("moves_total", result="moved", reason="surplus", mode="enforce") == 1

    virtually(check)


def test_statement_06_and_07_moves_in_vain_become_rare_and_end_and_say_why() -> None:
    async def check(room: Room) -> None:
        owner = room.drifted()
        # The scheduler does not heed us.
        room.cluster.takes = {ON_DEMAND}
        async with room.running():
            await room.after(7200)
            assert room.split(owner) == {SPOT: 4, ON_DEMAND: 6}
            stays = room.drift.view.stays
        assert len(room.cluster.granted) == 3
        assert stays == {Reason.CIRCUIT_OPEN: 1}
        asked = [at for _, at, _ in room.cluster.evictions]
        assert asked[1] - asked[0] >= 60
        assert asked[2] - asked[1] >= 120
        notes = room.events("MoveInVain")
        assert len(notes) == 3
        assert "on on-demand node on-demand-" in notes[0]
        assert "it was not placed on spot, though spot-" in notes[0]
        assert [note for note in notes if "; no other such move for 60 s" in note]
        (opened,) = room.events("CircuitOpen")
        assert "for 24 h, or until its policy changes" in opened
        assert room.metric("circuits_opened_total") == 1
        assert room.metric("moves_total", result="landed-wrong", reason="surplus", mode="enforce") == 3

    virtually(check)


def test_a_replacement_that_never_comes_is_told_of() -> None:
    async def check(room: Room) -> None:
        room.drifted()
        room.cluster.start = None
        async with room.running():
            await room.after(60)
        (note,) = room.events("MoveInVain")
        assert note.startswith("No pod has come in the place of web-1-")

    virtually(check, replacement_timeout="30s")


def test_statement_31_a_pod_that_does_not_end_is_told_of_and_nothing_else_is_moved() -> None:
    async def check(room: Room) -> None:
        room.drifted(on_demand=8, spot=2)
        room.cluster.grace = 600.0
        async with room.running():
            await room.after(5)
            (name,) = room.cluster.granted
            record = room.world.state.pods[name]
            assert record.revision is not None
            late = {"terminating": True, "due": room.now() - 50, "created": record.created}
            room.cluster.see(make_pod(name, record.revision.owner, "on-demand-0", **late))
            await room.after(20)
            assert next(iter(room.drift.memory.history.in_flight())).stuck
            await room.after(300)
        assert room.cluster.granted == [name]
        assert len(room.events("MoveStuck")) == 2
        assert room.metric("moves_total", result="stuck", reason="surplus", mode="enforce") == 1

    virtually(check)


def test_statement_09_back_off_and_moves_in_flight_outlive_the_process() -> None:
    async def main() -> None:
        first = Room()
        first.world.nodes(spot=2, on_demand=2)
        owner = first.drifted()
        first.cluster.takes = {ON_DEMAND}
        async with first.running():
            await first.after(3)
            # Killed while it backs off.
        assert len(first.cluster.granted) == 1
        second = Room(first.objects, first.world)
        async with second.running():
            await second.after(50)
            assert second.cluster.granted == []
            await second.after(30)
            assert len(second.cluster.granted) == 1
            assert second.split(owner) == {SPOT: 5, ON_DEMAND: 5}

    run_virtually(main)


def test_a_move_in_flight_is_judged_by_the_next_leader() -> None:
    async def main() -> None:
        first = Room()
        first.world.nodes(spot=2, on_demand=2)
        owner = first.drifted(on_demand=8, spot=2)
        first.cluster.start = 60.0
        async with first.running():
            await first.after(3)
        assert len(first.stored[DEPLOYMENT]["inFlight"]) == 1
        second = Room(first.objects, first.world)
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
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
        owner = room.drifted()
        async with room.running():
            await room.after(0.5)
            stored = room.objects.stored[STORE]
            room.objects.put(STORE, {**stored, "metadata": {"annotations": {"spotmix.io/drift-term": "another"}}})
            await room.after(60)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
        assert room.objects.stored[STORE]["metadata"]["annotations"]["spotmix.io/drift-term"] != "another"

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
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
        owner = room.drifted()
        room.health["persistentvolumeclaims"] = Health(last_error="403: Forbidden")
        async with room.running():
            await room.after(10)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}

    virtually(check)


def test_a_kind_of_others_that_is_out_of_date_holds_up_its_own_workloads() -> None:
    async def check(room: Room) -> None:
        owner = room.drifted()
        custom = make_owner("Database", "db", 10, labels=ENABLED, annotations=keys(spot_percentage=50))
        room.world.up(custom)
        names = room.world.pods(ref(custom), 10, "on-demand-1")
        room.cluster.show(*(make_pod(name, None, "on-demand-1") for name in names))
        room.health["databases.example.org"] = Health(synced=True, last_contact=0.0, last_error="500")
        async with room.running():
            await room.after(10)
            assert room.split(owner) == {SPOT: 5, ON_DEMAND: 5}
            assert [name for name in room.cluster.granted if name in names] == []
            room.health["databases.example.org"] = Health(synced=True, last_contact=0.0)
            await room.after(60)
            assert room.split(ref(custom)) == {SPOT: 5, ON_DEMAND: 5}

    virtually(check)


@pytest.mark.parametrize("audit", [False, True])
def test_statement_28_a_dry_run_asks_and_changes_nothing(*, audit: bool) -> None:
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
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
            room.drift.moves.begin(group)
            task = group.create_task(other())
            await room.drift._look(sweep=True)
            task.cancel()
        assert turns >= count // SLICE - 1

    virtually(check)


def test_what_somebody_has_to_put_right_is_told_once() -> None:
    async def check(room: Room) -> None:
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
    async def check(room: Room) -> None:
        room.drifted()
        room.world.up(make_node("spot-0", unschedulable=True), make_node("spot-1", unschedulable=True))
        async with room.running():
            await room.after(3)
            assert len(room.drift.view.off_target) == 1
        assert room.drift.view.off_target == set()
        assert not room.drift.memory.opened

    virtually(check)
