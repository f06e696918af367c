"""What the console, the API and `spotmix drift plan` show is what the loop does next, for the same state."""

from collections.abc import Sequence

from support.doubles import SPOT, make_node, make_pod
from support.doubles_drift import STORE, DriftRoom, virtually

from extender.cli.drift import computed
from extender.core.answers.decisions import DecisionLog
from extender.core.answers.plan import DriftReport, report
from extender.core.answers.scope import EVERYWHERE
from extender.core.drift.preview import Knowledge
from extender.core.drift.turns import SLICE
from extender.core.model.reasons import Reason
from extender.kube.reflector import Health
from extender.servers.answers.shared import SharedAnswers
from extender.servers.answers.sources import DriftSource, Sources

GARBLED = "uid-Deployment-w-003"


def shared(room: DriftRoom) -> SharedAnswers:
    """What the servers of the same process answer with."""
    memory = room.drift.memory
    drifting = DriftSource(
        "on",
        room.drift.rules,
        lambda: memory.history,
        lambda: memory.unreadable,
        lambda: True,
        lambda: None,
    )
    obstacle = lambda: None  # noqa: E731 - one line says it
    return SharedAnswers(
        Sources(room.world.state, DecisionLog(), drifting, obstacle, room.now, "", lambda *_: None, lambda *_: None)
    )


def leaving(room: DriftRoom) -> None:
    """A workload with pods on a node that is about to be taken away."""
    owner = room.world.deployment("leaving", 4, spot_percentage=100)
    room.world.up(make_node("doomed", SPOT, going_away="notice", interrupted=True))
    names = room.world.pods(owner, 4, "doomed")
    room.cluster.show(*(make_pod(name, owner, "doomed") for name in names))


async def until_it_may_move(room: DriftRoom) -> None:
    """Have the loop look at everything while the cluster is not followed well, and follow it again."""
    room.health["pods"] = Health(synced=False)
    await room.after(12)
    assert room.cluster.evictions == []
    room.health["pods"] = Health(synced=True, last_contact=0.0)


def moved(told: DriftReport) -> Sequence[str]:
    return [move.pod.name for move in told.moves]


def test_the_loop_does_what_is_shown() -> None:
    async def check(room: DriftRoom) -> None:
        for number in range(SLICE + 30):
            # Those of the second slice are further off: they would come first if all were planned for at once.
            further = 2 if number >= SLICE else 0
            room.drifted(f"w-{number:03}", on_demand=6 + further, spot=4 - further)
        leaving(room)
        room.objects.put(STORE, {"data": {GARBLED: "garbled"}})
        room.cluster.start = None
        async with room.running():
            await until_it_may_move(room)
            memory = room.drift.memory
            told = computed(
                room.world.state,
                Knowledge(memory.history, room.drift.rules, unreadable=memory.unreadable),
                room.now(),
                EVERYWHERE,
            )
            seen = await shared(room).plan()
            await room.after(7.5)
        # Pods are evicted side by side, so which of them is first is chance.
        done = sorted(name for name, _, _ in room.cluster.evictions)
        assert done == ["leaving-1-0", *(f"w-{number:03}-1-0" for number in range(11) if number != 3)]
        assert sorted(moved(told)) == done
        assert report(room.world.state, seen.plan, memory.history, seen.at) == told
        assert seen.off == SLICE + 31
        held = {stay.why.reason for stay in told.stays if stay.workload.name == "w-003"}
        assert held == {Reason.MEMORY}

    virtually(check)


def test_a_plan_for_one_workload_is_held_back_alike() -> None:
    async def check(room: DriftRoom) -> None:
        room.drifted("w-003")
        room.objects.put(STORE, {"data": {GARBLED: "garbled"}})
        async with room.running():
            await room.after(1)
            made, fault = shared(room).plan_for(GARBLED), room.drift.memory.unreadable[GARBLED]
            await room.after(30)
        assert room.cluster.evictions == []
        assert made.moves == ()
        assert [(stay.reason, stay.detail) for stay in made.stays] == [(Reason.MEMORY, fault)]

    virtually(check)
